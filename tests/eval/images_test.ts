import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { decodeRgb } from "../../lib/base/bytes.ts";
import { ArrayDataset } from "../../lib/data/dataset.ts";
import {
  datasetImages,
  generatedImages,
  imageBatches,
  memoryImages,
  toBytes,
} from "../../lib/eval/images.ts";

Deno.test("toBytes rounds and clips floats as EDM's generate.py does", () => {
  // (x * 127.5 + 128).clip(0, 255).to(uint8)
  deepStrictEqual(
    [...toBytes(Float32Array.of(-2, -1, -0.999, 0, 0.5, 0.9961, 1, 2))],
    [0, 0, 0, 128, 191, 255, 255, 255],
  );
  const bytes = Uint8Array.of(3, 4);
  strictEqual(toBytes(bytes), bytes);
  // Next to a boundary between two bytes only the same roundings to float32 give the same byte.
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  const edges = Array.from({ length: 255 }, (_, byte) => (byte + 1 - 128) / 127.5);
  const beside = Float32Array.from(edges.flatMap((edge) =>
    [-2, -1, 0, 1, 2].map((ulps) => {
      value[0] = edge;
      bits[0] += ulps;
      return value[0];
    })
  ));
  deepStrictEqual(toBytes(beside), decodeRgb(beside));
});

Deno.test("datasetImages yields images and labels in order, up to the limit", async () => {
  const pixels = Uint8Array.from({ length: 5 * 6 }, (_, i) => i);
  const dataset = new ArrayDataset("five", [1, 2, 3], pixels, Int32Array.of(4, 3, 2, 1, 0));
  const source = datasetImages(dataset, { limit: 4 });
  strictEqual(source.count, 4);
  deepStrictEqual(await Array.fromAsync(imageBatches(source, 3)), [
    {
      count: 3,
      height: 1,
      width: 2,
      channels: 3,
      data: pixels.slice(0, 18),
      labels: Int32Array.of(4, 3, 2),
    },
    {
      count: 1,
      height: 1,
      width: 2,
      channels: 3,
      data: pixels.slice(18, 24),
      labels: Int32Array.of(1),
    },
  ]);
  strictEqual(datasetImages(dataset, { limit: 99 }).count, 5);
});

Deno.test("datasetImages has no labels where the data set has none, and refuses alpha", async () => {
  const gray = new ArrayDataset("gray", [1, 1, 1], Uint8Array.of(1, 2), null);
  const [batch] = await Array.fromAsync(imageBatches(datasetImages(gray), 2));
  strictEqual(batch.labels, undefined);
  const alpha = new ArrayDataset("alpha", [1, 1, 4], new Uint8Array(4), null);
  throws(() => datasetImages(alpha), /alpha has images of 4 channels/);
});

Deno.test("generatedImages asks for consecutive runs and nothing beyond the end", async () => {
  const asked: number[][] = [];
  const source = generatedImages("generator", 7, (first, count) => {
    asked.push([first, count]);
    const data = new Uint8Array(count);
    return Promise.resolve({ count, height: 1, width: 1, channels: 1, data });
  });
  await Array.fromAsync(imageBatches(source, 3));
  deepStrictEqual(asked, [[0, 3], [3, 3], [6, 1]]);
});

Deno.test("memoryImages cuts images and labels into batches", async () => {
  const source = memoryImages("memory", {
    count: 3,
    height: 1,
    width: 1,
    channels: 1,
    data: Float32Array.of(-1, 0, 1),
    labels: Int32Array.of(7, 8, 9),
  });
  const batches = await Array.fromAsync(imageBatches(source, 2));
  deepStrictEqual(batches.map(({ data }) => [...data]), [[0, 128], [255]], "as files hold them");
  deepStrictEqual(batches.map(({ labels }) => [...labels!]), [[7, 8], [9]]);
});
