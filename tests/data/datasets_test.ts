import assert from "node:assert/strict";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Dataset } from "../../lib/data/dataset.ts";
import { findKnown, KNOWN_DATASETS } from "../../lib/data/known.ts";
import { openDataset } from "../../lib/data/open.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { ZipWriter } from "../../lib/formats/archive/zip_writer.ts";
import { fixtures } from "../formats/fixtures.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { importMapArguments } from "../support/cli/imm.ts";

/** Three RGB pictures of 2 x 3 pixels. */
const PIXELS = Uint8Array.from({ length: 3 * 2 * 3 * 3 }, (_, i) => (i * 7) % 256);
const LABELS = [1, 0, 1];
const picture = (index: number) => PIXELS.subarray(index * 18, (index + 1) * 18);
const png = (index: number) =>
  encodePng({ width: 3, height: 2, channels: 3, data: picture(index) });

function write(folder: string, files: Record<string, Uint8Array | string>): void {
  for (const [path, content] of Object.entries(files)) {
    Deno.mkdirSync(join(folder, path, ".."), { recursive: true });
    if (typeof content === "string") Deno.writeTextFileSync(join(folder, path), content);
    else Deno.writeFileSync(join(folder, path), content);
  }
}

function assertContent(dataset: Dataset, labels: number[] | null): void {
  assert.equal(dataset.length, 3);
  assert.deepEqual(dataset.imageShape, [2, 3, 3]);
  for (let i = 2; i >= 0; i--) {
    assert.deepEqual(new Uint8Array(dataset.image(i)), picture(i));
    assert.equal(dataset.label(i), labels === null ? null : labels[i]);
  }
  assert.equal(dataset.labelCount, labels === null ? 0 : 2);
}

/** An IDX file of bytes. */
function idx(shape: number[], data: Uint8Array): Uint8Array {
  const header = new Uint8Array(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((size, axis) => new DataView(header.buffer).setUint32(4 + 4 * axis, size));
  return Uint8Array.from([...header, ...data]);
}

async function zipFolder(path: string, files: Record<string, Uint8Array>, compress: boolean) {
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    for (const [name, content] of Object.entries(files)) {
      await zip.add(name, [content], { size: content.length, compress });
    }
    await zip.finish();
  });
}

Deno.test("the digits are part of the program", async () => {
  using digits = await openDataset("digits");
  assert.deepEqual([digits.name, digits.length, digits.labelCount], ["digits", 1797, 10]);
  assert.deepEqual(digits.imageShape, [8, 8, 1]);
  assert.deepEqual([...digits.image(0).subarray(0, 8)], [0, 0, 80, 207, 143, 16, 0, 0]);
  assert.deepEqual([0, 1, 2, 1796].map((i) => digits.label(i)), [0, 1, 2, 8]);
  using padded = await openDataset("digits", { padTo: 11 });
  assert.deepEqual(padded.imageShape, [11, 11, 1]);
  const rows = Array.from(
    { length: 11 },
    (_, y) => [...padded.image(0).slice(y * 11, y * 11 + 11)],
  );
  assert.deepEqual(rows[0], new Array(11).fill(0));
  assert.deepEqual(rows[1], [0, 0, 0, 80, 207, 143, 16, 0, 0, 0, 0]);
  assert.equal(padded.label(1796), 8);
  await assertFormatError(() => openDataset("digits", { padTo: 7 }), /8 x 8, which cannot be/);
});

