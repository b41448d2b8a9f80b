import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { gaussianDiscrepancy, kernelDistance } from "../../lib/eval/metrics/kernel_distance.ts";
import { manifoldMetrics, neighbourRadii } from "../../lib/eval/metrics/manifold.ts";
import { nearestNeighbours } from "../../lib/eval/statistics/nearest.ts";
import type { Features } from "../../lib/eval/statistics/statistics.ts";
import { PANEL, StatisticsPool } from "../../lib/eval/statistics/pool.ts";
import { pseudoRandom } from "../support/examples/features.ts";

/** Three panels, the last of them short, and rows that fill no strip or block of the module. */
const ROWS = 2 * PANEL + 333;

Deno.test("the number of threads changes no bit of the quadratic statistics", async () => {
  const [a, b] = [pseudoRandom(ROWS, 19, 1), pseudoRandom(PANEL + 7, 19, 2)];
  const all = async (pool: StatisticsPool) => [
    await neighbourRadii(a, 4, pool),
    await manifoldMetrics(a, b, 3, pool),
    await nearestNeighbours(b, a, pool),
    await kernelDistance(a, b, { subsets: 5, size: 40, pool }),
    await gaussianDiscrepancy(a, b, { sigma: 1, pool }),
  ];
  using alone = new StatisticsPool({ threads: 1 });
  const expected = await all(alone);
  for (const threads of [2, 3]) {
    using pool = new StatisticsPool({ threads, smallestWork: 0 });
    deepStrictEqual(await all(pool), expected);
  }
});

for (
  const [name, change] of Object.entries({
    "small numbers": (x: number) => x,
    "large numbers close together": (x: number) => 1000 + x,
    "squares that float32 cannot hold": (x: number) => x * 1e30,
    "squares that vanish in float32": (x: number) => x * 1e-30,
  })
) {
  Deno.test(`neighbours are those of float64 differences: ${name}`, async () => {
    const [a, b] = [
      changed(pseudoRandom(PANEL + 37, 13, 3), change),
      changed(pseudoRandom(300, 13, 4), change),
    ];
    const radii = await neighbourRadii(a, 2);
    const { index, squaredDistance } = await nearestNeighbours(b, a);
    for (const row of [0, 1, 255, 256, 299]) {
      const own = distances(a, row, a).toSorted();
      strictEqual(own[0], 0); // to itself
      close(radii[row], own[2]);
      const others = distances(b, row, a);
      strictEqual(index[row], others.indexOf(Math.min(...others)));
      close(squaredDistance[row], others[index[row]]);
    }
    const radiiB = await neighbourRadii(b, 2);
    const pairs = Array.from({ length: b.rows }, (_, row) => distances(b, row, a));
    const share = (of: number, holds: (row: number) => boolean) =>
      Array.from({ length: of }, (_, row) => Number(holds(row))).reduce((x, y) => x + y) / of;
    const inside = pairs.map((row) => row.filter((distance, i) => distance < radii[i]).length);
    deepStrictEqual(await manifoldMetrics(a, b, 2), {
      precision: share(b.rows, (row) => pairs[row].some((distance, i) => distance <= radii[i])),
      recall: share(a.rows, (i) => pairs.some((row, j) => row[i] <= radiiB[j])),
      density: inside.reduce((x, y) => x + y) / (2 * b.rows),
      coverage: share(a.rows, (i) => pairs.some((row) => row[i] < radii[i])),
    });
  });
}

Deno.test("the statistics stop between two tasks when they are interrupted", async () => {
  const controller = new AbortController();
  using pool = new StatisticsPool({ threads: 1, signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")));
  await rejects(neighbourRadii(pseudoRandom(20 * PANEL, 2), 1, pool), /enough/);
});

function changed({ rows, dimension, data }: Features, change: (x: number) => number): Features {
  return { rows, dimension, data: data.map(change) };
}

/** Squared distances of a row to all rows of `references`. */
function distances({ dimension, data }: Features, row: number, references: Features) {
  return Float64Array.from({ length: references.rows }, (_, reference) => {
    let sum = 0;
    for (let i = 0; i < dimension; i++) {
      sum += (data[row * dimension + i] - references.data[reference * dimension + i]) ** 2;
    }
    return sum;
  });
}

function close(actual: number, expected: number): void {
  ok(Math.abs(actual - expected) <= 1e-13 * expected, `${actual} instead of ${expected}`);
}
