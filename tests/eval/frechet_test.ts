import { ok, throws } from "node:assert/strict";
import { frechetDistance } from "../../lib/eval/frechet.ts";
import { type Features, FeatureStatistics } from "../../lib/eval/statistics.ts";
import { assertClose } from "../support/close.ts";
import { goldenJson } from "../support/golden.ts";
import { goldenFeatures, pseudoRandom } from "../support/features.ts";

type Expected = {
  expected: { fid: Record<string, { fid: number; fid_eigenvalues: number }> };
};
const { expected } = goldenJson<Expected>("stats");

function statisticsOf({ data, dimension }: Features): FeatureStatistics {
  const result = new FeatureStatistics(dimension);
  result.add(data);
  return result;
}

for (const pair of ["A_B", "C_D"]) {
  Deno.test(`frechetDistance gives the golden value of ${pair}`, () => {
    const [a, b] = pair.split("_").map((name) => statisticsOf(goldenFeatures(name)));
    const golden = expected.fid[pair].fid;
    assertClose([frechetDistance(a, b)], [golden], { rel: 1e-9 });
    assertClose([frechetDistance(b, a)], [golden], { rel: 1e-9 }, "swapped");
    assertClose([frechetDistance(a.moments(), b.moments())], [golden], { rel: 1e-9 }, "moments");
  });
}

Deno.test("frechetDistance of fewer images than features agrees on all three routes", () => {
  const [r, s] = ["R", "S"].map((name) => statisticsOf(goldenFeatures(name)));
  const exact = frechetDistance(r, s);
  assertClose([exact], [expected.fid.R_S.fid], { rel: 1e-3 }, "rows and rows");
  assertClose([exact], [expected.fid.R_S.fid_eigenvalues], { rel: 1e-7 }, "rows and rows");
  const mixed = [frechetDistance(r, s.moments()), frechetDistance(r.moments(), s)];
  assertClose(mixed, [exact, exact], { rel: 1e-7 }, "rows and covariance");
  assertClose([frechetDistance(r.moments(), s.moments())], [exact], { rel: 1e-5 }, "eigenvectors");
});

Deno.test("frechetDistance uses the Cholesky factor of whichever side has one", () => {
  // Without the rows of R the first matrix is singular and the second is not.
  const [r, b] = ["R", "B"].map((name) => statisticsOf(goldenFeatures(name)));
  const exact = frechetDistance(r, b);
  assertClose([frechetDistance(r.moments(), b.moments())], [exact], { rel: 1e-6 });
});

Deno.test("frechetDistance of a set to itself is zero", () => {
  for (const name of ["A", "R"]) {
    const set = statisticsOf(goldenFeatures(name));
    ok(Math.abs(frechetDistance(set, set)) < 1e-9, name);
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
