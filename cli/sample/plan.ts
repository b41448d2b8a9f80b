/** `imm sample --dry-run`: what sampling takes, and what it will write. @module */

import { openDevice } from "../../lib/device/open.ts";
import { ImmError } from "../../lib/base/errors.ts";
import { type ModelFile, openModel } from "../../lib/models/model_file.ts";
import { measureSampling, type SamplingSpeed } from "../../lib/sample/measure.ts";
import { type OutputSize, outputSize } from "../../lib/sample/output_size.ts";
import { describeSampling, type SamplingDescription } from "../../lib/sample/planner.ts";
import { counted, formatBytes, formatDuration } from "../../lib/base/units.ts";
import { type Job, prepareJob, type SampleArgs } from "./job.ts";
import type { Terminal } from "../base/terminal.ts";

/** Prints steps, memory, sizes and time; writes nothing. Time is measured where that is quick. */
export async function dryRun(args: SampleArgs, terminal: Terminal): Promise<void> {
  const job = await prepareJob(args, terminal);
  await using _decoder = job.decoder;
  const { generate: { steps, guidance = 1, seeds }, batch } = job;
  using model = await openModel(job.source);
  const description = describeSampling(model.network, batch, args.precision);
  let step = 0;
  // A guided call asks the network twice: with the class and without.
  const calls = steps.reduce((sum, { inner }) => {
    const w = typeof guidance === "number" ? guidance : guidance[step];
    if (!inner) step++;
    return sum + (w === 0 || w === 1 ? 1 : 2);
  }, 0);
  const size = job.out ? outputSize(job.set, job.out.format) : null;
  const speed = seeds.length > 0 ? await measure(args, batch, model, description, terminal) : null;
  const seconds = speed === null
    ? null
    : Math.ceil(seeds.length / speed.batch) * calls * speed.secondsPerCall;
  terminal.result(
    {
      checkpoint: job.source,
      network: model.network,
      batch,
      precision: args.precision,
      count: seeds.length,
      kept: job.kept,
      schedule: job.schedule,
      times: job.times,
      guidance,
      classes: job.classRule,
      networkCalls: calls,
      ...description,
      shape: job.set.shape,
      path: job.out?.path ?? null,
      format: job.out?.format ?? null,
      output: size,
      device: speed?.device ?? null,
      seconds,
    },
    () => [
      ...outputLines(job, size),
      `parameters: ${description.parameters.toLocaleString("en")}`,
      `times: ${job.times.map((t) => Number(t.toFixed(6))).join(", ")}`,
      `arithmetic per image: ${
        (description.flopsPerImage * calls / 1e9).toPrecision(4)
      } GFLOP in ` +
      counted(calls, "network call", "network calls"),
      `weights on the device: ${formatBytes(description.weightBytes)}`,
      `a batch of ${batch}: ${description.kernels} kernels, ` +
      `${formatBytes(description.scratchBytes)} of scratch memory`,
      `memory on the device: ${formatBytes(description.deviceBytes)}, largest buffer ` +
      `${formatBytes(description.largestBufferBytes)}`,
      timeLine(job, speed, seconds),
    ],
  );
}

function outputLines({ set, generate, kept, frames, out }: Job, size: OutputSize | null): string[] {
  const images = generate.seeds.length;
  const each = set.shape.join(" x ");
  const lines = [
    `images: ${images} of ${each}${frames > 1 ? `, each as a row of ${frames}` : ""}` +
    (kept > 0 ? `; ${kept} are there already` : ""),
  ];
  if (!out || !size) return lines;
  const { files, bytes, pixels } = size;
  const isArray = out.format === "npz" || out.format === "safetensors";
  return [
    ...lines,
    `output: ${out.path}, ${counted(files, "file", "files")} (${out.format}` +
    `${pixels ? ` of ${pixels.join(" x ")} pixels` : ""}), ` +
    `${isArray ? "about" : "at most"} ${formatBytes(bytes)}`,
  ];
}

function timeLine(
  { decoder, generate: { seeds: { length } } }: Job,
  speed: MeasuredSpeed | null,
  seconds: number | null,
): string {
  if (length === 0) return "time: none, all images are there";
  if (!speed || seconds === null) {
    return "time: not measured, since a trial would not be quick here";
  }
  return `time: ${formatDuration(seconds)}${decoder ? " without decoding" : ""}, ` +
    `${(length / seconds).toPrecision(3)} images/s (measured with ` +
    `${counted(speed.batch, "image", "images")} at a time on ${speed.device})`;
}

type MeasuredSpeed = SamplingSpeed & { readonly device: string };

/** Null where it is not quick, or there is no device for it. */
async function measure(
  args: SampleArgs,
  batch: number,
  model: ModelFile,
  description: SamplingDescription,
  terminal: Terminal,
): Promise<MeasuredSpeed | null> {
  const { precision } = args;
  try {
    const device = await openDevice({ ...args, float16: precision === "float16" });
    try {
      const speed = await measureSampling(device, model, description, { batch, precision });
      return speed && { ...speed, device: device.description };
    } finally {
      device.close();
    }
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    terminal.warn(`${error.message.replace(/\.$/, "")}. Nothing is measured.`);
    return null;
  }
}
