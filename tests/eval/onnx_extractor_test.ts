import { deepStrictEqual, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import { OnnxExtractor } from "../../lib/eval/extractors/onnx_extractor.ts";
import { descriptionMetadata } from "../../lib/eval/extractors/onnx_description.ts";
import type { ImageBatch } from "../../lib/eval/images.ts";
import { OnnxGraph } from "../../lib/formats/onnx/model.ts";
import * as layers from "../../lib/formats/onnx/layers.ts";
import { assertClose } from "../support/close.ts";
import { withTempFolder } from "../support/files.ts";

type Description = Parameters<typeof descriptionMetadata>[0];

/** Describes {@link model}, which sums each channel over the image. */
const DESCRIPTION: Description = {
  version: 1,
  id: "channel-means",
  input: {
    name: "images",
    height: 2,
    width: 3,
    channels: 3,
    layout: "NCHW",
    type: "float32",
    scale: [1, 2, 3],
    offset: [0, 10, 20],
  },
  features: { name: "features", size: 3 },
  logits: { name: "logits", size: 2 },
  batch: 4,
};

const WEIGHT = Float32Array.of(1, 0, 0, 0, 0, 1);

function model(description: Description | null = DESCRIPTION): Uint8Array<ArrayBuffer> {
  const graph = new OnnxGraph("test");
  const nhwc = description?.input.layout === "NHWC";
  const isByte = description?.input.type === "uint8";
  const type = isByte ? "uint8" : "float32";
  let x = graph.input("images", type, nhwc ? ["N", "H", "W", 3] : ["N", 3, "H", "W"]);
  if (isByte) x = graph.node("Cast", [x], { to: 1 });
  if (nhwc) x = graph.node("Transpose", [x], { perm: [0, 3, 1, 2] });
  const features = layers.globalAveragePool(graph, x);
  graph.output(features, "features", "float32", ["N", 3]);
  const logits = layers.linear(graph, features, { data: WEIGHT, shape: [2, 3] });
  graph.output(logits, "logits", "float32", ["N", 2]);
  if (description) graph.metadata.set(...descriptionMetadata(description));
  return graph.toBytes();
}

/** `count` images of 2x3 whose channels have the means 10 i, 10 i + 1, 10 i + 2. */
function images(count: number, channels = 3): ImageBatch {
  const data = new Uint8Array(count * 6 * channels);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / channels);
    data[i] = 10 * Math.floor(pixel / 6) + i % channels + (pixel % 2 === 0 ? 5 : -5) + 5;
  }
  return { count, height: 2, width: 3, channels, data };
}

Deno.test("OnnxExtractor scales, batches and returns features and logits", async () => {
  await using extractor = await OnnxExtractor.load(model(), { threads: 1 });
  strictEqual(extractor.dimension, 3);
  strictEqual(extractor.classes, 2);
  const { features, logits } = await extractor.extract(images(9));
  const means = Array.from({ length: 9 }, (_, i) => [0, 1, 2].map((c) => 10 * i + c + 5));
  const expected = means.map(([r, g, b]) => [r, 2 * g + 10, 3 * b + 20]);
  assertClose(features, expected.flat(), { rel: 1e-6 });
  assertClose(logits!, expected.flatMap(([r, , b]) => [r, b]), { rel: 1e-6 });
});

Deno.test("OnnxExtractor gives the same bits however images are grouped", async () => {
  await using extractor = await OnnxExtractor.load(model(), { threads: 1 });
  const whole = (await extractor.extract(images(9))).features;
  for (let i = 0; i < 9; i++) {
    const data = images(9).data.subarray(i * 18, i * 18 + 18);
    const { features } = await extractor.extract({ ...images(1), data });
    deepStrictEqual(features, whole.slice(i * 3, i * 3 + 3));
  }
});

Deno.test("OnnxExtractor reads channels-last bytes and takes floats as bytes", async () => {
  const input = { ...DESCRIPTION.input, layout: "NHWC", type: "uint8" } as const;
  const description = { ...DESCRIPTION, input: { ...input, scale: 1, offset: 0 } };
  await using extractor = await OnnxExtractor.load(model(description), { threads: 1 });
  const batch = images(5);
  const { features } = await extractor.extract(batch);
  assertClose(features.subarray(12), [45, 46, 47], { rel: 1e-6 });
  const floats = Float32Array.from(batch.data, (byte) => byte / 127.5 - 1);
  deepStrictEqual((await extractor.extract({ ...batch, data: floats })).features, features);
});

Deno.test("OnnxExtractor feeds floats of a generator without rounding, and clamps them", async () => {
  await using extractor = await OnnxExtractor.load(model(), { threads: 1 });
  const data = new Float32Array(18).fill(0.1);
  for (let i = 0; i < 18; i += 3) data[i] = 2; // red
  const { features } = await extractor.extract({ ...images(1), data });
  assertClose(features, [255, 2 * 140.25 + 10, 3 * 140.25 + 20], { rel: 1e-6 });
});

Deno.test("OnnxExtractor repeats grey images where the network wants colours", async () => {
  const input = { ...DESCRIPTION.input, scale: 1, offset: 0 };
  await using extractor = await OnnxExtractor.load(model({ ...DESCRIPTION, input }), {
    threads: 1,
  });
  const { features } = await extractor.extract(images(2, 1));
  assertClose(features, [5, 5, 5, 15, 15, 15], { rel: 1e-6 });
});

