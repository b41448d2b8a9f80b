/**
 * Expected values: the crops of EDM's `dataset_tool.py` written down again with Pillow 13, of the
 * picture that `hashPicture` makes.
 */

import assert from "node:assert/strict";
import { fitImage } from "../../lib/data/fit.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { hashPicture, pictureHash } from "../support/examples/pictures.ts";

// deno-fmt-ignore
const CASES = [
  { size: [70, 91, 3], resolution: 16, center: "8cd25da418f2ef82", adm: "6193ece5b93d4ba2" },
  { size: [33, 20, 1], resolution: 16, center: "395d7f52e69fd5b3", adm: "16d120e9aa5acab8" },
  { size: [64, 64, 3], resolution: 48, center: "3696bd2c24995368", adm: "e8d3edd11f498a8f" },
  { size: [37, 150, 3], resolution: 9, center: "383a1fd21ca011a8", adm: "f9bcbd0261b1642d" },
] as const;

for (const { size: [height, width, channels], resolution, ...hashes } of CASES) {
  for (const crop of ["center", "adm"] as const) {
    Deno.test(`${height} x ${width} x ${channels} is cut to ${resolution} by ${crop} as by EDM's tool`, () => {
      const fit = { channels, resolution, crop, filter: null };
      const image = fitImage(hashPicture(height, width, channels), fit);
      assert.deepEqual([image.height, image.width], [resolution, resolution]);
      assert.equal(pictureHash(image), hashes[crop]);
    });
  }
}

Deno.test("colours become grey as in Pillow, and grey becomes colours", () => {
  const fit = { resolution: null, crop: "none", filter: null } as const;
  const grey = fitImage(hashPicture(13, 9, 3), { ...fit, channels: 1 });
  assert.equal(pictureHash(grey), "e1099eaa7611bd11");
  const colours = fitImage(grey, { ...fit, channels: 3 });
  assert.deepEqual(
    colours.data,
    Uint8Array.from(grey.data).reduce(
      (all, v, i) => (all.fill(v, 3 * i, 3 * i + 3), all),
      new Uint8Array(13 * 9 * 3),
    ),
  );
});

Deno.test("the crop adm needs a resolution", () => {
  const fit = { channels: 3, resolution: null, crop: "adm", filter: null } as const;
  assert.throws(() => fitImage(hashPicture(4, 4, 3), fit), UsageError);
});
