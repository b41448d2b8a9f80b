/** What tells data sets apart, and what does not. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import type { Dataset } from "../../lib/data/dataset.ts";
import { ArrayDataset } from "../../lib/data/dataset.ts";
import {
  type DataFingerprint,
  effortOf,
  fingerprint,
  fingerprintDifferences,
} from "../../lib/data/fingerprint.ts";
import { openImagesOrLatents } from "../../lib/data/open.ts";
import { PaddedDataset } from "../../lib/data/images/padded.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { withTempFolder } from "../support/files.ts";
import { edm2Files, LABELS, LATENTS, MEANS, writeZip } from "../support/examples/latents.ts";
import { hashPicture } from "../support/examples/pictures.ts";

const PETS = ["cat/0.png", "cat/1.png", "cow/0.png", "dog/0.png"];

/** Four pictures of 8 x 8, or of those given; picture i is the hash picture's pixels plus i. */
async function petFiles(paths: readonly string[] = PETS): Promise<[string, Uint8Array][]> {
  return await Promise.all(paths.map(async (path, i): Promise<[string, Uint8Array]> => {
    const picture = hashPicture(8, 8, 1);
    return [path, await encodePng({ ...picture, data: picture.data.map((value) => value + i) })];
  }));
}

async function writeFolder(root: string, files: readonly [string, Uint8Array][]): Promise<string> {
  for (const [path, bytes] of files) {
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.writeFile(join(root, path), bytes);
  }
  return root;
}

async function of(path: string, before?: DataFingerprint): Promise<DataFingerprint> {
  using set = await openImagesOrLatents(path);
  return fingerprint(set, before && effortOf(before));
}

Deno.test("the same pictures have one fingerprint in a folder, moved, in an archive and in an npz", () =>
  withTempFolder(async (folder) => {
    const files = await petFiles();
    const first = await of(await writeFolder(join(folder, "pets"), files));
    assert.deepEqual(
      [first.kind, first.items, first.shape, first.classes, first.classNames],
      ["images", 4, [8, 8, 1], 3, ["cat", "cow", "dog"]],
    );
    assert.equal(first.sizes?.items, 4);
    assert.equal(first.contents.items, 4);
    const moved = await of(await writeFolder(join(folder, "else", "where"), files));
    assert.deepEqual(moved, first);

    const zip = join(folder, "pets.zip");
    await writeZip(zip, new Map(files));
    const zipped = await of(zip);
    assert.match(zipped.stored!, /^zip:[0-9a-f]{8}$/);
    assert.match(first.stored!, /^heads:[0-9a-f]{8}$/);
    assert.deepEqual({ ...zipped, stored: null }, { ...first, stored: null });
    assert.deepEqual(fingerprintDifferences(first, zipped), []);

    const npz = join(folder, "pets.npz");
    const pixels = Array.from({ length: 4 }, (_, i) => hashPicture(8, 8, 1).data.map((v) => v + i));
    await writeNpz(npz, [
      ["arr_0", {
        type: "u8",
        shape: [4, 8, 8, 1],
        data: Uint8Array.from(pixels.flatMap((each) => [...each])),
      }],
      ["arr_1", { type: "i64", shape: [4], data: BigInt64Array.of(0n, 0n, 1n, 2n) }],
    ]);
    const array = await of(npz);
    assert.match(array.stored!, /^npz:[0-9a-f]{8}$/);
    assert.equal(array.classNames, null);
    assert.deepEqual(fingerprintDifferences(first, array), []);
    assert.deepEqual(fingerprintDifferences(array, first), []);
  }));

Deno.test("other names, labels, pictures, sizes and numbers are told in words", () =>
  withTempFolder(async (folder) => {
    const first = await of(await writeFolder(join(folder, "first"), await petFiles()));
    let count = 0;
    const expectAll = async (
      files: readonly [string, Uint8Array][],
      found: readonly string[],
      options = {},
    ) => {
      const now = await of(await writeFolder(join(folder, `${count++}`), files), first);
      assert.deepEqual(fingerprintDifferences(first, now, options), found);
    };
    const renamed = await petFiles(["ape/0.png", "ape/1.png", "cow/0.png", "dog/0.png"]);
    await expectAll(renamed, ["class 0 was cat, now ape"]);
    await expectAll(renamed, [], { labels: false });
    // The folder of the cats is called dog, and that of the dog cat: the same names.
    const [cat0, cat1, cow, dog] = await petFiles();
    const swapped: [string, Uint8Array][] = [
      ["cat/0.png", dog[1]],
      cow,
      ["dog/0.png", cat0[1]],
      ["dog/1.png", cat1[1]],
    ];
    await expectAll(swapped, ["images have other labels", "images have other contents"]);
    await expectAll([cat0, cow, dog], ["their number was 4, now 3"]);
    await expectAll([cat0, cat1, cow], [
      "their number was 4, now 3",
      "the number of classes was 3, now 2; without dog",
    ]);
    await expectAll([cat0, ["cat/1.png", cat0[1]], cow, dog], ["images have other contents"]);
    const wide = await Promise.all(PETS.map(async (path): Promise<[string, Uint8Array]> => [
      path,
      await encodePng(hashPicture(8, 16, 3)),
    ]));
    await expectAll(wide, [
      "they were images of 8 x 8 with 1 channel, now images of 16 x 8 with 3 channels",
    ]);
  }));

