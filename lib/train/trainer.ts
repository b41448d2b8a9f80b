/**
 * The training loop: data, steps, reports, pictures, checkpoints.
 *
 * All randomness is keyed by the seed and the step, and the data by the number of images so far, so
 * a resumed run continues bit for bit.
 *
 * @module
 */

import { basename } from "jsr:@std/path@1.0.8";
import type { Device } from "../device/device.ts";
import {
  DeviceError,
  FormatError,
  ImmError,
  InterruptedError,
  isSystemError,
} from "../base/errors.ts";
import type { Network } from "../models/network.ts";
import type { BatchSource } from "../objectives/objective.ts";
import { objectiveOf } from "../objectives/registry.ts";
import { trainingKey, type TrainingPurpose } from "../random/keys.ts";
import { createNetwork } from "../models/registry.ts";
import type { StateDict } from "../nn/parameters.ts";
import { NotFiniteError } from "../sample/finite.ts";
import { formatDuration } from "../base/units.ts";
import type { Change } from "./run/changes.ts";
import type { TrainConfig } from "./config/config.ts";
import { bestScore } from "./run/best.ts";
import { averageWeight } from "./step/ema.ts";
import type { Progress } from "./run/checkpoint.ts";
import {
  Learner,
  type LearnerState,
  type StepBatch,
  type StepSums,
  timeBin,
} from "./step/learner.ts";
import {
  expectedLine,
  reportLine,
  resumedLines,
  type RunStart,
  scoreLine,
  startLines,
} from "./run/narrative.ts";
import { TIME_BINS } from "./step/programs.ts";
import type { RunFolder, ScoreLine, StatsLine } from "./run/folder.ts";
import type { ScalingState } from "./step/scaling.ts";

/** A scale of the loss below which an overflow is not the scale's doing. */
const LEAST_SCALE = 2 ** -16;

/** The host waits for the device at least this often, so that it can be interrupted. */
const SYNC_MILLISECONDS = 250;

/** For so long the pace is measured before it is told. */
const PACE_MILLISECONDS = 2000;

/** What happens during training, for whoever shows it. */
export interface TrainObserver {
  /**
   * When a run is continued, before anything else: the images that it had seen, and the settings that
   * have changed since.
   */
  resumed?(images: number, changes: readonly Change[]): void;
  /** Before the first step, with what the run is; not at all where no step is left. */
  start?(start: RunStart): void;
  /** Once, when the pace is known: how many seconds the rest takes, and images per second. */
  expects?(seconds: number, imagesPerSecond: number): void;
  /** After every step. */
  step?(images: number): void;
  /** After a line was added to the log. */
  report?(line: StatsLine): void;
  /** After samples were scored. */
  scored?(line: ScoreLine): void;
  /** After a file was written. */
  wrote?(path: string): void;
  /** When something is odd but training goes on: an unreadable checkpoint, for example. */
  warn?(message: string): void;
}

/** What a run needs. */
export interface TrainOptions {
  readonly device: Device;
  readonly config: TrainConfig;
  readonly source: BatchSource;
  /** What the data are, in a line, for the log. */
  readonly data?: string;
  /** What a new run begins with in place of random weights. */
  readonly initial?: {
    /** The file, for messages. */
    readonly source: string;
    /** Its weights for a network. */
    readonly weights: (network: Network) => Promise<StateDict>;
  };
  readonly folder: RunFolder;
  /** Whether to continue from the folder's newest checkpoint. */
  readonly resume: boolean;
  /** Draws the sample grids of a learner: one PNG per entry of `report.steps`. */
  readonly draw?: Draw;
  /** Scores a learner's averaged weights; see `report.scores`. */
  readonly score?: Score;
  readonly observer?: TrainObserver;
  /** Aborting saves a checkpoint and ends the run with an {@link InterruptedError}. */
  readonly signal?: AbortSignal;
}

/**
 * Scores a learner's averaged weights; of the first metric less is better. An aborted signal may end
 * it early, with the signal's reason.
 */
export type Score = (
  learner: Learner,
  signal?: AbortSignal,
) => Promise<Readonly<Record<string, number>>>;

