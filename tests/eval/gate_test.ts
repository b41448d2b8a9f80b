import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  checkBaseline,
  checkBaselineOrigin,
  checkThresholds,
  gateFailures,
  negated,
  parseBaseline,
  parseThreshold,
  parseTolerances,
} from "../../lib/eval/gate.ts";
import { metricOf } from "../../lib/eval/metrics/registry.ts";
import { EVALUATION } from "../support/examples/evaluation.ts";

Deno.test("parseThreshold reads a value, a relation and a number", () => {
  deepStrictEqual(parseThreshold("fd<=2.5"), { metric: "fd", relation: "<=", limit: 2.5 });
  deepStrictEqual(parseThreshold(" kd_std > -1e-3 "), {
    metric: "kd_std",
    relation: ">",
    limit: -0.001,
  });
  for (const text of ["fd", "fd<=", "fd<=x", "fd=2", "<=2", "fod<=2", "fd<=NaN", "fd<= 2 3", ""]) {
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
  strictEqual(metricOf("fod"), undefined);
});

Deno.test("parseTolerances reads shares and numbers, for one value or for all", () => {
  deepStrictEqual([...parseTolerances(["fd=2%", "kd = 1e-3", "5%"])], [
    ["fd", { amount: 0.02, relative: true }],
    ["kd", { amount: 0.001, relative: false }],
    [null, { amount: 0.05, relative: true }],
  ]);
  for (const text of ["", "fd", "fd=", "fd=x", "fd=-1", "fdd=1%", "kd_std=1%", "2%%", "fd<2"]) {
    throws(() => parseTolerances([text]), /A tolerance is .* found/, text);
  }
});

Deno.test("checkBaseline lets no value become worse by more than its tolerance", () => {
  const compared = (
    values: Record<string, number>,
    before: Record<string, number | null>,
    ...tolerances: string[]
  ) => {
    const baseline = parseBaseline(JSON.stringify({ values: before }), "last.json");
    return checkBaseline({ values }, baseline, parseTolerances(tolerances));
  };
  const met = (...args: Parameters<typeof compared>) => compared(...args).passed;
  strictEqual(met({ fd: 2 }, { fd: 2 }), true, "the same is not worse");
  strictEqual(met({ fd: 2.01 }, { fd: 2 }), false);
  strictEqual(met({ fd: 1 }, { fd: 2 }), true);
  strictEqual(met({ nn_accuracy: 0.9 }, { nn_accuracy: 0.91 }), false, "higher is better");
  strictEqual(met({ nn_accuracy: 0.9 }, { nn_accuracy: 0.91 }, "nn_accuracy=0.02"), true);
  strictEqual(met({ fd: 2.04, kd: 1 }, { fd: 2, kd: 1 }, "fd=2%"), true);
  strictEqual(met({ fd: 2.05 }, { fd: 2 }, "2%"), false);
  strictEqual(met({ kd: -0.9 }, { kd: -1 }, "5%"), false, "a share of a negative value");
  strictEqual(met({ kd: -0.96 }, { kd: -1 }, "5%"), true);
  strictEqual(met({ fd: NaN }, { fd: 2 }), false, "what is no number is not as good");
  deepStrictEqual(compared({ fd: 2, kd: 1 }, { fd: 2, is: 3, kd: null }).baseline.length, 1);
  throws(() => compared({ fd: 2 }, { is: 2 }), /no value that was computed here; it has is/);
  throws(
    () => compared({ fd: 2 }, { fd: 2 }, "kd=1%"),
    /tolerance for kd, but last.json has no kd/,
  );
});

Deno.test("checkBaselineOrigin refuses other features, numbers of images and references", () => {
  const check = (changes: Record<string, unknown>, force = false) =>
    checkBaselineOrigin(
      EVALUATION,
      "abc",
      parseBaseline(JSON.stringify({ ...EVALUATION, ...changes }), "last.json"),
      { force },
    );
  const inputs = (sha256: string | null) => ({ inputs: { samples: {}, reference: { sha256 } } });
  deepStrictEqual(check({}), []);
  deepStrictEqual(check(inputs("abc")), []);
  deepStrictEqual(check(inputs(null)), []);
  throws(() => check(inputs("def")), /made with another reference; make it again/);
  throws(() => check({ samples: { count: 5 } }), /made with 5 samples, not 1000/);
  const extractor = { id: "other", hash: "1" };
  throws(() => check({ extractor }), /features of other, not of this pixels-8x8x1/);
  strictEqual(check({ extractor }, true).length, 1);
});

Deno.test("parseBaseline says what is wrong with a file", () => {
  throws(() => parseBaseline("{", "x.json"), /x.json is not valid JSON/);
  throws(() => parseBaseline("{}", "x.json"), /x.json is not the result of an evaluation/);
  throws(() => parseBaseline('{"values": {"fd": "2"}}', "x.json"), /imm eval --json/);
});

Deno.test("gates take no rounding for a difference", () => {
  const judge = (value: number, bound: string) =>
    checkThresholds({ values: { fd: value }, rounding: { fd: 1e-9 } }, [parseThreshold(bound)])
      .passed;
  // fd<0 must not be, fd>1 must not be.
  strictEqual(judge(-1e-10, "fd>=0"), true);
  strictEqual(judge(-1e-8, "fd>=0"), false);
  strictEqual(judge(1 + 1e-10, "fd<=1"), true);
  strictEqual(judge(1 - 1e-10, "fd<1"), false, "equal, and so not below");
  const baseline = parseBaseline('{"values": {"fd": 1}}', "last.json");
  const against = (value: number) =>
    checkBaseline({ values: { fd: value }, rounding: { fd: 1e-9 } }, baseline, new Map()).passed;
  strictEqual(against(1 + 1e-10), true);
  strictEqual(against(1 + 1e-8), false);
});

Deno.test("a threshold on a value that failed tells why", () => {
  const failed = { values: {}, failed: { kd: "Too few." } };
  throws(() => checkThresholds(failed, [parseThreshold("kd<1")]), /not computed: Too few\./);
  throws(() => checkThresholds({ values: { kd: 1 } }, [parseThreshold("kd_std<1")]), /no spread/);
});
