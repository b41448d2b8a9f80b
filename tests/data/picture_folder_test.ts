/** Folders as they are: with links, leavings, odd pictures, and pictures under wrong names. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type FolderOptions, openFolderDataset } from "../../lib/data/images/folder.ts";
import { openFolderTree, openZipTree } from "../../lib/data/folders/file_tree.ts";
import { Loader } from "../../lib/data/stream/loader.ts";
import { openDataset } from "../../lib/data/open.ts";
import { PrefetchingStream } from "../../lib/data/stream/prefetch.ts";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { decodeImage, toRgb } from "../../lib/formats/image/decode.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { ZipWriter } from "../../lib/formats/archive/zip_writer.ts";
import fixtures from "../formats/picture_fixtures.json" with { type: "json" };
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { importMapArguments } from "../support/cli/imm.ts";
import { imm } from "../support/examples/runs.ts";

const file = (name: keyof typeof fixtures) => Uint8Array.fromBase64(fixtures[name].file);

/** A picture of one pixel. */
const png = (value: number) =>
  encodePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(value) });

async function write(folder: string, files: Record<string, Uint8Array>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(join(folder, dirname(path)), { recursive: true });
    await Deno.writeFile(join(folder, path), content);
  }
}

const ignore = Deno.build.os === "windows"; // links need a right of their own there

Deno.test({
  name: "class folders that are links are classes; circles end; dead links are counted and named",
  ignore,
  async fn() {
    await withTempFolder(async (folder) => {
      await write(folder, {
        "set/cat/0.png": png(1),
        "elsewhere/dogs/1.png": png(2),
        "elsewhere/dogs/deep/2.png": png(3),
        "elsewhere/3.png": png(4),
      });
      const link = (to: string, path: string) => Deno.symlink(to, join(folder, path));
      await link("../elsewhere/dogs", "set/dog");
      await link("../../elsewhere/3.png", "set/cat/3.png");
      await link("../nowhere", "set/gone");
      await link("..", "set/cat/up"); // to a folder around it
      await link(join(folder, "set"), "elsewhere/dogs/deep/set"); // around it by way of a link
      await link(".", "set/cat/self");
      using dataset = await openDataset(join(folder, "set"));
      assert.deepEqual(dataset.labelNames, ["cat", "dog"]);
      const images = [0, 1, 2, 3].map((i) => [dataset.image(i)[0], dataset.label(i)]);
      assert.deepEqual(images, [[1, 0], [4, 0], [2, 1], [3, 1]]);
      assert.equal(
        dataset.notes!.join("\n"),
        `${join(folder, "set")}: not used: 1 link that leads nowhere (gone), ` +
          `3 links to folders around them (cat/self, cat/up, dog/deep/set).`,
      );
      await assertFormatError(
        () => openDataset(join(folder, "set"), { strict: true }),
        /1 link that leads nowhere \(gone\).* --strict refuses that\.$/,
      );
    });
  },
});

