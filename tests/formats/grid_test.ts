import assert from "node:assert/strict";
import {
  enlarge,
  enlargement,
  imageGrid,
  ofOneSize,
  splitImages,
} from "../../lib/formats/image/grid.ts";
import { assertFormatError } from "../support/files.ts";

const one = (...values: number[]) => ({
  width: 2,
  height: 1,
  channels: 1,
  data: Uint8Array.from(values),
});

Deno.test("a grid lays pictures out row by row with padding around them", () => {
  const grid = imageGrid([one(1, 2), one(3, 4), one(5, 6)], {
    columns: 2,
    padding: 1,
    background: 9,
  });
  assert.deepEqual([grid.width, grid.height, grid.channels], [7, 5, 1]);
  // deno-fmt-ignore
  assert.deepEqual([...grid.data], [
    9, 9, 9, 9, 9, 9, 9,
    9, 1, 2, 9, 3, 4, 9,
    9, 9, 9, 9, 9, 9, 9,
    9, 5, 6, 9, 9, 9, 9,
    9, 9, 9, 9, 9, 9, 9,
  ]);
});

Deno.test("by default a grid is about square and never wider than its pictures", () => {
  const of = (count: number) => imageGrid(Array.from({ length: count }, () => one(0, 0)));
  assert.deepEqual([of(9).width / 2, of(9).height], [3, 3]);
  assert.deepEqual([of(10).width / 2, of(10).height], [4, 3]);
  assert.equal(imageGrid([one(0, 0)], { columns: 8 }).width, 2);
});

Deno.test("enlarging repeats pixels, channels together", () => {
  const image = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  const row = [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6];
  assert.deepEqual(enlarge(image, 2), {
    width: 4,
    height: 2,
    channels: 3,
    data: Uint8Array.from([...row, ...row]),
  });
  assert.deepEqual(imageGrid([image], { scale: 2 }), enlarge(image, 2));
  assert.deepEqual([8, 28, 32, 64, 256].map((size) => enlargement(size)), [8, 3, 2, 1, 1]);
});

Deno.test("a batch is cut into pictures that share its memory", () => {
  const data = Uint8Array.from({ length: 12 }, (_, i) => i);
  const images = splitImages(data, [1, 2, 3]);
  assert.equal(images.length, 2);
  assert.deepEqual([...images[1].data], [6, 7, 8, 9, 10, 11]);
  assert.deepEqual([images[1].width, images[1].height, images[1].channels], [2, 1, 3]);
  assert.equal(images[1].data.buffer, data.buffer);
});

Deno.test("no pictures, or pictures that are not alike, make no grid", async () => {
  await assertFormatError(() => imageGrid([]), /at least one picture/);
  const other = { width: 1, height: 2, channels: 1, data: new Uint8Array(2) };
  await assertFormatError(() => imageGrid([one(1, 2), other]), /picture 1 is 1 x 2 x 1/);
});

Deno.test("pictures of different sizes are put in the middle of the largest", () => {
  const wide = { width: 3, height: 1, channels: 1, data: Uint8Array.of(1, 2, 3) };
  const tall = { width: 1, height: 2, channels: 1, data: Uint8Array.of(4, 5) };
  const same = (data: number[]) => ({
    width: 3,
    height: 2,
    channels: 1,
    data: Uint8Array.from(data),
  });
  assert.deepEqual(ofOneSize([wide, tall], 9), [
    same([1, 2, 3, 9, 9, 9]),
    same([9, 4, 9, 9, 5, 9]),
  ]);
});
