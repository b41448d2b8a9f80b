/**
 * A step of training in float16 beside one in float32, by turns in one process on one device:
 *
 * ```sh
 * ./imm deno run -A bench/precision.ts --preset cifar10 --batch 64
 * ```
 *
 * What both compute is shown first: the mean loss and gradient of the same few steps.
 *
 * @module
 */

import { choice, integer, number, parseOptions } from "../cli/base/options.ts";
import { openDevice } from "../lib/device/open.ts";
import { median, timeRuns } from "../lib/base/clock.ts";
import { presetConfig, trainingJob } from "../lib/measure/training.ts";
import { PRECISIONS } from "../lib/models/precision.ts";
import { describeRun } from "../lib/train/config/planner.ts";
import { PRESET_NAMES } from "../lib/train/config/presets.ts";
import { formatBytes } from "../lib/base/units.ts";
import { short, table } from "./report.ts";

/** Steps whose results are shown. */
const STEPS = 5;

const options = {
  preset: choice(PRESET_NAMES, { help: "what is trained", default: "cifar10" }),
  batch: integer({ help: "images per step", default: 64, min: 4 }),
  seconds: number({ help: "of timing for each, per round", default: 2, min: 0.01 }),
  rounds: integer({ help: "how often they take turns", default: 3, min: 1 }),
};

const { preset, batch, seconds, rounds } = parseOptions(
  "bench/precision.ts",
  options,
  Deno.args,
);
const device = await openDevice({ device: "webgpu", float16: true });
try {
  console.log(`${preset}, ${batch} images per step, ${device.description}\n`);
  const candidates = [];
  for (const precision of PRECISIONS) {
    const config = presetConfig(preset, batch, precision);
    const started = performance.now();
    const job = await trainingJob(device, config);
    await job.run();
    await job.finish();
    const start = (performance.now() - started) / 1000;
    for (let step = 1; step < STEPS; step++) await job.run();
    const { loss, gradientNorm, skipped = 0 } = await job.learner.sums();
    const results = [loss / STEPS, gradientNorm / (STEPS - skipped), skipped];
    const { deviceBytes } = describeRun(config);
    candidates.push({ precision, job, start, results, deviceBytes, times: [] as number[] });
  }
  console.log(table(
    [`the first ${STEPS} steps`, "mean loss", "mean gradient", "skipped"],
    candidates.map(({ precision, results: [loss, gradient, skipped] }) => [
      precision,
      loss.toPrecision(6),
      gradient.toPrecision(6),
      String(skipped),
    ]),
  ));
  for (let round = 0; round < rounds; round++) {
    for (const { job, times } of candidates) times.push(...await timeRuns(job, { seconds }));
  }
  const [single] = candidates;
  console.log();
  console.log(table(
    ["precision", "ms per step", "images/s", "speed", "memory", "start, s"],
    candidates.map(({ precision, times, deviceBytes, start }) => [
      precision,
      short(median(times) * 1000),
      short(batch / median(times)),
      short(median(single.times) / median(times)),
      formatBytes(deviceBytes),
      short(start),
    ]),
  ));
  for (const { job } of candidates) job.free();
} finally {
  device.close();
}
