/**
 * The part of `imm sample` that takes time.
 *
 * @module
 */

import type { Device } from "../../lib/device/device.ts";
import { environmentVariable } from "../../lib/base/environment.ts";
import { imageGrid } from "../../lib/formats/image/grid.ts";
import type { Image } from "../../lib/formats/image/pixels.ts";
import { colourDepth, renderImage } from "../../lib/formats/terminal.ts";
import { openModel } from "../../lib/models/model_file.ts";
import { type GeneratedBatch, Generator } from "../../lib/sample/generator.ts";
import { Journal } from "../../lib/sample/output/journal.ts";
import { writeSamples } from "../../lib/sample/output/open.ts";
import { columnNames, toPictures } from "../../lib/sample/output/picture.ts";
import { arePictures, optionsOf, type SampleSet } from "../../lib/sample/output/sample_set.ts";
import { trajectories } from "../../lib/sample/trajectory.ts";
import { formatRanges } from "../../lib/base/units.ts";
import type { Job } from "./job.ts";
import type { Terminal } from "../base/terminal.ts";
import { stepCount } from "../../lib/objectives/sampler.ts";

/** The most images of a grid in a terminal. */
export const SHOWN = 64;

/** Makes the images of a job, writes them, and says what was done. */
export async function generateAndWrite(
  job: Job,
  device: Device,
  terminal: Terminal,
  signal: AbortSignal,
) {
  const { set, out, source, generate } = job;
  const started = performance.now();
  using claim = await out?.claim();
  if (claim?.removed) terminal.say(`${claim.removed} pictures of another set were removed`);
  const generator = job.generate.seeds.length === 0 ? null : await open(job, device);
  const ready = performance.now();
  const shown: Image[] = [];
  let files = 0;
  try {
    using journal = await openJournal(job);
    const samples = async function* () {
      const made = generator
        ? makeImages(job, generator, journal?.done ?? 0, terminal, signal)
        : [];
      const all = journal ? journal.continue(made as AsyncIterable<GeneratedBatch>) : made;
      for await (const batch of all) {
        if (job.show && shown.length < SHOWN) shown.push(...toPictures(batch.samples, set.shape));
        yield batch;
      }
    };
    if (out) files = await writeSamples(out.path, out.format, set, samples());
    else for await (const _ of samples()) if (shown.length >= SHOWN) break;
    await journal?.remove();
  } finally {
    generator?.free();
  }
  if (job.show && shown.length > 0) show(shown.slice(0, SHOWN), set, terminal);
  const columns = out?.format === "grid" || job.show ? columnNames(set) : null;
  if (columns !== null) terminal.say(`columns: ${columns.join(", ")}`);
  return {
    path: out?.path ?? null,
    format: out?.format ?? null,
    files,
    count: job.kept + generate.seeds.length,
    kept: job.kept,
    checkpoint: source,
    device: { kind: device.kind, description: device.description },
    sampler: job.sampler,
    schedule: job.schedule,
    steps: stepCount(generate.steps),
    times: job.times,
    guidance: generate.guidance,
    seeds: formatRanges(generate.seeds),
    classes: job.classRule,
    batch: job.batch,
    precision: job.settings.precision ?? "float32",
    decoder: job.decoder?.path ?? null,
    seconds: (performance.now() - started) / 1000,
    compileSeconds: (ready - started) / 1000,
  };
}

/** Brings the model to the device; its file is closed again. */
async function open(job: Job, device: Device): Promise<Generator> {
  using model = await openModel(job.source);
  const { batch, source, settings: { precision } } = job;
  return await Generator.create(device, model, { batch, source, precision });
}

/**
 * What a stopped run keeps of a file that is not complete. Pictures in folders are complete one by
 * one, and less than two batches are not worth it (two pictures, where they are decoded).
 */
async function openJournal(job: Job): Promise<Journal | null> {
  const { out, set, settings, overwrite } = job;
  if (!out || out.format === "folder" || job.frames > 1) return null;
  if (job.generate.seeds.length <= (job.decoder ? 1 : job.batch)) return null;
  const asPixels = out.format !== "safetensors" && arePictures(set.shape);
  return await Journal.open(out.path, set, settings, { asPixels, overwrite });
}

/** The images from number `done` on, with progress; none where all are there. */
async function* makeImages(
  job: Job,
  generator: Generator | null,
  done: number,
  terminal: Terminal,
  signal: AbortSignal,
): AsyncGenerator<GeneratedBatch> {
  const total = job.generate.seeds.length;
  if (generator === null || done === total) return;
  const numbers = Array.from({ length: total - done }, (_, i) => done + i);
  const steps = stepCount(job.generate.steps);
  const progress = terminal.progress("sampling", total, "images", done);
  let decoded = done;
  const options = {
    ...optionsOf(job.generate, job.sampleShape, numbers),
    signal,
    onStep: (step: number, _: Float64Array, first: number) => {
      if (job.decoder) return progress.update(decoded, `step ${step + 1} of ${steps}`);
      const count = Math.min(job.batch, numbers.length - first);
      progress.update(Math.floor(done + first + count * (step + 1) / steps));
    },
  };
  try {
    const made = job.frames > 1 ? trajectories(generator, options) : generator.batches(options);
    if (!job.decoder) return yield* made;
    for await (const batch of job.decoder.batches(made, signal)) {
      decoded = done + Math.floor((batch.first + batch.count) / job.frames);
      progress.update(decoded, "decoding");
      yield batch;
    }
  } finally {
    progress.finish();
  }
}

/** Draws a grid for people, so on standard error: standard output may be read by a program. */
function show(pictures: readonly Image[], set: SampleSet, terminal: Terminal): void {
  const columns = set.columns ?? Math.max(4, Math.min(16, Math.floor(79 / (set.shape[1] + 1))));
  const grid = imageGrid(pictures, { columns, padding: 1 });
  const depth = colourDepth({ isTerminal: terminal.colors, get: environmentVariable });
  terminal.picture(renderImage(grid, { depth }));
}
