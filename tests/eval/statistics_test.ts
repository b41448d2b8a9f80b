import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { FeatureStatistics } from "../../lib/eval/statistics/statistics.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import { StatisticsPool } from "../../lib/eval/statistics/pool.ts";
import { assertClose } from "../support/close.ts";
import { hash32 } from "../support/golden/hash.ts";
import { pseudoRandom } from "../support/examples/features.ts";
import { withStatistics } from "../support/golden/statistics.ts";

interface Expected {
  moments: Record<string, {
    mu: number[];
    sigma?: number[][];
    sigma_diag: number[];
    sigma_trace: number;
    sigma_frobenius: number;
    sigma_probe_dot: number;
  }>;
}

function statisticsOf(features: Float32Array, dimension: number, batch: number) {
  const result = new FeatureStatistics(dimension);
  for (let start = 0; start < features.length; start += batch * dimension) {
    result.add(features.subarray(start, start + batch * dimension));
  }
  return result;
}

withStatistics<Expected>((golden) => {
  for (const [name, moments] of Object.entries(golden.expected.moments)) {
    Deno.test(`FeatureStatistics computes the golden moments of ${name}`, () => {
      const { data, dimension, rows } = golden.features(name);
      const statistics = statisticsOf(data, dimension, 37);
      strictEqual(statistics.count, rows);
      assertClose(statistics.mean(), moments.mu, { abs: 1e-9 }, "mean");
      const covariance = statistics.covariance();
      if (moments.sigma) assertClose(covariance, moments.sigma.flat(), { abs: 1e-9 }, "covariance");
      const diagonal = moments.sigma_diag.map((_, i) => covariance[i * (dimension + 1)]);
      assertClose(diagonal, moments.sigma_diag, { abs: 1e-9 }, "diagonal");
      const weight = (i: number) => 2 * hash32("probe.sigma", i) / 2 ** 32 - 1;
      assertClose(
        [
          diagonal.reduce((sum, value) => sum + value, 0),
          Math.sqrt(covariance.reduce((sum, value) => sum + value * value, 0)),
          covariance.reduce((sum, value, i) => sum + value * weight(i), 0),
        ],
        [moments.sigma_trace, moments.sigma_frobenius, moments.sigma_probe_dot],
        { abs: 1e-9 },
        "trace, Frobenius norm and probe of the covariance",
      );
    });
  }
});

Deno.test("FeatureStatistics gives the same bits for any batch size", () => {
  const { data, dimension } = pseudoRandom(600, 64, 1);
  const whole = statisticsOf(data, dimension, 600).covariance();
  for (const batch of [1, 64, 257, 512]) {
    deepStrictEqual(statisticsOf(data, dimension, batch).covariance(), whole);
  }
});

Deno.test("FeatureStatistics gives the same bits with threads", async () => {
  // More features than one task takes, and rows that are added up twice.
  const { data, dimension } = pseudoRandom(1100, 500);
  const whole = statisticsOf(data, dimension, 600);
  for (const threads of [1, 3]) {
    using pool = new StatisticsPool({ threads, smallestWork: 0 });
    const found = new FeatureStatistics(dimension);
    for (let row = 0; row < 1100; row += 70) {
      await found.addWith(data.subarray(row * dimension, (row + 70) * dimension), pool);
    }
    deepStrictEqual(found.moments(), whole.moments());
  }
});

Deno.test("FeatureStatistics computes the covariance by its definition where blocks meet", () => {
  const { data, dimension, rows } = pseudoRandom(1100, 245);
  const { mean, covariance } = statisticsOf(data, dimension, 1100).moments();
  for (const [i, j] of [[0, 0], [239, 240], [240, 239], [244, 244], [241, 3], [5, 243]]) {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const at = row * dimension;
      sum += (data[at + i] - mean[i]) * (data[at + j] - mean[j]);
    }
    assertClose([covariance[i * dimension + j]], [sum / (rows - 1)], { abs: 1e-12 });
  }
});

Deno.test("FeatureStatistics of merged parts equals that of the whole", () => {
  const { data, dimension } = pseudoRandom(600, 64, 1);
  const whole = statisticsOf(data, dimension, 600);
  for (const cut of [10, 300, 590]) {
    const first = statisticsOf(data.subarray(0, cut * dimension), dimension, 50);
    first.merge(statisticsOf(data.subarray(cut * dimension), dimension, 50));
    strictEqual(first.count, 600);
    assertClose(first.mean(), whole.mean(), { abs: 1e-15 }, `mean, cut at ${cut}`);
    assertClose(first.covariance(), whole.covariance(), { abs: 1e-15 }, `cut at ${cut}`);
  }
});

Deno.test("FeatureStatistics can be merged with itself", () => {
  const { data, dimension } = pseudoRandom(500, 64, 2);
  const statistics = statisticsOf(data, dimension, 500);
  const mean = statistics.mean();
  statistics.merge(statistics);
  strictEqual(statistics.count, 1000);
  assertClose(statistics.mean(), mean, { abs: 1e-15 });
});

Deno.test("FeatureStatistics continues from its bytes bit for bit", () => {
  const { data, dimension } = pseudoRandom(600, 64, 1);
  for (const cut of [0, 20, 400]) {
    const first = statisticsOf(data.subarray(0, cut * dimension), dimension, 100);
    const restored = FeatureStatistics.fromBytes(first.toBytes({ extractor: "test" }));
    restored.add(data.subarray(cut * dimension));
    strictEqual(restored.count, 600);
    deepStrictEqual(restored.moments(), statisticsOf(data, dimension, 600).moments());
  }
});

Deno.test("FeatureStatistics hands out its rows while they are few", () => {
  const { data, dimension } = pseudoRandom(9, 8);
  const statistics = new FeatureStatistics(dimension);
  statistics.add(data.subarray(0, 8 * dimension));
  deepStrictEqual(statistics.fewRows(), { rows: 8, dimension, data: data.subarray(0, 64) });
  statistics.add(data.subarray(8 * dimension));
  strictEqual(statistics.fewRows(), null);
});

Deno.test("FeatureStatistics refuses what it cannot use", () => {
  const statistics = new FeatureStatistics(4);
  throws(() => statistics.add(new Float32Array(6)), UsageError);
  throws(() => statistics.add(Float32Array.of(0, 0, 0, 0, 1, NaN, 0, 0)), /Feature 1 of image 1/);
  throws(() => statistics.mean(), /needs one image/);
  statistics.add(new Float32Array(4));
  throws(() => statistics.covariance(), /needs two images/);
  throws(() => statistics.merge(new FeatureStatistics(5)), /expected dimension 4, found 5/);
  throws(() => new FeatureStatistics(0), UsageError);
  throws(() => FeatureStatistics.fromBytes(new Uint8Array(7)), FormatError);
});