Deno.test("what is not read is counted and named, once, and an error where that is asked for", async () => {
  await withTempFolder(async (folder) => {
    const leavings = { "@eaDir/0.png": png(9), "__MACOSX/._0.png": png(9), "._1.png": png(9) };
    await write(folder, {
      "0.png": png(1),
      "1.PNG": png(2),
      "a.avif": file("rgb.avif"),
      "b.jxl": png(0),
      "notes.txt": new Uint8Array(3),
      ".DS_Store": new Uint8Array(3),
      "Thumbs.db": new Uint8Array(3),
      ...leavings,
    });
    const expected =
      "not used: 2 pictures of kinds that are not read (a.avif, b.jxl), 1 other file " +
      "(notes.txt), 5 leavings of other programs (";
    using dataset = await openDataset(folder);
    assert.equal(dataset.length, 2);
    assert.equal(dataset.notes!.length, 1);
    assert.ok(dataset.notes![0].startsWith(`${folder}: ${expected}`), dataset.notes![0]);
    await assertFormatError(() => openDataset(folder, { strict: true }), /kinds that are not read/);

    // In an archive as well; leavings alone are worth a sentence where they look like pictures.
    const zip = join(folder, "a.zip");
    await writeFileAtomic(zip, async (write) => {
      const writer = new ZipWriter(write);
      for (
        const [name, bytes] of Object.entries({
          "cat/0.png": png(1),
          "dog/1.png": png(2),
          ...leavings,
        })
      ) {
        await writer.add(name, [bytes], { size: bytes.length });
      }
      await writer.finish();
    });
    using archive = await openDataset(zip, { strict: true });
    assert.deepEqual([archive.length, archive.labelNames], [2, ["cat", "dog"]]);
    assert.match(
      archive.notes!.join(),
      /not used: 3 leavings of other programs \(\._1\.png,/,
    );
    for (const name of ["a.avif", "b.jxl", "notes.txt", "a.zip", "@eaDir", "__MACOSX", "._1.png"]) {
      await Deno.remove(join(folder, name), { recursive: true });
    }
    using quiet = await openDataset(folder);
    assert.deepEqual(quiet.notes, []);
    await Deno.remove(join(folder, "0.png"));
    await Deno.rename(join(folder, "1.PNG"), join(folder, "1.heic"));
    await assertFormatError(
      () => openDataset(folder),
      /has no pictures: expected .* 1 picture of a kind that is not read \(1\.heic\)/,
    );
  });
});

Deno.test("files are told by their content, whatever they are called, and in threads, too", async () => {
  await withTempFolder(async (folder) => {
    const names = ["ss0.jpg", "lossy.webp", "p.gif", "rgb.bmp", "rgb.ppm", "tiff_lzw.tif"] as const;
    for (const [i, name] of names.entries()) await write(folder, { [`${i}.png`]: file(name) });
    using dataset = await openDataset(folder, { keepBytes: 0 });
    const expected = await Promise.all(
      names.map(async (name) => toRgb(await decodeImage(file(name), name)).data),
    );
    for (const [i, pixels] of expected.entries()) assert.deepEqual(dataset.image(i), pixels);
    assert.deepEqual(dataset.notes, []);
    const loader = new Loader(dataset, { seed: 0 });
    using threads = new PrefetchingStream(new Loader(dataset, { seed: 0 }), 1);
    for (let n = 0; n < 6; n += 3) {
      assert.deepEqual((await threads.batch(n, 3)).images, loader.batch(n, 3).images);
    }
  });
});

Deno.test("a file that has become a JPEG or WebP file since it was looked at is no bug of this program", async () => {
  const program = `
    import { openDataset } from ${JSON.stringify(import.meta.resolve("../../lib/data/open.ts"))};
    const path = Deno.args[0] + "/0.png";
    const [png, ...others] = Deno.args.slice(1).map((file) => Uint8Array.fromBase64(file));
    Deno.writeFileSync(path, png);
    const dataset = await openDataset(Deno.args[0], { keepBytes: 0 });
    for (const other of others) {
      Deno.writeFileSync(path, other);
      try {
        dataset.image(0);
      } catch (error) {
        console.log(error.name, error.message);
      }
    }`;
  await withTempFolder(async (folder) => {
    const pictures = ["rgb.png", "ss0.jpg", "lossy.webp"] as const;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["eval", "--no-check", ...importMapArguments(), program, folder],
        ...pictures.map((name) => fixtures[name].file),
      ],
    }).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assert.equal(lines.length, 2);
    assert.match(lines[0], /^FormatError .*0\.png has become a JPEG file since it was looked at/);
    assert.match(lines[1], /^FormatError .*0\.png has become a WebP file since it was looked at/);
  });
});

