/** Times, what follows from them, and label dropout: the host's half of a training step. */

import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import { immConfig } from "../../lib/imm/config.ts";
import { trainingKey } from "../../lib/random/keys.ts";
import {
  COEFFICIENTS,
  dropLabels,
  groupCoefficients,
  noiseLabels,
  packCoefficients,
  sampleTimes,
  withTargets,
} from "../../lib/imm/times.ts";
import { assertClose } from "../support/close.ts";
import {
  bothFiles,
  goldenJson,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";
import {
  configOfTraining,
  IMM_TRAINING,
  type ImmTraining,
} from "../support/golden/objective_cases.ts";

const key = trainingKey(3, "times", 17);

Deno.test("times are uniform, ordered, and inside eps and T", () => {
  const config = immConfig({ eps: 0.006 });
  const groups = 20000;
  const { s, r, t } = sampleTimes(config, key, groups);
  let [sumT, sumS, sumProduct] = [0, 0, 0];
  for (let g = 0; g < groups; g++) {
    ok(config.eps < s[g] && s[g] <= r[g] && r[g] < t[g] && t[g] < config.T, `group ${g}`);
    const u = (t[g] - config.eps) / (config.T - config.eps);
    const v = (s[g] - config.eps) / (t[g] - config.eps);
    sumT += u;
    sumS += v;
    sumProduct += u * v;
  }
  const standardError = Math.sqrt(1 / 12 / groups);
  ok(Math.abs(sumT / groups - 0.5) < 5 * standardError);
  ok(Math.abs(sumS / groups - 0.5) < 5 * standardError);
  const covariance = sumProduct / groups - 0.25; // independent: 0 within 5 standard errors
  ok(Math.abs(covariance) < 5 * Math.sqrt(7 / 144 / groups));
});

Deno.test("a group has the same times in every batch and on every shard, and new ones each step", () => {
  const config = immConfig();
  const whole = sampleTimes(config, key, 8);
  const shard = sampleTimes(config, key, 3, 5);
  deepEqual(shard.t, whole.t.slice(5));
  deepEqual(shard.s, whole.s.slice(5));
  deepEqual(shard.r, whole.r.slice(5));
  notDeepEqual(sampleTimes(config, trainingKey(3, "times", 18), 8).t, whole.t);
});

Deno.test("times use more bits than float32 has", () => {
  const { t } = sampleTimes(immConfig(), key, 64);
  ok(t.every((time) => Math.fround(time) !== time));
});

for (const name of IMM_TRAINING) {
  withGolden(bothFiles(name), () => {
    Deno.test(`r(s, t) of the recorded training run ${name}`, () => {
      const config = configOfTraining(goldenJson<ImmTraining>(name));
      const golden = goldenTensors(name);
      const [s, t, r] = ["s", "t", "r"].map((key) => goldenTensor(golden, key).data);
      assertClose(withTargets(config, s, t).r, r, { abs: 3e-14 }, name);
    });
  });
}

Deno.test("coefficients are packed by rows and finite even for the smallest steps", () => {
  const config = immConfig({ k: 15, parameterization: "simple_edm" });
  const times = withTargets(config, [1e-12, 0.2, 0.9939999], [2e-12, 0.2, 0.994]);
  const values = groupCoefficients(config, times);
  const packed = packCoefficients(config, times);
  equal(packed.length, COEFFICIENTS.length * 3);
  ok(packed.every(Number.isFinite));
  COEFFICIENTS.forEach((name, row) => {
    deepEqual(packed.slice(row * 3, row * 3 + 3), Float32Array.from(values[name]), name);
  });
});

Deno.test("every particle of a group is told its times; the stride of the target is r - s", () => {
  const config = immConfig({ M: 2, timeConditioning: "stride", k: 3 });
  const times = withTargets(config, [0.25, 0.5], [0.5, 0.75]);
  const { student, target } = noiseLabels(config, times);
  const [r0, r1] = times.r;
  deepEqual([...student.first], [500, 500, 750, 750]);
  deepEqual([...student.second], [250, 250, 250, 250]);
  deepEqual([...target.first], [r0, r0, r1, r1].map((r) => 1000 * r));
  deepEqual(
    [...target.second],
    [r0 - 0.25, r0 - 0.25, r1 - 0.5, r1 - 0.5].map((d) => 1000 * d),
  );
  const plain = noiseLabels({ ...config, timeConditioning: "identity" }, times);
  deepEqual([...plain.student.second], [250, 250, 500, 500]);
  deepEqual([...plain.target.second], [250, 250, 500, 500]);
});

Deno.test("labels are dropped at the asked rate, for the student alone or for both", () => {
  const labels = Int32Array.from({ length: 10000 }, (_, i) => i % 10);
  const config = immConfig({ labelDropout: 0.1 });
  const { student, target } = dropLabels(config, labels, 10, key);
  deepEqual(target, labels);
  const dropped = student.filter((label) => label === 10).length;
  ok(Math.abs(dropped - 1000) < 5 * Math.sqrt(10000 * 0.1 * 0.9), `${dropped} dropped`);
  ok(student.every((label, i) => label === 10 || label === labels[i]));

  const both = dropLabels({ ...config, labelDropoutPasses: "both" }, labels, 10, key);
  deepEqual(both.target, student);
  deepEqual(dropLabels(config, labels.slice(40), 10, key, 40).student, student.slice(40));
  deepEqual(dropLabels(immConfig(), labels, 10, key).student, labels);
});

Deno.test("every purpose, step and seed has a key of its own", () => {
  const purposes = ["times", "noise", "labels", "dropout", "augmentation"] as const;
  const keys = [1, 2].flatMap((seed) =>
    purposes.flatMap((purpose) => [0, 1, 2].map((step) => trainingKey(seed, purpose, step).join()))
  );
  equal(new Set(keys).size, keys.length);
});