Deno.test("the same images and labels from any container have the same content", async () => {
  await withTempFolder(async (folder) => {
    const files = { "a/1.png": png(0), "b/0.png": png(1), "b/7.PNG": png(2) };
    const json = new TextEncoder().encode(
      JSON.stringify({ labels: [["b/0.png", 0], ["b/7.PNG", 1], ["a/1.png", 1]] }),
    );
    write(join(folder, "edm"), { ...files, "dataset.json": json, ".hidden/x.png": "no picture" });
    for (const compress of [false, true]) {
      const archive = { ...files, "dataset.json": json, "__MACOSX/a/._1.png": json };
      await zipFolder(join(folder, `edm${compress}.zip`), archive, compress);
      await writeNpz(join(folder, `samples${compress}.npz`), [
        ["arr_0", { type: "u8", shape: [3, 2, 3, 3], data: PIXELS }],
        ["arr_1", { type: "i64", shape: [3], data: BigInt64Array.from(LABELS, BigInt) }],
      ], { compress });
    }
    write(join(folder, "idx"), {
      "train-images-idx4-ubyte.gz": new Uint8Array(gzipSync(idx([3, 2, 3, 3], PIXELS))),
      "train-labels-idx1-ubyte": idx([3], Uint8Array.from(LABELS)),
      "t10k-images-idx4-ubyte": idx([1, 2, 3, 3], picture(0)),
    });

    const hashes = new Set<string>();
    const specs = ["edm", "edmfalse.zip", "edmtrue.zip", "samplesfalse.npz", "samplestrue.npz"];
    for (const spec of [...specs, "idx", "idx/train-images-idx4-ubyte.gz"]) {
      using dataset = await openDataset(join(folder, spec));
      assertContent(dataset, LABELS);
      hashes.add(dataset.contentHash());
      assert.equal(dataset.contentHash(), dataset.contentHash());
    }
    assert.equal(hashes.size, 1);
    assert.match([...hashes][0], /^[0-9a-f]{64}$/);

    await writeNpz(join(folder, "bare.npz"), [
      ["arr_0", { type: "u8", shape: [3, 2, 3, 3], data: PIXELS }],
    ]);
    using bare = await openDataset(join(folder, "bare.npz"));
    assertContent(bare, null);
    assert(!hashes.has(bare.contentHash()), "labels count");
  });
});

Deno.test("the names of sub-folders are labels unless pictures lie beside them", async () => {
  await withTempFolder(async (folder) => {
    write(folder, { "dog/x/0.png": png(0), "cat/1.png": png(1), "dog/2.png": png(2) });
    Deno.symlinkSync("nowhere", join(folder, "lost.png"));
    Deno.symlinkSync(".", join(folder, "again"));
    using labelled = await openDataset(folder);
    assert.deepEqual(labelled.labelNames, ["cat", "dog"]);
    assert.deepEqual([0, 1, 2].map((i) => labelled.label(i)), [0, 1, 1]);
    write(folder, { "dataset.json": '{"labels": null}' });
    using unlabelled = await openDataset(folder);
    assert.equal(unlabelled.labelCount, 0);
    Deno.removeSync(join(folder, "dataset.json"));
    write(folder, { "3.png": png(0) });
    using mixed = await openDataset(folder);
    assert.deepEqual([mixed.length, mixed.labelCount, mixed.label(0)], [4, 0, null]);
  });
});

Deno.test("JPEG files are decoded, and grey ones among colors become RGB, which is said", async () => {
  await withTempFolder(async (folder) => {
    write(folder, { "0.jpg": fixtures.jpegColour, "1.jpeg": fixtures.jpegGrey });
    using dataset = await openDataset(folder);
    assert.deepEqual(dataset.imageShape, [18, 21, 3]);
    const [red, green, blue] = dataset.image(1);
    assert(red === green && green === blue);
    assert.match(
      dataset.notes!.join(),
      /: 1 of 2 pictures are grey, and become RGB as the rest\.$/,
    );
    Deno.removeSync(join(folder, "0.jpg"));
    using grey = await openDataset(folder);
    assert.deepEqual([grey.imageShape, grey.notes], [[18, 21, 1], []]);
    using asked = await openDataset(folder, { rgb: true });
    assert.deepEqual([asked.imageShape, asked.image(0)], [[18, 21, 3], dataset.image(1)]);
  });
});

Deno.test("pictures of mixed sizes keep their sizes where that is asked for", async () => {
  await withTempFolder(async (folder) => {
    const pixels = (length: number) => Uint8Array.from({ length }, (_, i) => i);
    const tall = { width: 1, height: 4, channels: 3, data: pixels(12) };
    const wide = { width: 5, height: 2, channels: 1, data: pixels(10) };
    write(folder, { "0.png": encodePng(tall), "1.png": encodePng(wide) });
    using dataset = await openDataset(folder, { mixedSizes: true });
    assert.deepEqual(dataset.imageShape, [4, 5, 3]);
    assert.deepEqual([0, 1].map((i) => dataset.shapeOf!(i)), [[4, 1, 3], [2, 5, 3]]);
    assert.deepEqual(dataset.image(0), tall.data);
    const grey = [...wide.data].flatMap((byte) => [byte, byte, byte]);
    assert.deepEqual([...dataset.image(1)], grey);
    write(folder, { "1.png": encodePng(tall) });
    using alike = await openDataset(folder, { mixedSizes: true });
    assert.equal(alike.shapeOf, undefined);
  });
});

