/** Samples as files. */

import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { UsageError } from "../../lib/base/errors.ts";
import { NpzFile } from "../../lib/formats/arrays/npz.ts";
import { decodePng } from "../../lib/formats/image/png.ts";
import { openSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { openZip } from "../../lib/formats/archive/zip.ts";
import { encodeRgb } from "../../lib/base/bytes.ts";
import type { GeneratedBatch } from "../../lib/sample/generator.ts";
import { checkOutput, outputFormat, writeSamples } from "../../lib/sample/output/open.ts";
import type { SampleSet } from "../../lib/sample/output/sample_set.ts";
import { withTempFolder } from "../support/files.ts";

/** Pixels of image i of a set: 2 x 3, RGB. */
function pixels(i: number): Uint8Array {
  return Uint8Array.from({ length: 18 }, (_, j) => (37 * i + 11 * j) % 256);
}

function setOf(seeds: readonly number[], more: Partial<SampleSet> = {}): SampleSet {
  return { shape: [2, 3, 3], seeds, labels: seeds.map((seed) => seed % 7), ...more };
}

/** The images of a set, two by two. */
async function* batches({ seeds }: SampleSet): AsyncGenerator<GeneratedBatch> {
  for (let first = 0; first < seeds.length; first += 2) {
    const own = seeds.slice(first, first + 2);
    const samples = Float32Array.from(own.flatMap((seed) => [...encodeRgb(pixels(seed))]));
    yield await Promise.resolve({ first, count: own.length, samples });
  }
}

async function names(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map((entry) => entry.name).sort();
}

Deno.test("a folder gets one picture per image, named by its seed", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 1234567]);
    const path = join(folder, "a", "b");
    equal(await writeSamples(path, "folder", set, batches(set)), 3);
    deepEqual(await names(path), ["000003.png", "000012.png", "1234567.png"]);
    const picture = decodePng(await Deno.readFile(join(path, "000012.png")), "12");
    deepEqual(picture, { width: 3, height: 2, channels: 3, data: pixels(12) });
  }));

Deno.test("many pictures go into folders of a thousand", () =>
  withTempFolder(async (folder) => {
    const set = setOf(Array.from({ length: 1002 }, (_, i) => i + 5));
    equal(await writeSamples(folder, "folder", set, batches(set)), 1002);
    deepEqual(await names(folder), ["000000", "001000"]);
    deepEqual((await names(join(folder, "000000")))[0], "000005.png");
    deepEqual((await names(join(folder, "001000"))).at(-1), "001006.png");
    const picture = decodePng(await Deno.readFile(join(folder, "001000", "001003.png")), "1003");
    deepEqual(picture.data, pixels(1003));
  }));

Deno.test("a zip archive holds the same pictures", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 4]);
    const path = join(folder, "a.zip");
    equal(await writeSamples(path, "zip", set, batches(set)), 1);
    using zip = await openZip(path);
    deepEqual([...zip.members.keys()], ["000003.png", "000012.png", "000004.png"]);
    using member = await zip.open("000004.png");
    deepEqual(decodePng(await member.read(0, member.size), "4").data, pixels(4));
  }));

Deno.test("an npz file holds bytes and classes as the public evaluators read them", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 4]);
    const path = join(folder, "a.npz");
    equal(await writeSamples(path, "npz", set, batches(set)), 1);
    using file = await NpzFile.open(path);
    deepEqual(file.names, ["arr_0", "arr_1"]);
    const images = (await file.array("arr_0")).read();
    equal(images.type, "u8");
    deepEqual(images.shape, [3, 2, 3, 3]);
    deepEqual([...images.bytes], [3, 12, 4].flatMap((seed) => [...pixels(seed)]));
    const classes = (await file.array("arr_1")).read();
    equal(classes.type, "i64");
    deepEqual([...classes.toFloat64()], [3, 5, 4]);
  }));

Deno.test("images without classes make an npz file without arr_1", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12], { labels: [1, null] });
    const path = join(folder, "a.npz");
    await writeSamples(path, "npz", set, batches(set));
    using file = await NpzFile.open(path);
    deepEqual(file.names, ["arr_0"]);
  }));

