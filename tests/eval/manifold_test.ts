import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { nearestLabelAccuracy } from "../../lib/eval/metrics/accuracy.ts";
import { manifoldMetrics, neighbourRadii } from "../../lib/eval/metrics/manifold.ts";
import { nearestNeighbours } from "../../lib/eval/statistics/nearest.ts";
import { assertClose } from "../support/close.ts";
import { pseudoRandom } from "../support/examples/features.ts";
import { withStatistics } from "../support/golden/statistics.ts";

interface Counts {
  readonly k: number;
  readonly precision: number;
  readonly recall: number;
  readonly density: number;
  readonly coverage: number;
  /** Comparisons that rounding could decide. */
  readonly comparisons_within_1e6: number;
}

interface Expected {
  /** By the names of the sets, such as `C_real_D_fake_first_800`. */
  readonly manifold: Readonly<Record<string, readonly Counts[]>>;
}

withStatistics<Expected>((golden) => {
  for (const [name, counts] of Object.entries(golden.expected.manifold)) {
    const [, a, b, , first] = /^(.+)_real_(.+?)_fake(_first_(\d+))?$/.exec(name)!;
    for (const { k, comparisons_within_1e6, ...expected } of counts) {
      Deno.test(`manifoldMetrics gives the golden counts of ${name} with k = ${k}`, async () => {
        const rows = first === undefined ? undefined : Number(first);
        const [real, fake] = [a, b].map((set) => golden.features(set, rows));
        const found = await manifoldMetrics(real, fake, k);
        const off = comparisons_within_1e6 === 0 ? 0 : 1;
        for (
          const [metric, denominator] of [
            ["precision", fake.rows],
            ["recall", real.rows],
            ["density", k * fake.rows / 2],
            ["coverage", real.rows],
          ] as const
        ) assertClose([found[metric]], [expected[metric]], { abs: off / denominator }, metric);
      });
    }
  }

  for (const name of golden.names) {
    const [, set, k] = /^radius_(.+)_k(\d+)$/.exec(name) ?? [];
    if (k === undefined) continue;
    Deno.test(`neighbourRadii gives the golden values of ${name}`, async () => {
      const radii = await neighbourRadii(golden.features(set), Number(k));
      assertClose(radii.map(Math.sqrt), golden.array(name), { rel: 1e-7 });
    });
  }
});

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
