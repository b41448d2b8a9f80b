import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { openDataset } from "../../lib/data/open.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";

const PIXELS = 32 * 32;

/** Image n of a set: each byte says where it is. */
function planes(n: number): Uint8Array {
  return Uint8Array.from(
    { length: 3 * PIXELS },
    (_, i) => (n * 31 + (i % PIXELS) + 80 * Math.floor(i / PIXELS)) % 256,
  );
}

const label = (n: number) => (n * 3) % 10;

/** A batch of the binary version with images `first` to `first + count - 1`. */
function binaryBatch(first: number, count: number, coarse = false): Uint8Array {
  const rows = Array.from({ length: count }, (_, i) => [
    ...(coarse ? [1] : []),
    label(first + i),
    ...planes(first + i),
  ]);
  return Uint8Array.from(rows.flat());
}

/** The same as a pickle, protocol 2, by Python 2 (texts are bytes) or by Python 3. */
function pickledBatch(first: number, count: number, python: 2 | 3): Uint8Array {
  const latin1 = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
  const u32 = (n: number) =>
    String.fromCharCode(n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24);
  const key = (text: string) =>
    python === 2 ? `U${String.fromCharCode(text.length)}${text}` : `X${u32(text.length)}${text}`;
  const data = Uint8Array.from({ length: count }, (_, i) => i)
    .reduce<number[]>((all, i) => [...all, ...planes(first + i)], []);
  // The bytes of an array: a text of Python 2, or what Python 3 writes instead of bytes.
  const encoded = new TextEncoder().encode(String.fromCharCode(...data));
  const bytes = python === 2 ? [latin1(`T${u32(data.length)}`), Uint8Array.from(data)] : [
    latin1(`c_codecs\nencode\nX${u32(encoded.length)}`),
    encoded,
    latin1("X\x06\0\0\0latin1\x86R"),
  ];
  const pieces = [
    latin1(`\x80\x02}(${key("batch_label")}${key("training batch 1 of 5")}${key("labels")}](`),
    latin1(
      Array.from({ length: count }, (_, i) => `K${String.fromCharCode(label(first + i))}`).join(""),
    ),
    latin1(`e${key("data")}cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85`),
    latin1(
      `U\x01b\x87R(K\x01M${u32(count).slice(0, 2)}M\0\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R`,
    ),
    latin1("(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"),
    ...bytes,
    latin1("tbu."),
  ];
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** An archive as `tar` writes it, gzipped. */
async function tarGz(files: readonly [string, Uint8Array][]): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  for (const [name, content] of files) {
    const header = new Uint8Array(512);
    const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
    put(0, name);
    put(100, "0000644\0");
    put(124, content.length.toString(8).padStart(11, "0") + "\0");
    put(148, "        ");
    put(156, name.endsWith("/") ? "5" : "0");
    put(257, "ustar\x0000");
    put(148, header.reduce((a, b) => a + b, 0).toString(8).padStart(6, "0") + "\0 ");
    blocks.push(header, content, new Uint8Array((512 - content.length % 512) % 512));
  }
  blocks.push(new Uint8Array(1024));
  const body = new Blob(blocks as BlobPart[]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(body).arrayBuffer());
}

/** Checks that a set has the images from number `first`, HWC. */
async function checkSet(spec: string, first: number, count: number): Promise<void> {
  using set = await openDataset(spec);
  strictEqual(set.length, count);
  deepStrictEqual(set.imageShape, [32, 32, 3]);
  for (let i = 0; i < count; i++) {
    const expected = planes(first + i);
    const image = set.image(i);
    for (const [pixel, channel] of [[0, 0], [0, 2], [33, 1], [1023, 2]]) {
      strictEqual(image[3 * pixel + channel], expected[channel * PIXELS + pixel]);
    }
    strictEqual(set.label(i), label(first + i));
  }
}

for (
  const { form, extension, batch } of [
    { form: "binary", extension: ".bin", batch: (a: number, n: number) => binaryBatch(a, n) },
    { form: "Python 2", extension: "", batch: (a: number, n: number) => pickledBatch(a, n, 2) },
    { form: "Python 3", extension: "", batch: (a: number, n: number) => pickledBatch(a, n, 3) },
  ]
) {
  Deno.test(`CIFAR-10, ${form}: archive, folder and single batches`, async () => {
    await withTempFolder(async (folder) => {
      const files: [string, Uint8Array][] = [
        ["test_batch" + extension, batch(100, 3)],
        // In the order of no one: the batches are taken by their numbers.
        ["data_batch_2" + extension, batch(3, 4)],
        ["data_batch_5" + extension, batch(9, 1)],
        ["data_batch_1" + extension, batch(0, 3)],
        ["data_batch_4" + extension, batch(8, 1)],
        ["data_batch_3" + extension, batch(7, 1)],
        ["readme.html", new Uint8Array(5)],
      ];
      const inside = files.map(([name, bytes]): [string, Uint8Array] => [`cifar/${name}`, bytes]);
      const archive = join(folder, "cifar-10.tar.gz");
      await Deno.writeFile(archive, await tarGz([["cifar/", new Uint8Array(0)], ...inside]));
      await checkSet(archive, 0, 10);
      await checkSet(`${archive}#train`, 0, 10);
      await checkSet(`${archive}#test`, 100, 3);

      const unpacked = join(folder, "unpacked");
      await Deno.mkdir(unpacked);
      for (const [name, bytes] of files) await Deno.writeFile(join(unpacked, name), bytes);
      await checkSet(unpacked, 0, 10);
      await checkSet(`${unpacked}#test`, 100, 3);
      await checkSet(join(unpacked, files[1][0]), 3, 4);
      using a = await openDataset(archive);
      using b = await openDataset(unpacked);
      strictEqual(a.contentHash(), b.contentHash());

      // A batch that is missing is told, not passed over.
      const third = "data_batch_3" + extension;
      await Deno.remove(join(unpacked, third));
      await assertFormatError(() => openDataset(unpacked), new RegExp(`lacks ${third} of the 5`));
      await checkSet(`${unpacked}#test`, 100, 3);
      await Deno.remove(join(unpacked, "data_batch_1" + extension));
      await assertFormatError(
        () => openDataset(unpacked),
        new RegExp(`lacks data_batch_1${extension}, ${third} of`),
      );
      const partial = join(folder, "partial.tar.gz");
      await Deno.writeFile(partial, await tarGz(inside.slice(0, 4)));
      await assertFormatError(() => openDataset(partial), /partial\.tar\.gz lacks data_batch_3/);
    });
  });
}

