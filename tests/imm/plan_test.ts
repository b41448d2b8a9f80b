/** The objective as a compiled plan: the same golden cases through fusion and buffer assignment. */

import { ok } from "node:assert/strict";
import { compile } from "../../lib/compile/compile.ts";
import { summarize } from "../../lib/compile/print.ts";
import { immConfig } from "../../lib/imm/config.ts";
import { objective } from "../../lib/imm/objective.ts";
import { COEFFICIENTS } from "../../lib/imm/times.ts";
import { grad, input } from "../../lib/tensor/mod.ts";
import { immCases } from "../support/golden/objective_cases.ts";
import { interpretPlan } from "../support/reference/plan.ts";

for (const { name, build } of immCases) {
  Deno.test(`compiled objective: ${name}`, () => {
    const { inputs, outputs, check } = build();
    const plan = compile({
      label: name,
      inputs: inputs.map(({ tensor }) => tensor),
      outputs,
      updates: [],
    });
    const data = Object.fromEntries(inputs.map(({ name, data }) => [name, data]));
    check(interpretPlan(plan, data), "float64");
  });
}

Deno.test("no plan of the objective holds the differences of all pairs of particles", () => {
  const config = immConfig({ M: 8 });
  const [B, D] = [64, 3072];
  const [x, noise, FT, FR] = ["x", "noise", "F_t", "F_r"].map((name) => input(name, [B, D]));
  const coefficients = input("coefficients", [COEFFICIENTS.length, B / config.M]);
  const { loss } = objective(config, {
    x,
    noise,
    coefficients,
    network: (_xIn, pass) => pass === "student" ? FT : FR,
  });
  const plan = compile({
    label: "objective",
    inputs: [x, noise, FT, FR, coefficients],
    outputs: { loss, gradient: grad(loss, [FT])[0] },
    updates: [],
  });
  ok(summarize(plan).slotBytes < 4 * B * D * config.M, "scratch is less than [G, M, M, D]");
});