Deno.test("samples that are not pictures stay numbers", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12], { shape: [9, 2] });
    const samples = Float32Array.from({ length: 36 }, (_, i) => i / 7);
    const points = async function* () {
      yield await Promise.resolve({ first: 0, count: 2, samples });
    };
    const npz = join(folder, "a.npz");
    await writeSamples(npz, "npz", set, points());
    using file = await NpzFile.open(npz);
    const array = (await file.array("arr_0")).read();
    deepEqual([array.type, array.shape], ["f32", [2, 9, 2]]);
    deepEqual(array.toFloat32(), samples);
    await rejects(checkOutput(join(folder, "a.png"), "grid", set), UsageError);
  }));

Deno.test("safetensors hold the samples as the network made them", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 4]);
    const path = join(folder, "a.safetensors");
    await writeSamples(path, "safetensors", set, batches(set));
    using file = await openSafetensors(path);
    const samples = await file.read("samples");
    deepEqual(samples.shape, [3, 2, 3, 3]);
    deepEqual(samples.toFloat32().slice(36), encodeRgb(pixels(4)));
    deepEqual([...(await file.read("seeds")).toFloat64()], [3, 12, 4]);
    deepEqual([...(await file.read("labels")).toFloat64()], [3, 5, 4]);
  }));

Deno.test("a grid shows the images in rows, enlarged when they are tiny", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 4], { columns: 2 });
    const path = join(folder, "a.png");
    equal(await writeSamples(path, "grid", set, batches(set)), 1);
    const { width, height, channels, data } = decodePng(await Deno.readFile(path), "grid");
    const scale = 11; // 3 pixels to at least 32
    deepEqual([width, height, channels], [9 * scale, 7 * scale, 3]);
    // The first pixel of the third image, in the second row: behind two paddings and an image.
    const at = ((4 * scale + 5) * width + scale + 5) * 3;
    deepEqual([...data.subarray(at, at + 3)], [...pixels(4).subarray(0, 3)]);
  }));

Deno.test("the format follows from the path", async () => {
  equal(await outputFormat("a.png"), "grid");
  equal(await outputFormat("a.NPZ"), "npz");
  equal(await outputFormat("a.zip"), "zip");
  equal(await outputFormat("a.safetensors"), "safetensors");
  equal(await outputFormat("samples"), "folder");
  equal(await outputFormat("samples.1/"), "folder");
  await withTempFolder(async (folder) => {
    const dotted = join(folder, "run.v2");
    await Deno.mkdir(dotted);
    equal(await outputFormat(dotted), "folder");
  });
  await rejects(outputFormat("a.jpg"), (error) => {
    match((error as Error).message, /a\.jpg: expected a name that ends in \.png/);
    return error instanceof UsageError;
  });
});

Deno.test("what cannot be written is refused before the work", () =>
  withTempFolder(async (folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    const fails = async (
      path: string,
      format: Parameters<typeof checkOutput>[1],
      message: RegExp,
      set = setOf([1]),
    ) =>
      await rejects(checkOutput(path, format, set), (error) => {
        match((error as Error).message, message);
        return error instanceof UsageError;
      });
    await fails(file, "folder", /is a file; give the name of a folder/);
    await fails(folder, "npz", /is a folder; give the name of a file/);
    await fails(
      join(folder, "a"),
      "folder",
      /\[2\] are not grey or colour/,
      setOf([1], { shape: [2] }),
    );
    const large = setOf(Array.from({ length: 600 }, (_, i) => i), { shape: [1024, 1024, 3] });
    await fails(join(folder, "a.png"), "grid", /more than \d+; write a folder/, large);
    await checkOutput(join(folder, "new", "folder"), "folder", setOf([1]));
    await checkOutput(join(folder, "a.npz"), "npz", setOf([1]));
  }));

Deno.test("a run that fails leaves no file", () =>
  withTempFolder(async (folder) => {
    const set = setOf([3, 12, 4]);
    const failing = async function* () {
      yield (await batches(set).next()).value as GeneratedBatch;
      throw new Error("lost");
    };
    for (const format of ["grid", "zip", "npz", "safetensors"] as const) {
      await rejects(writeSamples(join(folder, "a"), format, set, failing()), /lost/);
    }
    deepEqual(await names(folder), []);
  }));
