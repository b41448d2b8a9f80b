import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { nearestLabelAccuracy } from "../../lib/eval/metrics/accuracy.ts";
import { manifoldMetrics, neighbourRadii } from "../../lib/eval/metrics/manifold.ts";
import { nearestNeighbours } from "../../lib/eval/statistics/nearest.ts";
import { assertClose } from "../support/close.ts";
import { goldenJson } from "../support/golden/fixtures.ts";
import { goldenArray, goldenFeatures, pseudoRandom } from "../support/golden/features.ts";

interface Counts {
  k: number;
  precision: number;
  recall: number;
  density: number;
  coverage: number;
}
const { manifold } = goldenJson<{ expected: { manifold: Record<string, Counts[]> } }>("stats")
  .expected;

const PAIRS = {
  A_real_B_fake: () => [goldenFeatures("A"), goldenFeatures("B")] as const,
  C_real_D_fake_first_800: () => [goldenFeatures("C", 800), goldenFeatures("D", 800)] as const,
};

for (const [name, sets] of Object.entries(PAIRS)) {
  for (const { k, precision, recall, density, coverage } of manifold[name]) {
    Deno.test(`manifoldMetrics gives the golden counts of ${name} with k = ${k}`, async () => {
      const [real, fake] = sets();
      const result = await manifoldMetrics(real, fake, k);
      // No comparison of the fixture is closer than 1e-6, so the counts are exact.
      deepStrictEqual(result, { precision, recall, density, coverage });
    });
  }
}

for (const name of ["A_k3", "B_k3", "A_k5"]) {
  Deno.test(`neighbourRadii gives the golden radii of ${name}`, async () => {
    const radii = await neighbourRadii(goldenFeatures(name[0]), Number(name[3]));
    assertClose(radii.map(Math.sqrt), goldenArray(`radius_${name}`), { rel: 1e-7 });
  });
}

Deno.test("neighbourRadii of copies is exactly zero", async () => {
  const { data, dimension } = pseudoRandom(5, 32);
  const twice = Float32Array.from([...data, ...data], (value) => 1000 + value);
  deepStrictEqual(
    await neighbourRadii({ rows: 10, dimension, data: twice }, 1),
    new Float64Array(10),
  );
});

Deno.test("nearestNeighbours finds the nearest row and the first of equal ones", async () => {
  const references = { rows: 4, dimension: 2, data: Float32Array.of(0, 0, 3, 0, 0, 3, 3, 0) };
  const queries = { rows: 3, dimension: 2, data: Float32Array.of(2, 0, 0, 2, -1, -1) };
  const { index, squaredDistance } = await nearestNeighbours(queries, references);
  deepStrictEqual([...index], [1, 2, 0]);
  deepStrictEqual([...squaredDistance], [1, 1, 2]);
});

Deno.test("nearestNeighbours looks across blocks", async () => {
  const references = pseudoRandom(600, 5, 1);
  const rows = [599, 0, 256, 255, 511];
  const data = Float32Array.from(
    rows.flatMap((row) => [...references.data.subarray(row * 5, row * 5 + 5)]),
  );
  const { index, squaredDistance } = await nearestNeighbours(
    { rows: 5, dimension: 5, data },
    references,
  );
  deepStrictEqual([...index], rows);
  deepStrictEqual([...squaredDistance], [0, 0, 0, 0, 0]);
});

Deno.test("nearestLabelAccuracy is the share of samples that look like their class", async () => {
  const references = { rows: 2, dimension: 1, data: Float32Array.of(0, 10) };
  const samples = { rows: 4, dimension: 1, data: Float32Array.of(1, 2, 8, 4) };
  strictEqual(await nearestLabelAccuracy(samples, [0, 0, 1, 1], references, [0, 1]), 0.75);
  await rejects(
    () => nearestLabelAccuracy(samples, [0], references, [0, 1]),
    /1 labels for 4 samples/,
  );
});

Deno.test("manifoldMetrics refuses other features and too many neighbours", async () => {
  const [a, b] = [pseudoRandom(5, 4), pseudoRandom(5, 3)];
  await rejects(() => manifoldMetrics(a, b, 3), /found dimensions 4 and 3/);
  await rejects(
    () => manifoldMetrics(a, a, 5),
    /between 1 and the number of images less one \(4\)/,
  );
});