Deno.test("OnnxExtractor takes a description for models that have none", async () => {
  const bare = model(null);
  await rejects(OnnxExtractor.load(bare, { threads: 1 }), /does not describe itself/);
  await using given = await OnnxExtractor.load(bare, { description: DESCRIPTION, threads: 1 });
  const other = { ...DESCRIPTION, input: { ...DESCRIPTION.input, scale: 1 } };
  await using rescaled = await OnnxExtractor.load(bare, { description: other, threads: 1 });
  notStrictEqual(given.hash, rescaled.hash, "preprocessing is part of the hash");
});

/** Features of a convolution that is large enough to be shared among threads. */
async function extractInWorker(threads: number): Promise<Float32Array> {
  const size = 64;
  const graph = new OnnxGraph("test");
  const x = graph.input("images", "float32", ["N", 3, size, size]);
  const data = Float32Array.from({ length: 16 * 27 }, (_, i) => Math.sin(i));
  const convolved = layers.conv2d(graph, x, { data, shape: [16, 3, 3, 3] });
  graph.output(layers.flatten(graph, convolved), "features", "float32");
  const input = { ...DESCRIPTION.input, height: size, width: size, scale: 1, offset: 0 };
  const features = { name: "features", size: 16 * (size - 2) ** 2 };
  graph.metadata.set(...descriptionMetadata({ version: 1, id: "conv", input, features, batch: 4 }));
  const pixels = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * i) % 251);
  const batch = { count: 1, height: size, width: size, channels: 3, data: pixels };

  const worker = new Worker(new URL("./extract_worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ model: graph.toBytes(), images: batch, threads });
    });
  } finally {
    worker.terminate();
  }
}

Deno.test("OnnxExtractor works in Workers and gives the same bits with several threads", async () => {
  const one = await extractInWorker(1);
  strictEqual(one.length, 16 * 62 * 62);
  deepStrictEqual(await extractInWorker(2), one);
});

Deno.test("OnnxExtractor says what is wrong with a model or with images", async () => {
  const load = (description: unknown) =>
    OnnxExtractor.load(model(null), { description: description as Description, threads: 1 });
  await rejects(load({ ...DESCRIPTION, batch: 0 }), /is not valid: .*batch/s);
  await rejects(
    load({ ...DESCRIPTION, input: { ...DESCRIPTION.input, scale: [1, 2] } }),
    /needs a number per channel \(3\), found 2/,
  );
  const wrongOutput = { ...DESCRIPTION, features: { name: "pool", size: 3 } };
  await rejects(load(wrongOutput), /has no pool; its inputs are images and its outputs features/);
  const broken = model();
  broken.fill(0, 20, 60);
  await rejects(OnnxExtractor.load(broken, { threads: 1 }), FormatError);

  await using extractor = await OnnxExtractor.load(model(), { threads: 1 });
  await rejects(
    extractor.extract({ ...images(1), height: 3, width: 2 }),
    (error) => error instanceof UsageError && /2x3x3, found 3x2x3/.test(error.message),
  );
  const wrongSize = { ...DESCRIPTION, features: { name: "features", size: 4 } };
  await using misdescribed = await load(wrongSize);
  await rejects(misdescribed.extract(images(1)), /4 numbers per image, found float32 \[4, 3\]/);
});

Deno.test("OnnxExtractor finds a description beside the model, and resizes as it says", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "net.onnx");
    await Deno.writeFile(path, model(null));
    await rejects(OnnxExtractor.load(path, { threads: 1 }), /ends in \.json/);
    const input = { ...DESCRIPTION.input, height: 4, width: 6, scale: 1, offset: 0 };
    const describe = (resize: unknown) =>
      Deno.writeTextFile(
        join(folder, "net.json"),
        JSON.stringify({ ...DESCRIPTION, input: { ...input, resize } }),
      );
    await describe("nearest");
    await rejects(OnnxExtractor.load(path, { threads: 1 }), /resize/);
    await describe("pil-bicubic");
    await using extractor = await OnnxExtractor.load(path, { threads: 1 });
    const { features } = await extractor.extract(images(2));
    // Enlarging by two keeps the mean of columns that alternate, but for the border.
    const means = [10, 11, 12, 20, 21, 22].map((mean) => mean - 5);
    assertClose(features, means, { abs: 1 });
    // What has the size already is not touched.
    const data = new Uint8Array(4 * 6 * 3).fill(7);
    const same = await extractor.extract({ count: 1, height: 4, width: 6, channels: 3, data });
    assertClose(same.features, [7, 7, 7], { rel: 1e-6 });
  });
});

Deno.test("OnnxExtractor gives the layers of its description that are asked for", async () => {
  const description = { ...DESCRIPTION, taps: { other: { name: "logits", size: 2 } } };
  await using extractor = await OnnxExtractor.load(model(description), { threads: 1 });
  deepStrictEqual(extractor.layers, { other: 2 });
  const { layers, logits } = await extractor.extract(images(3), ["other"]);
  deepStrictEqual(layers!.other, logits);
  strictEqual((await extractor.extract(images(3))).layers, undefined);
  await rejects(extractor.extract(images(1), ["64"]), /has no output "64"; it has other/);
});