Deno.test("a folder with something wrong in it is refused with the name of the file", async () => {
  const refuses = (files: Record<string, Uint8Array | string>, ...patterns: RegExp[]) =>
    withTempFolder(async (folder) => {
      write(folder, files);
      await assertFormatError(() => openDataset(folder), ...patterns);
    });
  const small = encodePng({ width: 1, height: 1, channels: 3, data: new Uint8Array(3) });
  await refuses({ "a.txt": "" }, /has no pictures: expected files that end in \.png/);
  await refuses(
    { "0.png": png(0), "1.png": small, "2.png": small },
    /1\.png is 1 x 1, but 0\.png is 3 x 2/,
  );
  await refuses(
    { "0.png": png(0), "1.png": "oops" },
    /1\.png is no picture of a kind that is known/,
  );
  await refuses({ "0.png": png(0), "dataset.json": "{" }, /dataset\.json is not valid JSON/);
  await refuses({ "0.png": png(0), "dataset.json": '{"labels": [3]}' }, /dataset\.json must hold/);
  await refuses({ "0.png": png(0), "dataset.json": '{"labels": []}' }, /no label for 0\.png/);
  await refuses(
    { "0.png": png(0), "dataset.json": '{"labels": [["0.png", -1]]}' },
    /has the label -1/,
  );
});

Deno.test("a picture that is damaged behind its header is named when it is read", async () => {
  await withTempFolder(async (folder) => {
    write(folder, { "0.png": png(0), "1.png": png(1).subarray(0, 50) });
    using dataset = await openDataset(folder);
    assert.deepEqual(dataset.image(0), picture(0));
    await assertFormatError(() => dataset.image(1), /1\.png is truncated/);
    write(folder, { "1.png": fixtures.pngGrey });
    await assertFormatError(() => dataset.image(1), /1\.png changed since/);
    Deno.removeSync(join(folder, "1.png"));
    await assertFormatError(() => dataset.image(1), /1\.png does not exist/);
  });
});

Deno.test("IDX files that do not belong together are refused", async () => {
  const refuses = (files: Record<string, Uint8Array>, pattern: RegExp) =>
    withTempFolder(async (folder) => {
      write(folder, files);
      await assertFormatError(() => openDataset(folder), pattern);
    });
  const images = idx([2, 1, 1], new Uint8Array(2));
  const name = "train-images.idx3-ubyte";
  const labels = "train-labels.idx1-ubyte";
  await refuses(
    { [name]: images, [labels]: idx([3], new Uint8Array(3)) },
    /train-labels\.idx1-ubyte has 3 labels, but .*train-images\.idx3-ubyte has 2 images/,
  );
  await refuses({ [name]: images, [labels]: images }, /labels\.idx1-ubyte holds no labels/);
  await refuses({ [name]: idx([2], new Uint8Array(2)) }, /images\.idx3-ubyte holds no images/);
  await refuses({ [name]: idx([0, 1, 1], new Uint8Array()) }, /has no images/);
  await refuses(
    { "a-images-idx3-ubyte": images, "b-images-idx3-ubyte": images },
    /several files of images \(a-images-idx3-ubyte, b-images-idx3-ubyte\)/,
  );
});

