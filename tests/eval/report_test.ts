import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { Evaluation } from "../../lib/eval/evaluate.ts";
import {
  checkThresholds,
  gateFailures,
  jsonReport,
  metricOf,
  negated,
  parseThreshold,
  textReport,
} from "../../lib/eval/report.ts";

const EVALUATION: Evaluation = {
  version: 1,
  values: { fd: 2.774541837, kd: 0.0044862, kd_std: 0.0018, nn_accuracy: 0.92 },
  halves: null,
  samples: { name: "samples.npz", count: 1000, skipped: 0 },
  reference: { name: "digits", count: 1797, skipped: 0, provenance: null },
  extractor: { id: "pixels-8x8x1", hash: "0123456789abcdef", dimension: 64 },
  seed: 2020,
  warnings: ["few images"],
  seconds: { features: 1.25, metrics: 0.5 },
  cached: 0,
  versions: { imm: "0.1.0", deno: "2.9.6" },
};

Deno.test("textReport shows values, spreads, what was compared and warnings", () => {
  strictEqual(
    textReport(EVALUATION),
    `fd           2.77454             Fréchet distance (lower is better)
kd           0.0044862 ± 0.0018  Kernel distance (lower is better)
nn_accuracy  0.92                Label of the nearest reference image is the condition (higher is better)

samples    samples.npz, 1000 images
reference  digits, 1797 images
features   pixels-8x8x1, 64 (sha256 0123456789ab)
time       1.3 s features, 0.5 s metrics
warning: few images
`,
  );
});

Deno.test("textReport puts the halves beside the values", () => {
  const halves = { fd: 0.25, kd: 0, kd_std: 0.001, nn_accuracy: 0.98 };
  strictEqual(
    textReport({ ...EVALUATION, halves, warnings: [] }),
    `             samples             real
fd           2.77454             0.25       Fréchet distance (lower is better)
kd           0.0044862 ± 0.0018  0 ± 0.001  Kernel distance (lower is better)
nn_accuracy  0.92                0.98       Label of the nearest reference image is the condition (higher is better)

samples    samples.npz, 1000 images
reference  digits, 1797 images
real       a random half of the reference images against the other half
features   pixels-8x8x1, 64 (sha256 0123456789ab)
time       1.3 s features, 0.5 s metrics
`,
  );
});

Deno.test("textReport marks thresholds and jsonReport holds everything", () => {
  const gate = checkThresholds(EVALUATION, [parseThreshold("fd<=2.5")]);
  const [first, second] = textReport(EVALUATION, gate).split("\n");
  strictEqual(
    first,
    "fd           2.77454             FAILED, required <= 2.5  Fréchet distance (lower is better)",
  );
  strictEqual(
    second,
    "kd           0.0044862 ± 0.0018                           Kernel distance (lower is better)",
  );
  deepStrictEqual(JSON.parse(jsonReport(EVALUATION, gate)), { ...EVALUATION, gate });
  deepStrictEqual(JSON.parse(jsonReport(EVALUATION)), EVALUATION);
});

Deno.test("parseThreshold reads a value, a relation and a number", () => {
  deepStrictEqual(parseThreshold("fd<=2.5"), { metric: "fd", relation: "<=", limit: 2.5 });
  deepStrictEqual(parseThreshold(" kd_std > -1e-3 "), {
    metric: "kd_std",
    relation: ">",
    limit: -0.001,
  });
  for (const text of ["fd", "fd<=", "fd<=x", "fd=2", "<=2", "fid<=2", "fd<=NaN", "fd<= 2 3", ""]) {
    throws(() => parseThreshold(text), /A threshold is .* found/, text);
  }
});

Deno.test("checkThresholds compares in the stated direction, borders included or not", () => {
  const met = (text: string) =>
    checkThresholds({ values: { fd: 2 } }, [parseThreshold(text)]).passed;
  deepStrictEqual(["fd<=2", "fd>=2", "fd<2", "fd>2"].map(met), [true, true, false, false]);
  deepStrictEqual(["fd<=1", "fd>=1", "fd<1", "fd>1"].map(met), [false, true, false, true]);
  throws(() => checkThresholds({ values: {} }, [parseThreshold("fd<1")]), /not computed/);
});

Deno.test("gateFailures has a sentence for each threshold that was not met", () => {
  const gate = checkThresholds(
    EVALUATION,
    ["fd<=2.5", "kd<1", "nn_accuracy>=0.95"].map(parseThreshold),
  );
  deepStrictEqual(gateFailures(gate), [
    "fd is 2.77454, required <= 2.5",
    "nn_accuracy is 0.92, required >= 0.95",
  ]);
});

Deno.test("negated turns what must not be into what must be, for every value", () => {
  const turned = ["fd>5", "fd>=5", "fd<5", "fd<=5"].map((text) => negated(parseThreshold(text)));
  deepStrictEqual(turned.map(({ relation }) => relation), ["<=", "<", ">=", ">"]);
  for (const value of [4, 5, 6]) {
    const bound = parseThreshold("fd>5");
    const met = (threshold: typeof bound) =>
      checkThresholds({ values: { fd: value } }, [threshold]).passed;
    strictEqual(met(bound), !met(negated(bound)));
  }
});

Deno.test("metricOf knows which metric reports a value", () => {
  strictEqual(metricOf("fd"), "fd");
  strictEqual(metricOf("kd_std"), "kd");
  strictEqual(metricOf("recall"), "pr");
  strictEqual(metricOf("fid"), undefined);
});
