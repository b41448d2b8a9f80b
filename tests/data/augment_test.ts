/** Augmentation: its geometry against PyTorch's operations, its draws, and what it leaves alone. */

import assert from "node:assert/strict";
import {
  type Affine,
  augment,
  AUGMENT_LABELS,
  augmentKey,
  drawTransform,
  EDM_AUGMENT,
  type Geometry,
  inverseOf,
  SYM6,
  warp,
} from "../../lib/data/augment/mod.ts";
import { hostUniform } from "../../lib/random/threefry.ts";
import { assertClose } from "../support/close.ts";
import { goldenJson, withGolden } from "../support/golden/fixtures.ts";

const OFF = {
  ...EDM_AUGMENT,
  probability: 1,
  ...{ xflip: 0, yflip: 0, scale: 0, rotate: 0, aniso: 0, translate: 0 },
};
const SHAPE = [6, 8, 2] as const;
const SIZE = 6 * 8 * 2;

withGolden(["augment.json"], () => {
  Deno.test("moved images are those of a pipeline written with PyTorch's operations", () => {
    const { shape, image, cases } = goldenJson<{
      shape: [number, number, number];
      image: number[];
      cases: { geometry: Geometry; inverse: number[]; image: number[] }[];
    }>("augment");
    for (const { geometry, inverse, image: expected } of cases) {
      const found = inverseOf(geometry, [shape[0], shape[1]])!;
      assertClose(found, inverse, { abs: 1e-12 }, JSON.stringify(geometry));
      const moved = warp(Float32Array.from(image), shape, found);
      assertClose(moved, expected, { abs: 1e-6 }, JSON.stringify(geometry));
    }
  });
});

Deno.test("the filter is orthogonal: doubling and halving alone give the image back", () => {
  for (const shift of [0, 2, 4, 6, 8, 10]) {
    const product = SYM6.reduce((sum, h, i) => sum + h * (SYM6[i + shift] ?? 0), 0);
    assert(Math.abs(product - Number(shift === 0)) < 1e-9, `${shift}: ${product}`);
  }
  const image = hostUniform([1, 2], [SIZE], 0);
  const still: Affine = [1, 0, 0, 0, 1, 0];
  // Sampled between the doubled pixels where they are: nothing is lost.
  assertClose(warp(image, SHAPE, still), image, { abs: 1e-6 }, "identity");
});

Deno.test("a shift by whole pixels shifts, and half a turn turns", () => {
  const image = hostUniform([1, 3], [SIZE], 0);
  const at = (data: Float32Array, y: number, x: number, c: number) => data[(y * 8 + x) * 2 + c];
  // One eighth of the width of 8 is one pixel.
  const shifted = warp(image, SHAPE, inverseOf({ ...NOTHING, shiftX: 1 }, [6, 8])!);
  const turned = warp(image, SHAPE, inverseOf({ ...NOTHING, rotation: Math.PI }, [6, 8])!);
  let error = 0;
  for (let y = 0; y < 6; y++) {
    for (let x = 1; x < 8; x++) {
      for (const c of [0, 1]) {
        assert(Math.abs(at(shifted, y, x, c) - at(image, y, x - 1, c)) < 1e-5);
        // The filter is not quite symmetric, so turned noise is not quite the same.
        error += Math.abs(at(turned, y, x, c) - at(image, 5 - y, 7 - x, c)) / (6 * 7 * 2);
      }
    }
  }
  assert(error < 0.1, `${error}`);
});

const NOTHING: Geometry = {
  scale: 0,
  rotation: 0,
  aniso: 0,
  anisoAngle: 0,
  shiftX: 0,
  shiftY: 0,
};

Deno.test("what happens to an image depends on its number and the seed alone", () => {
  const images = hostUniform([4, 4], [20, SIZE], 0);
  const whole = augment(EDM_AUGMENT, 7, images, SHAPE, 100);
  const part = augment(EDM_AUGMENT, 7, images.subarray(5 * SIZE, 12 * SIZE), SHAPE, 105);
  assert.deepEqual(part.images, whole.images.slice(5 * SIZE, 12 * SIZE));
  assert.deepEqual(part.labels, whole.labels.slice(5 * AUGMENT_LABELS, 12 * AUGMENT_LABELS));
  const other = augment(EDM_AUGMENT, 8, images, SHAPE, 100);
  assert.notDeepEqual(other.labels, whole.labels);
});

