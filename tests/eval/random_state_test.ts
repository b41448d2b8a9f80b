import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { RandomState } from "../../lib/random/numpy.ts";

// The expected numbers are NumPy 2's: np.random.RandomState(seed).permutation(n) and so on.

Deno.test("RandomState draws what NumPy's draws", () => {
  const random = new RandomState(2020);
  deepStrictEqual([...random.permutation(10)], [2, 4, 9, 1, 5, 7, 6, 3, 8, 0]);
  deepStrictEqual([...random.choice(1000, 5)], [358, 763, 430, 530, 677]);
  deepStrictEqual([...random.permutation(3)], [1, 2, 0]);
  strictEqual(random.uint32(), 1944628950);
});

Deno.test("RandomState draws the same after its state has been renewed", () => {
  const permutation = new RandomState(0).permutation(1797);
  deepStrictEqual([...permutation.subarray(0, 8)], [1081, 1707, 927, 713, 262, 182, 303, 895]);
  deepStrictEqual([...permutation.subarray(-3)], [1653, 559, 684]);
});
