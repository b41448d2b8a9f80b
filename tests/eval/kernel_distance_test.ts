import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import {
  gaussianDiscrepancy,
  kernelDistance,
  kernelDistanceOfSubsets,
  kernelDistancePairs,
  squaredDiscrepancy,
} from "../../lib/eval/metrics/kernel_distance.ts";
import { assertClose } from "../support/close.ts";
import { pseudoRandom, twoSets } from "../support/examples/features.ts";
import { withStatistics } from "../support/golden/statistics.ts";

interface Expected {
  /** Whole sets by name, `A_B_full`, and the subsets. */
  readonly kid: Readonly<Record<string, number>> & {
    readonly subset_values: readonly number[];
    readonly subset_mean: number;
    readonly subset_std_ddof0: number;
  };
}

withStatistics<Expected>((golden) => {
  const { kid } = golden.expected;

  for (const name of Object.keys(kid).filter((name) => name.endsWith("_full"))) {
    Deno.test(`squaredDiscrepancy gives the golden value of whole sets: ${name}`, async () => {
      const [a, b] = name.replace("_full", "").split("_").map((set) => golden.features(set));
      assertClose([await squaredDiscrepancy(a, b)], [kid[name]], { abs: 1e-12 });
    });
  }

  Deno.test("kernelDistanceOfSubsets gives the golden values", async () => {
    const [rowsA, rowsB] = ["A", "B"].map((set) => golden.indexRows(`kid_index_${set}`));
    const result = await kernelDistanceOfSubsets(
      golden.features("A"),
      golden.features("B"),
      rowsA.map((rows, i) => [rows, rowsB[i]]),
    );
    assertClose(result.values, kid.subset_values, { abs: 1e-12 });
    const expected = [kid.subset_mean, kid.subset_std_ddof0];
    assertClose([result.mean, result.std!], expected, { abs: 1e-12 });
  });
});

Deno.test("squaredDiscrepancy equals the definition where blocks meet", async () => {
  const [a, b] = [pseudoRandom(300, 3, 1), pseudoRandom(257, 3, 2)];
  const row = (set: typeof a, i: number) => set.data.subarray(i * 3, i * 3 + 3);
  const mean = (x: typeof a, y: typeof a) => {
    let sum = 0;
    for (let i = 0; i < x.rows; i++) {
      for (let j = 0; j < y.rows; j++) {
        if (x === y && i === j) continue;
        const [p, q] = [row(x, i), row(y, j)];
        sum += ((p[0] * q[0] + p[1] * q[1] + p[2] * q[2]) / 3 + 1) ** 3;
      }
    }
    return sum / (x === y ? x.rows * (x.rows - 1) : x.rows * y.rows);
  };
  const expected = mean(a, a) + mean(b, b) - 2 * mean(a, b);
  assertClose([await squaredDiscrepancy(a, b)], [expected], { abs: 1e-13 });
});

Deno.test("kernelDistance depends on its seed only", async () => {
  const [a, b] = twoSets();
  const options = { subsets: 3, size: 50 };
  deepStrictEqual(
    await kernelDistance(a, b, options),
    await kernelDistance(a, b, { ...options, seed: 2020 }),
  );
  const first = await kernelDistance(a, b, options);
  const other = await kernelDistance(a, b, { ...options, seed: 1 });
  strictEqual(
    other.values.some((value) => first.values[0] === value),
    false,
  );
});

Deno.test("kernelDistance over all rows of the smaller side needs no size", async () => {
  const [a, b] = twoSets(500, 499);
  const result = await kernelDistance(a, b, { subsets: 2 });
  strictEqual(result.values.length, 2);
  assertClose(result.values, [0, 0].fill(await squaredDiscrepancy(a, b)), { rel: 0.2 });
});

Deno.test("kernelDistance shows no spread where every subset would be the whole of both sets", async () => {
  const [a, b] = twoSets(60, 60);
  const whole = await kernelDistance(a, b);
  assertClose([...whole.values], [await squaredDiscrepancy(a, b)], { rel: 1e-12 });
  strictEqual(whole.std, null);
  strictEqual(kernelDistancePairs(60, 60), 2 * 60 ** 2, "and the work is that of one");
  // Subsets of one side only differ, so they have a spread; smaller ones can be asked for.
  ok((await kernelDistance(a, twoSets()[1])).std! > 0);
  const smaller = await kernelDistance(a, b, { size: 40, subsets: 5 });
  strictEqual(smaller.values.length, 5);
  ok(smaller.std! > 0);
  strictEqual((await kernelDistance(a, b, { size: 40, subsets: 1 })).std, null);
});

Deno.test("kernelDistance refuses subsets that are too large or too small", async () => {
  const [a, b] = [pseudoRandom(10, 4), pseudoRandom(8, 4)];
  await rejects(() => kernelDistance(a, b, { size: 9 }), /Subsets of 9 images cannot be drawn/);
  const one = pseudoRandom(1, 4);
  await rejects(() => kernelDistance(one, a), /two images on each side at least, found 1 and 10/);
  await rejects(() => kernelDistance(a, b, { size: 1 }), /two images on each side/);
  await rejects(() => squaredDiscrepancy(a, pseudoRandom(8, 5)), /found dimensions 4 and 5/);
});

Deno.test("gaussianDiscrepancy gives the values of its definition in NumPy", async () => {
  // k = lambda a, b: np.exp(-((a[:, None] - b[None])**2).sum(-1) / (2 * sigma**2)).mean() of rows
  // over their norms, in float64; 1000 * (k(a, a) + k(b, b) - 2 * k(a, b)).
  const [a, b] = twoSets();
  assertClose([await gaussianDiscrepancy(a, b)], [4.3263502671069265], { rel: 1e-6 });
  const [some, others] = twoSets(50, 40);
  const found = await gaussianDiscrepancy(some, others, { sigma: 0.5 });
  assertClose([found], [154.77339499625245], { rel: 1e-6 });
});

Deno.test("gaussianDiscrepancy does not depend on the lengths of the vectors", async () => {
  const [a] = twoSets(20);
  const longer = { ...a, data: a.data.map((value) => 4 * value) };
  assertClose([await gaussianDiscrepancy(a, longer)], [0], { abs: 1e-12 });
  await rejects(() => gaussianDiscrepancy(a, pseudoRandom(8, 5)), /found dimensions 16 and 5/);
});