Deno.test("odd pictures are read, and told of: from their headers at once, from their pixels later", async () => {
  await withTempFolder(async (folder) => {
    await write(folder, {
      "0.png": file("rgb16.png"),
      "1.png": file("rgba16.png"),
      "2.jpg": file("orientation.jpg"),
      "3.png": file("checksum-IDAT.png"),
      "4.png": file("rgb.png"),
      "5.png": file("checksum-IDAT.png"),
      "6.png": file("checksum-IDAT.png"),
    });
    const told: string[] = [];
    const options: FolderOptions = { onWarning: (sentence) => told.push(sentence), keepBytes: 0 };
    {
      using dataset = await openDataset(folder, options);
      const [deep, turned] = dataset.notes!;
      assert.match(deep, /: 2 of 7 pictures have 16 bits per channel, .*: 0\.png is the first\.$/);
      assert.match(turned, /: 1 of 7 pictures has an EXIF orientation, which is not .*: 2\.jpg\.$/);
      // What a thread finds odd is decoded again here, so that it is told.
      using stream = new PrefetchingStream(new Loader(dataset, { seed: 0 }), 1);
      await stream.batch(0, 7);
      assert.match(told.join("\n"), /^\S+\.png has a wrong checksum in its chunk IDAT\.$/);
    }
    assert.equal(told.length, 2);
    assert.match(
      told[1],
      /^2 more pictures like \S+\.png have a wrong checksum in its chunk IDAT\.$/,
    );

    const strict = () => openDataset(folder, { strict: true });
    await assertFormatError(strict, /2 of 7 pictures have 16 bits.* --strict refuses it\.$/);
    for (const name of ["0.png", "1.png", "2.jpg"]) await Deno.remove(join(folder, name));
    using checked = await strict();
    await assertFormatError(
      () => checked.image(0),
      /3\.png has a wrong checksum.* --strict refuses/,
    );

    const notes: string[] = [];
    const out = join(folder, "out.zip");
    const prepare = (more = {}) =>
      prepareDataset(folder, out, { onNote: (note) => notes.push(note), workers: 2, ...more });
    await prepare();
    assert.deepEqual(notes, [
      `${join(folder, "3.png")} has a wrong checksum in its chunk IDAT.`,
      `2 more pictures like ${join(folder, "3.png")} have a wrong checksum in its chunk IDAT.`,
    ]);
    await Deno.remove(out);
    await assertFormatError(
      () => prepare({ strict: true }),
      /3\.png has a wrong checksum.*--strict/,
    );
  });
});

Deno.test("a picture that is damaged in mid-run is replaced by the next one where that is asked for", async () => {
  await withTempFolder(async (folder) => {
    const good = (value: number) =>
      encodePng({ width: 2, height: 2, channels: 1, data: new Uint8Array(4).fill(value) });
    const bad = good(9).slice(0, 45);
    await write(folder, {
      "a/0.png": good(0),
      "a/1.png": bad,
      "a/2.png": bad,
      "b/3.png": good(3),
      "b/4.png": bad,
      "b/5.png": new Uint8Array(9), // not even a header
    });
    const open = async (told: string[]) =>
      await openFolderDataset(await openFolderTree(folder), {
        onCorrupt: ({ message }) => told.push(message),
        onDamaged: ({ message }) => told.push(message),
      });
    const told: string[] = [];
    using dataset = await open(told);
    assert.equal(told.length, 1);
    assert.match(told[0], /5\.png is no picture/);
    const all = () => [0, 1, 2, 3, 4].map((i) => [dataset.image(i)[0], dataset.label(i)]);
    const expected = [[0, 0], [3, 1], [3, 1], [3, 1], [0, 0]];
    assert.deepEqual(all(), expected);
    assert.deepEqual(all(), expected);
    assert.equal(told.length, 4, "each is told once");
    for (const [i, name] of ["1.png", "2.png", "4.png"].entries()) {
      assert.match(told[i + 1], new RegExp(`${name} is truncated`));
    }
    // The same in threads, whose batches are those of a loader that works alone.
    using again = await open([]);
    using stream = new PrefetchingStream(new Loader(again, { seed: 3 }), 2);
    const alone = new Loader(dataset, { seed: 3 });
    for (let n = 0; n < 20; n += 4) {
      const [made, wanted] = [await stream.batch(n, 4), alone.batch(n, 4)];
      assert.deepEqual([made.images, made.labels], [wanted.images, wanted.labels]);
    }
    for (const name of ["a/0.png", "b/3.png"]) await Deno.writeFile(join(folder, name), bad);
    using none = await open([]);
    await assertFormatError(() => none.image(0), /has no picture that can be read/);
    await assertFormatError(
      async () => await openFolderDataset(await openZipTree(join(folder, "none.zip")), {}),
      /does not exist/,
    );
  });
});