Deno.test("npz files without images are refused with what they hold", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    const refuses = async (
      arrays: Parameters<typeof writeNpz>[1],
      ...patterns: RegExp[]
    ) => {
      await writeNpz(path, arrays);
      await assertFormatError(() => openDataset(path), /a\.npz/, ...patterns);
    };
    const u8 = (...shape: number[]) =>
      ({ type: "u8", shape, data: new Uint8Array(shape.reduce((a, b) => a * b, 1)) }) as const;
    await refuses(
      [["mu", u8(1)]],
      /expected an array named arr_0, images, x_train or train_images, found mu/,
    );
    await refuses([["arr_0", u8(4, 4)]], /found u8 of shape \(4, 4\)\./);
    await refuses([["arr_0", u8(2, 3, 8, 8)]], /move the channels to the end/);
    await refuses([["arr_0", { ...u8(2, 2, 2), type: "bool" }]], /found bool/);
    await refuses([["arr_0", u8(2, 2, 2)], ["arr_1", u8(3)]], /2 images but 3 labels/);
    await refuses([["arr_0", u8(2, 2, 2)], ["arr_1", u8(2, 1, 1)]], /arr_1\.npy holds no labels/);
    await refuses(
      [["arr_0", u8(2, 2, 2)], ["arr_1", u8(2, 14)]],
      /has 14 numbers for each picture/,
    );
  });
});

Deno.test("a wrong name is answered with what there is", async () => {
  await assertFormatError(
    () => openDataset("digit"),
    /no data set "digit": expected digits, cifar10, .* that exists; did you mean "digits"\?$/,
  );
  await assertFormatError(() => openDataset("/nowhere/x"), /"\/nowhere\/x": .* that exists\.$/);
  await withTempFolder(async (folder) => {
    write(folder, { "model.bin": "x" });
    await assertFormatError(
      () => openDataset(join(folder, "model.bin")),
      /model\.bin is .*no kind of data set that is known/,
    );
  });
});

Deno.test("public data sets are found by name in the usual places, the nearest first", async () => {
  await withTempFolder(async (folder) => {
    const places = ["near", "far"].map((name) => join(folder, name));
    const images = idx([2, 2, 2], Uint8Array.from({ length: 8 }, (_, i) => i));
    await assertFormatError(
      () => findKnown("mnist", places),
      /data set mnist was not found.* It is .*train-images-idx3-ubyte\.gz.* https:.*as mnist into/,
    );
    write(places[1], { "MNIST/raw/train-images-idx3-ubyte": images, "cifar10.npz": "x" });
    assert.equal(await findKnown("mnist", places), join(places[1], "MNIST", "raw"));
    write(places[1], { "mnist/train-images-idx3-ubyte": images });
    assert.equal(await findKnown("mnist", places), join(places[1], "mnist"));
    write(places[0], { "MNIST/raw/train-images-idx3-ubyte": images });
    assert.equal(await findKnown("mnist", places), join(places[0], "MNIST", "raw"));
    assert.equal(await findKnown("cifar10", places), join(places[1], "cifar10.npz"));
    for (const name of KNOWN_DATASETS) {
      await assertFormatError(() => findKnown(name, [folder]), new RegExp(`${name} was not found`));
    }
  });
});

Deno.test("a name is looked for in data/ and in the user's cache, and never means a file here", async () => {
  await withTempFolder(async (folder) => {
    const images = (pixel: number) => idx([1, 1, 1], Uint8Array.of(pixel));
    const file = "train-images-idx3-ubyte";
    const code = `
      import { openDataset } from ${JSON.stringify(import.meta.resolve("../../lib/data/open.ts"))};
      using dataset = await openDataset("mnist");
      console.log(dataset.image(0)[0], ...dataset.notes);
    `;
    const found = async () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--quiet", ...importMapArguments(), join(folder, "a.ts")],
        cwd: folder,
        env: { IMM_CACHE_DIR: join(folder, "cache"), NO_COLOR: "1" },
      });
      const { stdout, stderr } = await child.output();
      const [text, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return text.trim() || error;
    };
    write(folder, { "a.ts": code, [`mnist/${file}`]: images(3) });
    assert.match(await found(), /mnist was not found \(what is called so here is \.\/mnist\)/);
    write(folder, { [`cache/datasets/mnist/${file}`]: images(1) });
    assert.match(await found(), /^1 mnist is the data set .*, not what .* here: that is \.\/mnist/);
    Deno.removeSync(join(folder, "mnist"), { recursive: true });
    write(folder, { [`data/mnist/${file}`]: images(2) });
    assert.equal(await found(), "2");
    write(folder, { "a.ts": code.replace('"mnist"', '"dataset:mnist"') });
    assert.equal(await found(), "2");
  });
});