Deno.test("without changes images stay as they are and all labels are 0", () => {
  const images = hostUniform([4, 5], [3, SIZE], 0);
  const { images: same, labels } = augment(OFF, 0, images, SHAPE, 0);
  assert.deepEqual(same, images);
  assert.deepEqual(labels, new Float32Array(3 * AUGMENT_LABELS));
});

Deno.test("each change alone has its labels, and flips are exact", () => {
  const images = hostUniform([4, 6], [64, SIZE], 0);
  const columns: [Partial<typeof OFF>, number[]][] = [
    [{ xflip: 1 }, [0]],
    [{ yflip: 1 }, [1]],
    [{ scale: 1 }, [2]],
    [{ rotate: 1 }, [3, 4]],
    [{ aniso: 1 }, [5, 6]],
    [{ translate: 1 }, [7, 8]],
  ];
  for (const [on, expected] of columns) {
    const { images: changed, labels } = augment({ ...OFF, ...on }, 3, images, SHAPE, 0);
    const used = Array.from({ length: AUGMENT_LABELS }, (_, column) => column)
      .filter((column) => labels.some((v, i) => i % AUGMENT_LABELS === column && v !== 0));
    assert.deepEqual(used, expected, JSON.stringify(on));
    for (let n = 0; n < 64; n++) {
      const own = labels.subarray(n * AUGMENT_LABELS, (n + 1) * AUGMENT_LABELS);
      const same = changed.subarray(n * SIZE, (n + 1) * SIZE)
        .every((value, i) => value === images[n * SIZE + i]);
      assert.equal(same, own.every((value) => value === 0), `${JSON.stringify(on)} ${n}`);
      if (own[0] === 1) assert.equal(changed[n * SIZE + 14], images[n * SIZE]);
      if (own[1] === 1) assert.equal(changed[n * SIZE], images[n * SIZE + 5 * 16]);
    }
  }
});

Deno.test("changes are as frequent and as large as EDM's table says", () => {
  const key = augmentKey(1);
  const drawn = Array.from(
    { length: 20_000 },
    (_, n) => drawTransform(EDM_AUGMENT, key, n, [32, 32]).labels,
  );
  const column = (i: number) => drawn.map((labels) => labels[i]);
  const share = (i: number) => column(i).filter((value) => value !== 0).length / drawn.length;
  const near = (found: number, expected: number, within: number, what: string) =>
    assert(Math.abs(found - expected) < within, `${what}: ${found}, expected ${expected}`);
  near(share(0), 0.5, 0.015, "xflip");
  near(share(1), 0.06, 0.01, "yflip");
  for (const i of [2, 3, 5, 7]) near(share(i), 0.12, 0.01, `label ${i}`);
  for (const i of [2, 7, 8]) {
    const values = column(i).filter((value) => value !== 0);
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
    near(mean, 0, 0.08, `mean of label ${i}`);
    near(variance, 1, 0.1, `variance of label ${i}`);
  }
  // Half of the stretches are along an axis.
  const stretched = drawn.filter((labels) => labels[5] !== 0);
  near(
    stretched.filter((l) => l[6] !== 0).length / stretched.length,
    0.5,
    0.05,
    "turned stretches",
  );
  // Angles are uniform: E[cos] = 0 and E[sin^2] = 1/2 where there is a rotation.
  const turned = drawn.filter((labels) => labels[3] !== 0);
  near(turned.reduce((sum, l) => sum + l[3] + 1, 0) / turned.length, 0, 0.06, "E cos");
  near(turned.reduce((sum, l) => sum + l[4] ** 2, 0) / turned.length, 0.5, 0.05, "E sin^2");
  // Independent of each other.
  near(drawn.filter((l) => l[2] !== 0 && l[3] !== 0).length / drawn.length, 0.0144, 0.004, "both");
});
