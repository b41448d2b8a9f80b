/**
 * Expected values: `numpy.asarray(picture.resize((width, height), Image.LANCZOS))` and so on under
 * Pillow 13, of the picture that `hashPicture` makes.
 */

import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { RESIZE_FILTERS, resizeImage } from "../../lib/formats/image/resize.ts";
import { hashPicture, pictureHash } from "../support/examples/pictures.ts";

// deno-fmt-ignore
const CASES = [
  { from: [7, 11, 1], to: [3, 4], box: "58fb8461ec753fad", bilinear: "ce60ce1016e3d4d6", bicubic: "26001171b125c6a9", lanczos: "126319bc6cec3f31" },
  { from: [64, 48, 3], to: [32, 32], box: "68b780b0b89c9c8b", bilinear: "15d41540d7f8f357", bicubic: "a584899655ab6268", lanczos: "e1ff5e341480ac34" },
  { from: [20, 30, 3], to: [41, 17], box: "f3ef6906091816de", bilinear: "af1cbcb942518db7", bicubic: "a182958cbe7b3ec0", lanczos: "feef1373bbc5e833" },
  { from: [33, 33, 3], to: [33, 12], box: "77b6463854e10598", bilinear: "93ba72a9706739ba", bicubic: "05de49c3c83fd4b8", lanczos: "00386e83a09d35f6" },
  { from: [5, 5, 1], to: [16, 16], box: "90b98ad25291e0ee", bilinear: "b0ac1776804e9554", bicubic: "4f14c56b543e3d35", lanczos: "7f2fae9d7320579a" },
  { from: [100, 90, 3], to: [8, 8], box: "cdff60e1dadafae0", bilinear: "37ca46f38e4ce06d", bicubic: "9503436684066f34", lanczos: "12d7e09632e845ae" },
] as const;

for (const { from: [height, width, channels], to: [toHeight, toWidth], ...hashes } of CASES) {
  for (const filter of RESIZE_FILTERS) {
    Deno.test(`${height} x ${width} x ${channels} becomes ${toHeight} x ${toWidth} by ${filter} as in Pillow, to the bit`, () => {
      const image = resizeImage(hashPicture(height, width, channels), toWidth, toHeight, filter);
      assert.equal(pictureHash(image), hashes[filter]);
    });
  }
}

Deno.test("a picture keeps its bytes when its size stays", () => {
  const image = hashPicture(5, 7, 3);
  assert.deepEqual(resizeImage(image, 7, 5, "lanczos").data, image.data);
});

Deno.test("transparency and senseless sizes are refused", () => {
  assert.throws(() => resizeImage(hashPicture(4, 4, 4), 2, 2, "box"), UsageError);
  for (const size of [0, -1, 1.5, NaN]) {
    assert.throws(() => resizeImage(hashPicture(4, 4, 3), size, 2, "box"), UsageError);
  }
});