Deno.test("CIFAR-100 has the fine labels", async () => {
  await withTempFolder(async (folder) => {
    const archive = join(folder, "cifar-100-binary.tar.gz");
    const files: [string, Uint8Array][] = [
      ["cifar-100-binary/train.bin", binaryBatch(0, 4, true)],
      ["cifar-100-binary/test.bin", binaryBatch(50, 2, true)],
    ];
    await Deno.writeFile(archive, await tarGz(files));
    await checkSet(archive, 0, 4);
    await checkSet(`${archive}#test`, 50, 2);
  });
});

Deno.test("CIFAR's classes have the names that lie beside the images", async () => {
  const text = (content: string) => Uint8Array.from(content, (c) => c.charCodeAt(0));
  const ten = [..."abcdefghij"].map((letter) => `class ${letter}`);
  const key = (word: string) => `U${String.fromCharCode(word.length)}${word}`;
  const pickled = (list: string) => text(`\x80\x02}${key(list)}](${ten.map(key).join("")}es.`);
  const lines = text(`${ten.join("\r\n")}\n\n`);
  const five = (extension: string, bytes: Uint8Array): [string, Uint8Array][] =>
    [1, 2, 3, 4, 5].map((n) => [`data_batch_${n}${extension}`, bytes]);
  const sets: [string, [string, Uint8Array][]][] = [
    ["binary", [...five(".bin", binaryBatch(0, 1)), ["batches.meta.txt", lines]]],
    ["python", [...five("", pickledBatch(0, 1, 2)), ["batches.meta", pickled("label_names")]]],
    ["100", [["train.bin", binaryBatch(0, 1, true)], ["fine_label_names.txt", lines]]],
    ["py100", [["train", pickledBatch(0, 1, 3)], ["meta", pickled("fine_label_names")]]],
  ];
  await withTempFolder(async (folder) => {
    for (const [name, files] of sets) {
      const unpacked = join(folder, name);
      await Deno.mkdir(unpacked);
      for (const [file, bytes] of files) await Deno.writeFile(join(unpacked, file), bytes);
      const archive = join(folder, `${name}.tar.gz`);
      await Deno.writeFile(
        archive,
        await tarGz(files.map(([file, bytes]) => [`x/${file}`, bytes])),
      );
      for (const spec of [unpacked, archive]) {
        using set = await openDataset(spec);
        deepStrictEqual(set.labelNames, ten);
        strictEqual(set.labelCount, 10);
      }
    }
    const few = text("only\none\n");
    await Deno.writeFile(join(folder, "100", "fine_label_names.txt"), few);
    await Deno.writeFile(join(folder, "100", "train.bin"), binaryBatch(1, 1, true));
    await assertFormatError(
      () => openDataset(join(folder, "100")),
      /has the label 3, but names 2 classes; they are counted from 0/,
    );
  });
});

Deno.test("damaged and other archives are told from CIFAR", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const open = (spec: string) => () => openDataset(spec);
    const all = (first: Uint8Array, extension = ".bin") =>
      tarGz([1, 2, 3, 4, 5].map((n) => [`a/data_batch_${n}${extension}`, first]));
    const good = await all(binaryBatch(0, 2));
    await Deno.writeFile(at("cut.tar.gz"), good.subarray(0, good.length - 20));
    await assertFormatError(open(at("cut.tar.gz")), /cut\.tar\.gz/);
    await Deno.writeFile(at("short.tar.gz"), await all(new Uint8Array(9)));
    await assertFormatError(open(at("short.tar.gz")), /short\.tar\.gz: data_batch_1\.bin .* 3073/);
    await Deno.writeFile(at("other.tar.gz"), await tarGz([["a/b.txt", new Uint8Array(9)]]));
    await assertFormatError(open(at("other.tar.gz")), /no data set that is known.* found b\.txt/);
    await Deno.writeTextFile(at("text.tar"), "no archive".repeat(100));
    await assertFormatError(open(at("text.tar")), /text\.tar.* checksum is wrong/);
    await Deno.writeFile(at("pickle.tar.gz"), await all(Uint8Array.of(0x4E, 0x2E), ""));
    await assertFormatError(open(at("pickle.tar.gz")), /data_batch_1 is no batch of CIFAR/);
    await Deno.mkdir(at("pictures"));
    await assertFormatError(open(at("pictures#test")), /leave out #test/);
    ok(!(await Deno.stat(at("pictures#test")).catch(() => null)));
  });
});
