import { equal, throws } from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { IMM_DEFAULTS, type ImmConfig, immConfig } from "../../lib/imm/config.ts";

Deno.test("the defaults are valid and unknown keys are named", () => {
  equal(immConfig().M, IMM_DEFAULTS.M);
  equal(immConfig({ k: 15 }).k, 15);
  throws(
    () => immConfig({ gap: 1 } as Partial<ImmConfig>),
    (error) => error instanceof UsageError && error.message.includes("imm.gap"),
  );
});

Deno.test("settings outside their range are refused with the name of the key", () => {
  const wrong: Partial<Record<keyof ImmConfig, unknown>>[] = [
    { interpolant: "edm" },
    { kernel: "linear" },
    { parameterization: "euler_fm", interpolant: "vp_cosine" },
    { T: 1 },
    { T: 1.1 },
    { T: "0.9" },
    { eps: -0.1 },
    { eps: 0.994 },
    { eps: 0, mapping: "lambda" },
    { eps: 0, mapping: "inverse_eta" },
    { k: -1 },
    { k: NaN },
    { a: -1 },
    { b: Infinity },
    { M: 0 },
    { M: 1.5 },
    { minGap: 0 },
    { minGap: 2 },
    { etaRange: [3, 2] },
    { etaRange: [0] },
    { sigmaData: 0 },
    { kernelEps: 0 },
    { labelDropout: 1 },
    { labelDropoutPasses: "teacher" },
  ];
  for (const settings of wrong) {
    const key = Object.keys(settings)[0];
    throws(
      () => immConfig(settings as Partial<ImmConfig>),
      (error) => error instanceof UsageError && error.message.startsWith(`imm.${key} `),
      JSON.stringify(settings),
    );
  }
});