Deno.test("where no picture can be read, the reason is said", async () => {
  await withTempFolder(async (folder) => {
    await write(folder, { "0.png": file("rgb.avif"), "1.png": new Uint8Array(8) });
    const expected =
      /has no picture that can be read, of 2: .*0\.png is an AVIF file, which is not read/;
    await assertFormatError(() => openDataset(folder, { onCorrupt: () => {} }), expected);
    await assertFormatError(
      () => prepareDataset(folder, join(folder, "a.zip"), { onCorrupt: () => {}, workers: 1 }),
      expected,
    );
  });
});

Deno.test("no path leads to an error that calls itself a bug", async () => {
  for (
    const path of ["", " ", "a\0b", "x".repeat(300), "x/".repeat(3000), "/dev/null", "-", ".zip"]
  ) {
    for (const verb of [["eval"], ["dataset", "info"], ["train", "--preset", "digits", "--data"]]) {
      const more = verb[0] === "eval"
        ? ["--reference", "digits"]
        : verb[0] === "train"
        ? ["--dry-run"]
        : [];
      const { code, stderr } = await imm(...verb, path, ...more);
      assert.ok(code === 1 || code === 2, `${verb} ${path}: ${code}`);
      assert.doesNotMatch(stderr, /bug in imm/);
    }
  }
});

Deno.test("data files are read under any name: archives, arrays, IDX and tar are told by their content", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const pixels = Uint8Array.from({ length: 3 * 4 * 4 }, (_, i) => i * 5);
    const same = async (name: string, images: number) => {
      using dataset = await openDataset(at(name));
      assert.deepEqual([dataset.length, dataset.imageShape], [images, [4, 4, 1]], name);
      assert.deepEqual(new Uint8Array(dataset.image(1)), pixels.subarray(16, 32), name);
    };
    await writeNpz(at("a.zip"), [["arr_0", { type: "u8", shape: [3, 4, 4], data: pixels }]]);
    await Deno.copyFile(at("a.zip"), at("a.download"));
    await same("a.zip", 3);
    await same("a.download", 3);

    await writeFileAtomic(at("pictures"), async (write) => {
      const writer = new ZipWriter(write);
      for (const i of [0, 1, 2]) {
        const data = pixels.subarray(16 * i, 16 * i + 16);
        const bytes = encodePng({ width: 4, height: 4, channels: 1, data });
        await writer.add(`${i}.png`, [bytes], { size: bytes.length });
      }
      await writer.finish();
    });
    await same("pictures", 3);
    const program = new TextEncoder().encode("MZ a program that unpacks what is behind it");
    const archive = await Deno.readFile(at("pictures"));
    await Deno.writeFile(at("pictures.exe"), Uint8Array.from([...program, ...archive]));
    await same("pictures.exe", 3);

    const idx = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 4, ...pixels]);
    await Deno.writeFile(at("digits.bytes"), idx);
    await same("digits.bytes", 3);
    await Deno.writeFile(at("digits.compressed"), gzipSync(idx));
    await same("digits.compressed", 3);
    await Deno.writeFile(at("program.exe"), program);
    await assertFormatError(
      () => openDataset(at("program.exe")),
      /program\.exe is not a zip archive/,
    );
    await Deno.writeFile(at("text"), new TextEncoder().encode("hello"));
    await assertFormatError(() => openDataset(at("text")), /no kind of data set that is known/);
  });
});

Deno.test("links in archives are named: what they lead to is not in the archive's file of that name", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a.zip");
    await writeFileAtomic(path, async (write) => {
      const writer = new ZipWriter(write);
      await writer.add("0.png", [png(1)], { size: png(1).length });
      await writer.add("1.png", [new Uint8Array(5)], { size: 5 });
      await writer.finish();
    });
    // As zip -y writes it: made on Unix, with the mode of a link, in the directory at the end.
    const bytes = await Deno.readFile(path);
    const entry = new TextDecoder("latin1").decode(bytes).lastIndexOf("PK\x01\x02");
    bytes[entry + 5] = 3;
    new DataView(bytes.buffer).setUint32(entry + 38, 0o120777 * 2 ** 16, true);
    await Deno.writeFile(path, bytes);
    using dataset = await openDataset(path);
    assert.equal(dataset.length, 1);
    assert.match(dataset.notes!.join(), /not used: 1 link that leads nowhere \(1\.png\)\.$/);
  });
});