/** As many pictures of `side` x `side` as said, each of one value, decoded when they are needed. */
function manyPictures(count: number, side: number, changed = -1): Dataset {
  const plain = new ArrayDataset("many", [1, 1, 1], new Uint8Array(count), null);
  const decoding = { totalBytes: 0, isKept: false } as unknown as Dataset["decoding"];
  return Object.assign(Object.create(plain), {
    length: count,
    labelCount: 0,
    imageShape: [side, side, 1],
    decoding,
    image: (i: number) => new Uint8Array(side * side).fill(i === changed ? i + 1 : i),
    fileSize: (i: number) => i === changed ? 101 : 100,
    storedChecksum: () => `zip:${changed}`,
  });
}

Deno.test("of many pictures some are decoded, spread over all, and the rest is told by files", () => {
  const before = fingerprint(manyPictures(1000, 512));
  assert.equal(before.contents.items, 64);
  assert.equal(before.sizes?.items, 1000);
  const differences = (changed: number) =>
    fingerprintDifferences(
      before,
      fingerprint(manyPictures(1000, 512, changed), effortOf(before)),
    );
  assert.deepEqual(differences(-1), []);
  const decoded = Math.floor(10.5 * 1000 / 64);
  assert.deepEqual(differences(decoded), [
    "images have other contents (64 of 1000 were compared)",
  ]);
  assert.deepEqual(differences(decoded + 1), ["files have other sizes"]);
  const now = fingerprint(manyPictures(1000, 512, 3), effortOf(before));
  assert.deepEqual(fingerprintDifferences({ ...before, sizes: null }, now), [
    "files have other contents",
  ]);
  // A container of another kind says something else about the same contents.
  assert.deepEqual(fingerprintDifferences({ ...before, sizes: null, stored: "npz:3" }, now), []);
  assert.deepEqual(fingerprintDifferences({ ...before, sizes: null, stored: null }, now), []);
});

Deno.test("a picture of a folder that is not among those decoded is told by its first bytes", () =>
  withTempFolder(async (folder) => {
    const files = await petFiles();
    const before = { ...await of(await writeFolder(join(folder, "before"), files)) };
    files[2][1][files[2][1].length - 14] ^= 1;
    const now = await of(await writeFolder(join(folder, "now"), files));
    // As if there were too many to decode all of them.
    const some = (each: DataFingerprint) => ({ ...each, contents: { items: 1, sha256: "" } });
    assert.deepEqual(fingerprintDifferences(some(before), some(now)), [
      "files have other contents",
    ]);
  }));

Deno.test("an array in memory is looked at as a whole, a large one in part", () => {
  const pixels = new Uint8Array(40_000 * 32 * 32);
  const of = () => fingerprint(new ArrayDataset("array", [32, 32, 1], pixels, null));
  const before = of();
  assert.equal(before.contents.items, 40_000);
  pixels[12_345_678] = 1;
  assert.deepEqual(fingerprintDifferences(before, of()), ["images have other contents"]);
});

Deno.test("a padded data set tells what the one within tells, and its own size", () =>
  withTempFolder(async (folder) => {
    const zip = join(folder, "pets.zip");
    await writeZip(zip, new Map(await petFiles()));
    const inner = await openImagesOrLatents(zip) as Dataset;
    const plain = fingerprint(inner);
    using padded = new PaddedDataset(inner, 12);
    const { stored, sizes, shape, contents } = fingerprint(padded);
    assert.deepEqual([stored, sizes, shape], [plain.stored, plain.sizes, [12, 12, 1]]);
    assert.notEqual(contents.sha256, plain.contents.sha256);
  }));

Deno.test("a damaged picture does not keep a fingerprint from being made, and is part of it", () =>
  withTempFolder(async (folder) => {
    const files = await petFiles();
    const whole = await of(await writeFolder(join(folder, "whole"), files));
    const damaged = files[1][1].slice();
    damaged[damaged.length - 20] ^= 255;
    files[1][1] = damaged;
    const now = await of(await writeFolder(join(folder, "damaged"), files));
    assert.deepEqual(fingerprintDifferences(whole, now), ["images have other contents"]);
  }));

Deno.test("latents are told apart by their numbers, those of mirrored pictures too", () =>
  withTempFolder(async (folder) => {
    const shape = [LATENTS.count, LATENTS.channels, LATENTS.side, LATENTS.side];
    const write = async (name: string, data: Float32Array, mirrored: Float32Array) => {
      const path = join(folder, name);
      await writeNpz(path, [
        ["latents", { type: "f32", shape, data }],
        ["latents_flip", { type: "f32", shape, data: mirrored }],
        ["labels", { type: "i64", shape: [6], data: BigInt64Array.from(LABELS, BigInt) }],
      ]);
      return await of(path);
    };
    const other = MEANS.slice();
    other[77]++;
    const before = await write("a.npz", MEANS, MEANS);
    assert.equal(before.kind, "latents");
    assert.deepEqual(fingerprintDifferences(before, await write("b.npz", MEANS, MEANS)), []);
    const changed = ["images have other contents"];
    assert.deepEqual(fingerprintDifferences(before, await write("c.npz", other, MEANS)), changed);
    assert.deepEqual(fingerprintDifferences(before, await write("d.npz", MEANS, other)), changed);
    const zip = join(folder, "edm2.zip");
    await writeZip(zip, await edm2Files());
    assert.match((await of(zip)).stored!, /^zip:/);
  }));
