import { deepStrictEqual, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { PixelExtractor } from "../../lib/eval/extractors/pixels.ts";
import { assertClose } from "../support/close.ts";

const SIZE = { height: 1, width: 2, channels: 1 };

Deno.test("PixelExtractor scales bytes to [-1, 1] and clamps floats", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  strictEqual(extractor.dimension, 2);
  const bytes = await extractor.extract({
    ...SIZE,
    count: 2,
    data: Uint8Array.of(0, 255, 51, 204),
  });
  assertClose(bytes.features, [-1, 1, -0.6, 0.6], { abs: 1e-7 });
  const floats = await extractor.extract({ ...SIZE, count: 1, data: Float32Array.of(-1.5, 0.25) });
  deepStrictEqual(floats.features, Float32Array.of(-1, 0.25));
});

Deno.test("PixelExtractor is a different extractor for every size", async () => {
  const wide = await PixelExtractor.create({ ...SIZE, width: 4 });
  const high = await PixelExtractor.create({ ...SIZE, height: 2 });
  notStrictEqual(wide.hash, high.hash);
  strictEqual(wide.hash, (await PixelExtractor.create({ ...SIZE, width: 4 })).hash);
  await rejects(
    wide.extract({ ...SIZE, count: 1, data: new Uint8Array(2) }),
    /needs images of 1x4x1, found 1x2x1/,
  );
});

Deno.test("PixelExtractor refuses large images", async () => {
  const size = { height: 64, width: 64, channels: 3 };
  await rejects(PixelExtractor.create(size), /at most 4096 numbers, found 64x64x3/);
});
