import { rejects } from "node:assert/strict";
import { frechetDistanceAtInfinity } from "../../lib/eval/metrics/frechet_infinity.ts";
import { FeatureStatistics } from "../../lib/eval/statistics/statistics.ts";
import { assertClose } from "../support/close.ts";
import { pseudoRandom, twoSets } from "../support/examples/features.ts";

Deno.test("frechetDistanceAtInfinity gives the value of NumPy's line through the same subsets", async () => {
  const [samples, real] = twoSets();
  const reference = new FeatureStatistics(real.dimension);
  reference.add(real.data);
  const options = { smallest: 150, points: 15, seed: 7 };
  // sizes = np.linspace(150, 600, 15).astype(int); rs = np.random.RandomState(7)
  // np.polyfit(1 / sizes, [fid(A[rs.permutation(600)[:n]], B) for n in sizes], 1)[1]
  const expected = [2.3389331715100963];
  assertClose([await frechetDistanceAtInfinity(samples, reference, options)], expected, {
    rel: 1e-9,
  });
  const moments = reference.moments();
  assertClose([await frechetDistanceAtInfinity(samples, moments, options)], expected, {
    rel: 1e-9,
  });
});

Deno.test("frechetDistanceAtInfinity needs more samples than its smallest subset", async () => {
  const samples = pseudoRandom(20, 2);
  const reference = new FeatureStatistics(2);
  reference.add(samples.data);
  await rejects(
    async () => await frechetDistanceAtInfinity(samples, reference, { smallest: 20 }),
    /of 20 samples and more, but there are 20/,
  );
});
