import { ok, throws } from "node:assert/strict";
import { frechetDistance } from "../../lib/eval/metrics/frechet.ts";
import { type Features, FeatureStatistics } from "../../lib/eval/statistics/statistics.ts";
import { assertClose } from "../support/close.ts";
import { pseudoRandom, twoSets } from "../support/examples/features.ts";
import { withStatistics } from "../support/golden/statistics.ts";

interface Expected {
  readonly fid: Readonly<Record<string, { fid: number; fid_eigenvalues: number }>>;
}

function statisticsOf({ data, dimension }: Features): FeatureStatistics {
  const result = new FeatureStatistics(dimension);
  result.add(data);
  return result;
}

withStatistics<Expected>((golden) => {
  for (const [pair, { fid, fid_eigenvalues }] of Object.entries(golden.expected.fid)) {
    Deno.test(`frechetDistance gives the golden value of ${pair}`, () => {
      const sets = pair.split("_").map((name) => golden.features(name));
      const [a, b] = sets.map(statisticsOf);
      const found = [
        frechetDistance(a, b),
        frechetDistance(b, a),
        frechetDistance(a.moments(), b.moments()),
      ];
      if (a.count <= a.dimension && b.count <= b.dimension) {
        // Singular: SciPy's root of a matrix loses digits, and the third route takes eigenvectors.
        const [rows, swapped, moments] = found;
        assertClose([rows, swapped], [fid, fid], { rel: 1e-3 });
        assertClose([rows, swapped], [fid_eigenvalues, fid_eigenvalues], { rel: 1e-7 });
        assertClose([moments], [rows], { rel: 1e-5 });
      } else {
        // Rounding is that of the traces, also where a set is compared with itself.
        const abs = 1e-12 * trace(a);
        assertClose(found, found.map(() => fid), { abs, rel: 1e-9 });
      }
    });
  }
});

function trace(statistics: FeatureStatistics): number {
  const { dimension, covariance } = statistics.moments();
  return covariance.reduce((sum, x, i) => i % (dimension + 1) === 0 ? sum + x : sum, 0);
}

/** Q diag(values) Q, where Q is the reflection at the plane orthogonal to (1, 2, ..., d). */
function reflected(values: Float64Array): Float64Array {
  const d = values.length;
  const axis = Float64Array.from(values, (_, i) => i + 1);
  const length = axis.reduce((sum, x) => sum + x * x, 0);
  // Q V Q = V - 2 (a b^T + b a^T) / length + 4 (a^T V a) a a^T / length², b = V a.
  const b = values.map((value, i) => value * axis[i]);
  const inner = b.reduce((sum, x, i) => sum + x * axis[i], 0);
  const result = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      const mixed = 2 * (axis[i] * b[j] + b[i] * axis[j]) / length;
      const last = 4 * inner * axis[i] * axis[j] / length ** 2;
      result[i * d + j] = Number(i === j) * values[i] - mixed + last;
    }
  }
  return result;
}

// Sizes around those of tiles, panels and blocks of the matrix products and factorisations.
for (const d of [2, 3, 5, 31, 33, 63, 65, 97, 129, 239, 241, 300, 511]) {
  Deno.test(`frechetDistance of ${d} features with known eigenvalues is exact`, () => {
    const valuesA = Float64Array.from({ length: d }, (_, i) => 0.5 + (i * 7) % 11);
    const valuesB = Float64Array.from({ length: d }, (_, i) => 0.25 + (i * 5) % 13);
    const [a, b] = [valuesA, valuesB].map((values) => ({
      dimension: d,
      mean: new Float64Array(d),
      covariance: reflected(values),
    }));
    const expected = valuesA.reduce((sum, x, i) => sum + (x ** 0.5 - valuesB[i] ** 0.5) ** 2, 0);
    assertClose([frechetDistance(a, b), frechetDistance(b, a)], [expected, expected], {
      rel: 1e-11,
    });
  });
}

Deno.test("frechetDistance is the same in other units, however large or small", () => {
  const [a, b] = twoSets().map((set) => statisticsOf(set).moments());
  const distance = frechetDistance(a, b);
  for (const factor of [2 ** 250, 2 ** -250]) {
    const scaled = [a, b].map(({ dimension, mean, covariance }) => ({
      dimension,
      mean: mean.map((x) => x * factor),
      covariance: covariance.map((x) => x * factor ** 2),
    }));
    assertClose([frechetDistance(scaled[0], scaled[1]) / factor ** 2], [distance], { rel: 1e-12 });
  }
});

Deno.test("frechetDistance of fewer images than features agrees on all three routes", () => {
  const [r, s] = twoSets(10, 12).map(statisticsOf);
  const exact = frechetDistance(r, s);
  const mixed = [frechetDistance(r, s.moments()), frechetDistance(r.moments(), s)];
  assertClose(mixed, [exact, exact], { rel: 1e-7 }, "rows and covariance");
  assertClose([frechetDistance(r.moments(), s.moments())], [exact], { rel: 1e-5 }, "eigenvectors");
});

Deno.test("frechetDistance uses the Cholesky factor of whichever side has one", () => {
  // Without the rows of R the first matrix is singular and the second is not.
  const [r, b] = twoSets(10, 500).map(statisticsOf);
  const exact = frechetDistance(r, b);
  assertClose([frechetDistance(r.moments(), b.moments())], [exact], { rel: 1e-6 });
});

Deno.test("frechetDistance of a set to itself is zero", () => {
  for (const rows of [600, 10]) {
    const set = statisticsOf(pseudoRandom(rows, 16));
    ok(Math.abs(frechetDistance(set, set)) < 1e-9, `${rows} rows`);
  }
});

Deno.test("frechetDistance copes with features that never change", () => {
  const withDeadFeature = (seed: number) => {
    const features = pseudoRandom(300, 16, seed);
    for (let row = 0; row < features.rows; row++) features.data[row * 16 + 5] = 0;
    return statisticsOf(features);
  };
  const without = (seed: number) => {
    const features = pseudoRandom(300, 16, seed);
    return statisticsOf({
      rows: 300,
      dimension: 15,
      data: features.data.filter((_, i) => i % 16 !== 5),
    });
  };
  const distance = frechetDistance(withDeadFeature(1), withDeadFeature(2));
  assertClose([distance], [frechetDistance(without(1), without(2))], { abs: 1e-6 });
});

Deno.test("frechetDistance of Gaussians on a line is the textbook formula", () => {
  const a = { dimension: 1, mean: Float64Array.of(1), covariance: Float64Array.of(4) };
  const b = { dimension: 1, mean: Float64Array.of(-2), covariance: Float64Array.of(9) };
  assertClose([frechetDistance(a, b)], [9 + (2 - 3) ** 2], { abs: 1e-12 });
});

Deno.test("frechetDistance refuses other features, too few images and broken statistics", () => {
  const of = (rows: number, dimension: number) => statisticsOf(pseudoRandom(rows, dimension));
  throws(() => frechetDistance(of(9, 4), of(9, 5)), /found dimensions 4 and 5/);
  throws(() => frechetDistance(of(1, 4), of(9, 4)), /needs two images/);
  const broken = of(9, 4).moments();
  broken.covariance[3] = NaN;
  throws(() => frechetDistance(broken, of(9, 4).moments()), /finite numbers/);
});
