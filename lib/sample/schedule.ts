/** The plainest way to sample a model: its own sampler, in equal steps. @module */

import { scheduleTimes } from "../imm/schedule.ts";
import type { Objective } from "../objectives/objective.ts";
import type { SamplerStep } from "../objectives/sampler.ts";

/** `steps` equal steps from T to eps of the objective's default sampler. */
export function uniformSteps({ config, samplers }: Objective, steps: number): SamplerStep[] {
  const [sampler] = Object.values(samplers);
  return sampler(scheduleTimes(config, { kind: "uniform", steps }));
}
