/** `imm sample --dry-run`: what sampling takes. @module */

import { findModel, openModel } from "../lib/models/model_file.ts";
import { createNetwork } from "../lib/models/registry.ts";
import { describeSampling } from "../lib/sample/planner.ts";
import { formatBytes } from "../lib/units.ts";
import { DEFAULT_SEEDS, type SampleArgs } from "./sample_job.ts";
import { planSampling } from "./sampling.ts";
import type { Terminal } from "./terminal.ts";

/** Prints steps and memory; opens no device and reads no weights. */
export async function dryRun(args: SampleArgs, terminal: Terminal): Promise<void> {
  const source = await findModel(args.checkpoint);
  using model = await openModel(source);
  const seeds = args.seeds ?? DEFAULT_SEEDS;
  const classes = createNetwork(model.network).conditioning.labels?.classes ?? 0;
  const plan = planSampling(args, model.imm, seeds, classes, model.classNames);
  const batch = Math.min(args.batch, seeds.length);
  const description = describeSampling(model.network, batch, args.precision);
  const guided = [plan.guidance].flat().filter((w) => w !== 0 && w !== 1).length;
  const perStep = plan.steps.length / [plan.guidance].flat().length;
  const calls = plan.steps.length + guided * perStep;
  const flops = description.flopsPerImage * calls;
  terminal.result(
    {
      checkpoint: source,
      network: model.network,
      batch,
      precision: args.precision,
      count: seeds.length,
      schedule: plan.schedule,
      times: plan.times,
      guidance: plan.guidance,
      networkCalls: calls,
      ...description,
    },
    () => [
      `parameters: ${description.parameters.toLocaleString("en")}`,
      `times: ${plan.times.map((t) => Number(t.toFixed(6))).join(", ")}`,
      `arithmetic per image: ${(flops / 1e9).toPrecision(4)} GFLOP in ${calls} network calls`,
      `weights on the device: ${formatBytes(description.weightBytes)}`,
      `a batch of ${batch}: ${description.kernels} kernels, ` +
      `${formatBytes(description.scratchBytes)} of scratch memory`,
      `memory on the device: ${formatBytes(description.deviceBytes)}, largest buffer ` +
      `${formatBytes(description.largestBufferBytes)}`,
    ],
  );
}