/** Draws sample grids with a learner's averaged weights; ends early as {@link Score} does. */
export type Draw = (
  learner: Learner,
  signal?: AbortSignal,
) => Promise<readonly { steps: number; png: Uint8Array }[]>;

/** Training cannot go on from what it has become: the newest checkpoint is from before. */
class BrokenDownError extends ImmError {}

/** How a run ended. */
export interface TrainResult {
  /** Images seen, over all resumed parts. */
  readonly images: number;
  /** Seconds of training, over all resumed parts. */
  readonly seconds: number;
  /** The last line of the log. */
  readonly last: StatsLine | null;
}

/**
 * Trains until `train.images` images have been seen. Whatever ends it before, its state is saved
 * first, where there is one: only when training broke down, or the device did, the newest checkpoint
 * is from before. The error says which it is, and how to go on.
 *
 * @throws {InterruptedError} after an abort; the state has been saved
 * @throws {ImmError} when the loss, a gradient or a sample is not finite; the newest checkpoint is good
 * @throws {DeviceError} when the device is lost; the newest checkpoint is good
 * @throws {FormatError} when a picture is damaged; the state has been saved
 * @throws {ImmError} when something cannot be written; the state has been saved, if it could be
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const run = await Run.start(options);
  try {
    return await run.toTheEnd();
  } catch (error) {
    const explained = await run.saved(error);
    const message = explained instanceof Error ? explained.message : String(explained);
    options.folder.note(message);
    throw explained;
  } finally {
    run.free();
  }
}

class Run {
  #images: number;
  /** Images when the sums were last reset. */
  #sumsSince: number;
  #savedAt: number | null;
  #secondsBefore: number;
  readonly #start = performance.now();
  #lastReport = { images: 0, seconds: 0 };
  #lastLine: StatsLine | null = null;
  /** Groups since the sums were last reset, by their time. */
  #binCounts: number[];
  /** Whether the learner's state is that after `#images` images, and not of a half-taken step. */
  #isWhole = true;
  /** Where the measurement of the pace began; null before, `told` after. */
  #pace: { readonly since: number; readonly images: number } | "told" | null = null;
  /** Seconds since the last line. */
  #spent = { data: 0, device: 0 };

  private constructor(
    private readonly options: TrainOptions,
    private readonly learner: Learner,
    progress: Progress | null,
  ) {
    this.#images = progress?.images ?? 0;
    this.#sumsSince = progress?.sumsSince ?? 0;
    this.#savedAt = progress?.images ?? null;
    this.#secondsBefore = progress?.seconds ?? 0;
    this.#lastReport = { images: this.#images, seconds: this.#secondsBefore };
    this.#binCounts = [...progress?.binCounts ?? new Array(TIME_BINS).fill(0)];
  }

  static async start(options: TrainOptions): Promise<Run> {
    const { device, config, folder, resume, observer, initial } = options;
    const { batch, microBatch, recompute, precision, seed } = config.train;
    const network = createNetwork(config.network);
    const learner = await Learner.create(device, network, {
      objective: objectiveOf(config),
      optimizer: config.optimizer,
      batch,
      microBatch: microBatch ?? batch,
      recompute,
      precision,
      averages: config.train.ema.profiles.length,
      clip: config.optimizer.clip !== null,
    });
    try {
      const warn = (message: string) => {
        folder.note(`warning: ${message}`);
        observer?.warn?.(message);
      };
      const checkpoint = resume ? await folder.latestCheckpoint(config, warn) : null;
      if (checkpoint) learner.restore(checkpoint.state, checkpoint.path);
      else if (initial) learner.initialize(await initial.weights(network), initial.source);
      else learner.initialize(network.parameters.initial(seed));
      const progress = checkpoint?.progress ?? null;
      if (resume) {
        const images = progress?.images ?? 0;
        const changes = await folder.resumed(config, checkpoint, warn);
        if (images < config.train.images) {
          folder.note(...resumedLines(images, config.train.images, changes));
        }
        observer?.resumed?.(images, changes);
      }
      return new Run(options, learner, progress);
    } catch (error) {
      learner.free();
      throw error;
    }
  }

  async toTheEnd(): Promise<TrainResult> {
    const { config: { train, report }, folder, observer, signal } = this.options;
    if (this.#images < train.images) {
      const start = this.#described();
      folder.note(...startLines(start));
      observer?.start?.(start);
    }
    let synced = performance.now();
    while (this.#images < train.images) {
      signal?.throwIfAborted();
      await this.#step();
      observer?.step?.(this.#images);
      if (performance.now() - synced > SYNC_MILLISECONDS) {
        await this.#waiting(this.learner.finish());
        await new Promise((resolve) => setTimeout(resolve)); // lets signals and timers in
        synced = performance.now();
        this.#tellPace(synced);
      }
      const done = this.#images >= train.images;
      if (this.#passed(report.status) || done) await this.#report();
      if (this.#passed(report.samples) || done) await this.#draw();
      if (this.#passed(report.scores.every)) await this.#score();
      if (this.#passed(train.ema.snapshots)) await this.#snapshot();
      if (this.#passed(report.checkpoint) || done) await this.#checkpoint();
    }
    const seconds = this.#seconds();
    if (this.#lastLine) folder.note(`trained in ${formatDuration(seconds)}`);
    return { images: this.#images, seconds, last: this.#lastLine };
  }

  /** Says once how long the run takes, not counting the first steps, which compile and measure. */
  #tellPace(now: number): void {
    if (this.#pace === "told") return;
    if (this.#pace === null) {
      this.#pace = { since: now, images: this.#images };
      return;
    }
    if (now - this.#pace.since < PACE_MILLISECONDS) return;
    const { config: { train }, folder, observer } = this.options;
    const perSecond = (this.#images - this.#pace.images) * 1000 / (now - this.#pace.since);
    const seconds = (train.images - this.#images) / perSecond;
    this.#pace = "told";
    if (seconds <= 0) return;
    folder.note(expectedLine(seconds, perSecond));
    observer?.expects?.(seconds, perSecond);
  }

  #described(): RunStart {
    const { device, config: { network, train }, folder, data = null, initial } = this.options;
    return {
      folder: folder.path,
      device: device.description,
      data,
      network: network.type,
      init: this.#images === 0 ? initial?.source ?? null : null,
      parameters: this.learner.network.parameters.parameterCount,
      ...this.learner.memory,
      images: this.#images,
      total: train.images,
      batch: train.batch,
      microBatch: train.microBatch ?? train.batch,
    };
  }

  /** The one way out: saves what can be saved, and returns the error with how to go on. */
  async saved(error: unknown): Promise<unknown> {
    const { signal, folder, config: { train: { images } } } = this.options;
    if (error instanceof BrokenDownError) return error;
    const asked = signal?.aborted === true && error === signal.reason;
    if (this.#images === 0) {
      return asked ? new InterruptedError("stopped before the first step") : error;
    }
    const unsaved = await this.#rescue(error);
    const next = `continue with: imm train --resume ${folder.path}`;
    if (asked && unsaved === null) {
      return new InterruptedError(`stopped after ${this.#images} of ${images} images; ${next}`);
    }
    if (asked && unsaved instanceof BrokenDownError) return unsaved;
    return withAdvice(
      asked ? unsaved : error,
      unsaved === null
        ? `stopped after ${this.#images} of ${images} images, which are saved; when that is mended, ` +
          next
        : this.#savedAt === null
        ? "no checkpoint had been written yet"
        : error instanceof DeviceError
        ? `continue from image ${this.#savedAt} with: imm train --resume ${folder.path}`
        : `the newest checkpoint is of image ${this.#savedAt}; when that is mended, ${next}`,
    );
  }

  /** Writes a checkpoint because of an error; returns null, or what kept it from being written. */
  async #rescue(error: unknown): Promise<unknown> {
    // Of a device that failed nobody knows which of its numbers are right.
    if (error instanceof DeviceError || !this.#isWhole) return error;
    try {
      await this.#checkpoint();
      return null;
    } catch (unsaved) {
      // Written all the same, if it was only that nobody could be told.
      return this.#savedAt === this.#images ? null : unsaved;
    }
  }

  free(): void {
    this.learner.free();
  }

  async #step(): Promise<void> {
    const { config } = this.options;
    const { batch, ema } = config.train;
    const { clip } = config.optimizer;
    const after = this.#images + batch;
    const count = this.learner.step + 1;
    const start = performance.now();
    const step = await this.#batch();
    const { objective } = this.learner.config;
    step.draw.times.forEach((t) => this.#binCounts[timeBin(objective.config, t)]++);
    const enqueued = performance.now();
    this.#spent.data += (enqueued - start) / 1000;
    this.#isWhole = false;
    this.learner.run(step, {
      lr: this.#learningRate(after),
      emaDecay: ema.ramp ? Math.min(ema.decay, (1 + count) / (10 + count)) : ema.decay,
      averageWeights: ema.profiles.map((profile) => averageWeight(profile, count)),
      ...(clip === null ? {} : { maxNorm: clip }),
    });
    // A run on the wasm device is over when the call returns.
    if (this.options.device.kind === "wasm") {
      this.#spent.device += (performance.now() - enqueued) / 1000;
    }
    this.#images = after;
    this.#isWhole = true;
  }

  /** Waits for the device and remembers for how long. */
  async #waiting<Value>(work: Promise<Value>): Promise<Value> {
    const start = performance.now();
    const value = await work;
    this.#spent.device += (performance.now() - start) / 1000;
    return value;
  }

  /** Learning rate of the step after which `images` images have been seen. */
  #learningRate(images: number): number {
    const { lr, warmup } = this.options.config.optimizer;
    return warmup > 0 ? lr * Math.min(1, images / warmup) : lr;
  }

  async #batch(): Promise<StepBatch> {
    const { config: { train: { seed, batch, images } }, source } = this.options;
    const { step, network, config: { objective } } = this.learner;
    const key = (purpose: TrainingPurpose) => trainingKey(seed, purpose, step);
    const draw = await objective.draw({
      source,
      position: this.#images,
      batch,
      step,
      steps: Math.ceil(images / batch),
      hasLabels: network.conditioning.labels !== null,
      key,
    });
    return { draw, noiseKey: key("noise"), dropoutKey: key("dropout") };
  }

  /** Whether the last step passed a multiple of `interval` images. */
  #passed(interval: number): boolean {
    if (interval === 0) return false;
    const before = this.#images - this.options.config.train.batch;
    return Math.floor(this.#images / interval) > Math.floor(before / interval);
  }

  async #report(): Promise<void> {
    const { config, folder, observer } = this.options;
    const steps = (this.#images - this.#sumsSince) / config.train.batch;
    const { sums, scaling } = await this.#waiting(this.#finiteSums());
    const { skipped = 0 } = sums;
    const layers = await this.#waiting(this.learner.layerNorms());
    const seconds = this.#seconds();
    const elapsed = seconds - this.#lastReport.seconds;
    const { data, device } = this.#spent;
    const line: StatsLine = {
      images: this.#images,
      step: this.learner.step,
      loss: sums.loss / steps,
      gradientNorm: sums.gradientNorm / Math.max(1, steps - skipped),
      lr: this.#learningRate(this.#images),
      lossByTime: this.#binCounts.map((count, bin) =>
        count > 0 ? sums.lossBins![bin] / count : null
      ),
      layers,
      ...(scaling ? { lossScale: scaling.scale, skippedSteps: skipped } : {}),
      time: { data, device, host: elapsed - data - device },
      imagesPerSecond: (this.#images - this.#lastReport.images) / elapsed,
      seconds,
    };
    // Where the line cannot be written, a checkpoint keeps the sums, and the next line has them.
    await folder.log(line, config.report);
    folder.note(reportLine(line, config.train.images));
    this.learner.resetSums();
    this.#binCounts.fill(0);
    this.#spent = { data: 0, device: 0 };
    this.#sumsSince = this.#images;
    this.#lastReport = { images: this.#images, seconds };
    this.#lastLine = line;
    observer?.report?.(line);
  }

  /** The sums, after making sure that training has not broken down since the last checkpoint. */
  async #finiteSums(): Promise<{ sums: StepSums; scaling: ScalingState | null }> {
    const sums = await this.learner.sums();
    if (!Number.isFinite(sums.loss)) throw this.#brokeDown("the loss");
    if (!Number.isFinite(sums.gradientNorm)) throw this.#brokeDown("a gradient");
    const steps = (this.#images - this.#sumsSince) / this.options.config.train.batch;
    const scaling = await this.learner.scaling();
    // Right after a report there is no step to judge by.
    if (scaling && scaling.scale < LEAST_SCALE && steps > 0 && sums.skipped === steps) {
      throw this.#brokeDown("every gradient");
    }
    return { sums, scaling };
  }

  #brokeDown(what: string, found?: string): BrokenDownError {
    const good = this.#savedAt === null
      ? "no checkpoint had been written yet"
      : `the checkpoint of image ${this.#savedAt} is good`;
    return new BrokenDownError(
      `${what} stopped being finite between image ${this.#sumsSince} and ${this.#images}` +
        `${found === undefined ? "" : ` (${found})`}; ${good}. ` +
        "Try a lower optimizer.lr, a longer optimizer.warmup, or optimizer.clip=1" +
        (this.options.config.train.precision === "float16" ? ", or train.precision=float32" : ""),
    );
  }

  async #draw(): Promise<void> {
    const { draw, folder, observer, signal } = this.options;
    if (!draw) return;
    for (const { steps, png } of await this.#sampled(draw(this.learner, signal))) {
      const path = await folder.picture(this.#images, steps, png);
      observer?.wrote?.(path);
    }
  }

  async #checkpoint(): Promise<void> {
    const { config, folder, observer } = this.options;
    if (this.#savedAt === this.#images) return;
    await this.#finiteSums();
    const state = await this.learner.save();
    // The last update can be what breaks: its loss and gradient were still finite.
    if (!allFinite(state)) throw this.#brokeDown("a weight");
    const progress = {
      images: this.#images,
      sumsSince: this.#sumsSince,
      binCounts: this.#binCounts,
      seconds: this.#seconds(),
    };
    const path = await folder.checkpoint(config, progress, state);
    this.#savedAt = this.#images;
    folder.note(`wrote ${basename(path)}`);
    observer?.wrote?.(path);
  }

  async #score(): Promise<void> {
    const { config, folder, observer, score, signal } = this.options;
    if (!score) return;
    const { scores } = config.report;
    const values = await this.#sampled(score(this.learner, signal));
    const best = await bestScore(folder.path, scores);
    const isBest = best === null || values[scores.metrics[0]] < best;
    const weights = isBest ? await this.learner.averagedWeights() : null;
    const line = { images: this.#images, values };
    await folder.scored(config, line, weights, config.report);
    folder.note(`${scoreLine(values)}${isBest ? ", the best so far" : ""}`);
    observer?.scored?.(line);
  }

  async #snapshot(): Promise<void> {
    const { config, folder } = this.options;
    await folder.snapshot(config, this.#images, await this.learner.save());
  }

  /** What was made of samples. Where those are no numbers, training has broken down. */
  async #sampled<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof NotFiniteError) throw this.#brokeDown("samples", error.message);
      throw error;
    }
  }

  #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#start) / 1000;
  }
}

/** An error that is no bug, with what to do about it. */
function withAdvice(error: unknown, advice: string): unknown {
  if (!(error instanceof ImmError) && !isSystemError(error)) return error;
  const message = `${error.message.replace(/\.$/, "")}; ${advice}`;
  const Kind = error instanceof DeviceError
    ? DeviceError
    : error instanceof FormatError
    ? FormatError
    : ImmError;
  return new Kind(message, { cause: error });
}

/** Whether every number of a state is finite. */
function allFinite({ parts, averages }: LearnerState): boolean {
  return [...Object.values(parts), ...averages].every((part) =>
    [...part.values()].every(({ data }) => data.every(Number.isFinite))
  );
}
