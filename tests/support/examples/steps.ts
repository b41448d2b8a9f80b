/** Steps of IMM with given times and labels, for tests of a learner. */

import type { ImmConfig } from "../../../lib/imm/config.ts";
import { type ImmBatch, immDraw } from "../../../lib/objectives/imm.ts";
import type { Objective } from "../../../lib/objectives/objective.ts";
import { createObjective } from "../../../lib/objectives/registry.ts";
import type { StepBatch } from "../../../lib/train/step/learner.ts";

/** IMM with these settings. */
export function immObjective(imm: ImmConfig): Objective {
  return createObjective({ type: "imm", ...imm });
}

/** A step of what is given in place of what would be drawn. */
export function immStep(
  imm: ImmConfig,
  { noiseKey, dropoutKey, noise, ...batch }: ImmBatch & Omit<StepBatch, "draw">,
): StepBatch {
  return { draw: immDraw(imm, batch), noiseKey, dropoutKey, ...(noise ? { noise } : {}) };
}
