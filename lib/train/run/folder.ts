/**
 * The folder of a training run:
 *
 *     config.json                     the resolved configuration
 *     log.txt                         what happened and when, for people
 *     history.jsonl                   when it was begun and resumed, and what was changed
 *     stats.jsonl                     one line per report
 *     checkpoint-000076800.safetensors   state after that many images, the newest few
 *     model.safetensors               averaged weights of the newest checkpoint
 *     model-sigma0.1.safetensors      the same for each of the other averages
 *     snapshots/000076800-sigma0.1.safetensors   power-function averages, for `imm ema reconstruct`
 *     tensorboard/                    the log for TensorBoard, where asked for
 *     scores.jsonl, best.safetensors  scores while training, and the weights with the best (of
 *                                     another kind of score: best-000012800.safetensors)
 *     samples/000076800-2-steps.png   sample grids
 *     .lock                           locked while a process writes here
 *
 * Everything is written under a temporary name first. A run killed at any moment leaves a folder
 * that can be resumed. A run that fails before it has anything to keep leaves nothing.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { LATENT_NOTE, latentNote, normalizationOf } from "../../data/latents/note.ts";
import { FormatError, ImmError, UsageError, WriteError } from "../../base/errors.ts";
import { FileLock, LOCK_NAME } from "../../files/file_lock.ts";
import { isTemporary, writeFileAtomic } from "../../formats/atomic.ts";
import { type Model, saveModel } from "../../models/model_file.ts";
import { refuseTilde } from "../../files/outputs.ts";
import { VERSION } from "../../base/version.ts";
import { printable } from "../../base/printable.ts";
import { RECORD_NAME } from "../../sample/output/sample_set.ts";
import { BEST, bestNotes, keepOtherBest } from "./best.ts";
import { type Change, configChanges } from "./changes.ts";
import { type Checkpoint, loadCheckpoint, type Progress, saveCheckpoint } from "./checkpoint.ts";
import {
  checkpointName,
  fromNewest,
  isCheckpoint,
  listCheckpoints,
  MODEL,
  modelImages,
  namesIn,
  padded,
  refuseLostCheckpoints,
  STATS,
} from "./checkpoint_files.ts";
import type { TrainConfig } from "../config/config.ts";
import { profileName } from "../step/ema.ts";
import { EventFile } from "../reports/tensorboard.ts";
import { type Beginning, beginningIn, HISTORY, type HistoryLine } from "./history.ts";
import type { LayerNorms } from "../step/norms.ts";
import type { StateDict } from "../../nn/parameters.ts";
import { sectionsOf } from "../../objectives/registry.ts";
import type { LearnerState } from "../step/learner.ts";

/** One line of stats.jsonl. */
export interface StatsLine {
  /** Images so far. */
  readonly images: number;
  /** Optimiser steps so far. */
  readonly step: number;
  /** Mean over the steps since the line before. */
  readonly loss: number;
  /** Mean of the global norm before clipping, over the same steps. */
  readonly gradientNorm: number;
  /** Learning rate of the newest step. */
  readonly lr: number;
  /**
   * Mean loss of groups by their t since the line before, in ten equal parts of [eps, T]; null where
   * there was none. It falls by many orders from the first to the last: look at each on its own.
   */
  readonly lossByTime: readonly (number | null)[];
  /** Norms by group of layers, of the newest step. */
  readonly layers: Readonly<Record<string, LayerNorms>>;
  /** With float16: scale of the loss, for the next step. */
  readonly lossScale?: number;
  /** With float16: steps since the line before whose gradient overflowed, and that were skipped. */
  readonly skippedSteps?: number;
  /** Seconds since the line before: getting data, waiting for the device, and all else. */
  readonly time: { readonly data: number; readonly device: number; readonly host: number };
  /** Speed since the line before. */
  readonly imagesPerSecond: number;
  /** Seconds of training so far, over all resumed parts. */
  readonly seconds: number;
}

/** One line of scores.jsonl. */
export interface ScoreLine {
  /** Images so far. */
  readonly images: number;
  /** Scores by name. */
  readonly values: Readonly<Record<string, number>>;
}

/** What the files of a run say of where it comes from. */
export interface RunOrigin {
  /** Names of the classes, where the data have some. */
  readonly classNames?: readonly string[] | null;
  /** Where and with what data it was begun. */
  readonly beginning?: Beginning | null;
}

/** What happened, for people. */
const LOG = "log.txt";

/** Log of the scores. */
const SCORES = "scores.jsonl";

/** Folder of the snapshots inside of a run's. */
export const SNAPSHOT_FOLDER = "snapshots";

/** A training run on disk. Close it to give up the lock. */
export class RunFolder implements AsyncDisposable {
  /** Whether nothing but the configuration has been written. */
  #bare: boolean;
  #events: EventFile | null = null;
  /** Whether the log for people is this run's: another may have been there before. */
  #madeLog: boolean | undefined;

  private constructor(
    readonly path: string,
    private readonly lock: FileLock,
    private readonly origin: RunOrigin,
    { bare }: { bare: boolean },
  ) {
    this.#bare = bare;
  }

  /**
   * Makes the folder for a new run.
   *
   * @throws {UsageError} when it holds a run already, or is a file; nothing is written then
   */
  static async create(
    path: string,
    config: TrainConfig,
    origin: RunOrigin = {},
  ): Promise<RunFolder> {
    refuseTilde(path, "--out");
    await refuseUsed(path);
    await Deno.mkdir(join(path, "samples"), { recursive: true });
    const lock = await takeLock(path);
    const file = join(path, CONFIG);
    try {
      await refuseUsed(path); // another process may have been faster
      await tidy(path);
      await writeFileAtomic(file, configText(config));
      await appendHistory(path, { event: "started", images: 0, ...beginningOf(origin) });
    } catch (error) {
      lock[Symbol.dispose]();
      throw describeWriteError(error, file);
    }
    return new RunFolder(path, lock, origin, { bare: true });
  }

  /** Opens the folder of a run that is to be continued, and tidies up after a killed process. */
  static async open(path: string, origin: RunOrigin = {}): Promise<RunFolder> {
    await Deno.mkdir(join(path, "samples"), { recursive: true });
    const folder = new RunFolder(path, await takeLock(path), origin, { bare: false });
    await tidy(path);
    return folder;
  }

  /**
   * The newest checkpoint that can be read, or null where the run was stopped before its first.
   * `warn` is told of those that cannot be read.
   *
   * @throws {FormatError} when there are checkpoints but none can be read, or when there must have
   * been some
   */
  async latestCheckpoint(
    config: TrainConfig,
    warn: (message: string) => void,
  ): Promise<Checkpoint | null> {
    const found = await fromNewest(this.path, loadCheckpoint, warn);
    if (found === null) await refuseLostCheckpoints(this.path, config);
    return found;
  }

  /**
   * Readies the folder of a run that goes on from a checkpoint, or from image 0: drops what the log
   * has beyond it, writes models again that are missing or older, and notes the changes of the
   * configuration.
   *
   * @param warn is told of models that are newer, and moved aside
   * @returns what has changed since the checkpoint
   */
  async resumed(
    config: TrainConfig,
    checkpoint: Checkpoint | null,
    warn: (message: string) => void = () => {},
  ): Promise<readonly Change[]> {
    const images = checkpoint?.progress.images ?? 0;
    const goesOn = images < config.train.images;
    if (checkpoint) await this.#completeModels(config, checkpoint, goesOn ? warn : null);
    const changes = checkpoint ? configChanges(checkpoint.config, config) : [];
    if (!goesOn) return changes;
    await this.#truncateLogs(images);
    const text = configText(config);
    const before = await Deno.readTextFile(join(this.path, CONFIG)).catch(() => null);
    if (before !== text) await this.#write(CONFIG, (path) => writeFileAtomic(path, text));
    const pairs = changes.map(({ key, before, after }) => [key, [before, after]] as const);
    const history = await Deno.readTextFile(join(this.path, HISTORY)).catch(() => "");
    await this.#write(HISTORY, () =>
      appendHistory(this.path, {
        event: "resumed",
        images,
        ...(pairs.length > 0 ? { changes: Object.fromEntries(pairs) } : {}),
        // Runs of older versions have none until now.
        ...(beginningIn(history) === null ? beginningOf(this.origin) : {}),
      }));
    return changes;
  }

  /** Writes a checkpoint and the model, and removes those that are not to be kept. */
  async checkpoint(
    config: TrainConfig,
    progress: Omit<Progress, "step" | "sums">,
    state: LearnerState,
  ): Promise<string> {
    const { images } = progress;
    const name = checkpointName(images);
    // It goes first: a run killed in between has it, and writes the models when it is resumed.
    const { beginning } = this.origin;
    const origin = { config, ...this.#classNames(config), beginning };
    await this.#write(name, (path) => saveCheckpoint(path, origin, progress, state));
    for (const model of this.#models(config, images, state)) {
      await this.#write(model.name, (path) => saveModel(path, model.model()));
    }
    const { keep, keepEvery } = config.report;
    // One beyond this is damaged: the run went on from before it. It must not push out good ones.
    const all = (await listCheckpoints(this.path)).filter((each) => each.images <= images);
    for (const old of all.slice(0, -keep)) {
      if (keepEvery > 0 && old.images % keepEvery === 0) continue;
      await Deno.remove(join(this.path, old.name));
    }
    return join(this.path, name);
  }

  /** The model files of a checkpoint: of the average, and of the other averages. */
  #models(config: TrainConfig, images: number, state: LearnerState) {
    const notes = { images: String(images) };
    return [
      { name: MODEL, model: () => this.#model(config, notes, state.parts.ema) },
      ...config.train.ema.profiles.map((profile, i) => {
        const average = profileName(profile);
        const model = () => this.#model(config, { ...notes, average }, state.averages[i]);
        return { name: `model-${average}.safetensors`, model };
      }),
    ];
  }

  /**
   * A process can be killed after a checkpoint and before its models. Newer models are of a checkpoint
   * that is lost: before the run goes on they are moved aside, and `warn` is told.
   */
  async #completeModels(
    config: TrainConfig,
    { progress: { images }, state }: Checkpoint,
    warn: ((message: string) => void) | null,
  ): Promise<void> {
    for (const { name, model } of this.#models(config, images, state)) {
      const path = join(this.path, name);
      const found = await modelImages(path);
      if (found === images || (found !== null && found > images && warn === null)) continue;
      if (found !== null && found > images) {
        const aside = name.replace(/\.safetensors$/, `-at-${padded(found)}.safetensors`);
        await this.#write(aside, (aside) => Deno.rename(path, aside));
        warn?.(
          `${path} is of image ${found}, whose checkpoint is lost; it is kept as ${aside}, since ` +
            `the run goes on from image ${images}.`,
        );
      }
      await this.#write(name, (path) => saveModel(path, model()));
    }
  }

  /** Writes snapshots of the power-function averages. */
  async snapshot(config: TrainConfig, images: number, state: LearnerState): Promise<void> {
    await Deno.mkdir(join(this.path, SNAPSHOT_FOLDER), { recursive: true });
    for (const [i, profile] of config.train.ema.profiles.entries()) {
      if (!("sigmaRel" in profile)) continue;
      const name = `${padded(images)}-${profileName(profile)}.safetensors`;
      await this.#write(join(SNAPSHOT_FOLDER, name), (path) =>
        saveModel(
          path,
          this.#model(
            config,
            {
              images: String(images),
              step: String(state.step),
              sigmaRel: String(profile.sigmaRel),
            },
            state.averages[i],
          ),
        ));
    }
  }

  /** Appends a line to the log, and to TensorBoard's where that is wanted. */
  async log(line: StatsLine, { tensorboard = false } = {}): Promise<void> {
    const text = JSON.stringify(line) + "\n";
    await this.#write(STATS, (path) => Deno.writeTextFile(path, text, { append: true }));
    if (tensorboard) {
      this.#events ??= new EventFile(join(this.path, "tensorboard"));
      await this.#write("tensorboard", () => this.#events!.line(line));
    }
  }

  /**
   * Adds lines for people to `log.txt`, each with the time. It never fails: what matters is written
   * elsewhere as well, and where nothing can be written that ends the run.
   */
  note(...lines: readonly string[]): void {
    const time = new Date().toISOString().replace("T", " ").replace(/\.\d+Z/, "Z");
    const text = lines.map((line) => `${time}  ${printable(line)}\n`).join("");
    const file = join(this.path, LOG);
    try {
      this.#madeLog ??= !existsSync(file);
      Deno.writeTextFileSync(file, text, { append: true });
    } catch {
      // A full disk, or a folder that was removed.
    }
  }

  /** Adds scores to their log, and keeps the weights when `best` says so. */
  async scored(
    config: TrainConfig,
    line: ScoreLine,
    best: StateDict | null,
    { tensorboard = false } = {},
  ): Promise<void> {
    if (best) {
      const { scores } = config.report;
      const notes = { images: String(line.images), ...bestNotes(scores, line.values) };
      await this.#write(BEST, async (path) => {
        await keepOtherBest(this.path, scores);
        await saveModel(path, this.#model(config, notes, best));
      });
    }
    const text = JSON.stringify(line) + "\n";
    await this.#write(SCORES, (path) => Deno.writeTextFile(path, text, { append: true }));
    if (!tensorboard) return;
    this.#events ??= new EventFile(join(this.path, "tensorboard"));
    const values = Object.entries(line.values).map(([name, value]) => [`scores/${name}`, value]);
    await this.#write(
      "tensorboard",
      () => this.#events!.add(line.images, Object.fromEntries(values)),
    );
  }

  /** Drops lines of the logs that lie after `images`: a resumed run writes them again. */
  async #truncateLogs(images: number): Promise<void> {
    await this.#truncate(STATS, images);
    if (await Deno.stat(join(this.path, SCORES)).catch(() => null)) {
      await this.#truncate(SCORES, images);
    }
  }

  async #truncate(name: string, images: number): Promise<void> {
    const text = await Deno.readTextFile(join(this.path, name)).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
    const kept = text.split("\n").filter((line) => {
      try {
        return JSON.parse(line).images <= images;
      } catch {
        return false; // a line that was being written when the run was killed
      }
    });
    const shorter = kept.map((line) => line + "\n").join("");
    await this.#write(name, (path) => writeFileAtomic(path, shorter));
  }

  /** Writes a picture of samples after `images` images. */
  async picture(images: number, steps: number, png: Uint8Array): Promise<string> {
    const name = `${padded(images)}-${steps}-step${steps === 1 ? "" : "s"}.png`;
    return await this.#write(join("samples", name), (path) => writeFileAtomic(path, png));
  }

  /** Gives up the lock; of a new run without anything to keep nothing stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#bare ? [CONFIG, HISTORY] : []) {
      await Deno.remove(join(this.path, name)).catch(() => {});
    }
    this.lock[Symbol.dispose]();
    if (!this.#bare) return;
    // Only what is empty: whatever else is in these folders belongs to someone.
    for (const left of [...(this.#madeLog ? [LOG] : []), "samples", "."]) {
      await Deno.remove(join(this.path, left)).catch(() => {});
    }
  }

  /** Writes a file of the run and returns its path. */
  async #write(name: string, write: (path: string) => Promise<void>): Promise<string> {
    const path = join(this.path, name);
    this.#bare = false;
    try {
      await write(path);
    } catch (error) {
      throw describeWriteError(error, path);
    }
    return path;
  }

  /** A model of this run; of one on latents it says how they were normalised, for whoever decodes. */
  #model(
    config: TrainConfig,
    notes: Readonly<Record<string, string>>,
    weights: StateDict,
  ): Model {
    const { network, data: { latents } } = config;
    const normalization: Record<string, string> = latents === null ? {} : {
      [LATENT_NOTE]: latentNote(normalizationOf(latents)),
    };
    const names = this.#classNames(config);
    return {
      network,
      ...sectionsOf(config),
      ...names,
      notes: { ...notes, ...normalization },
      weights,
    };
  }

  /** Names of the classes that the network knows; a network without classes has no use for them. */
  #classNames({ network }: TrainConfig): Pick<Model, "classNames"> {
    const { classNames } = this.origin;
    return classNames && classNames.length === network.labelDim ? { classNames } : {};
  }
}

/** Name of the configuration. */
const CONFIG = "config.json";

function configText(config: TrainConfig): string {
  return JSON.stringify(config, null, 2) + "\n";
}

function beginningOf({ beginning }: RunOrigin): Pick<HistoryLine, "beginning"> {
  return beginning ? { beginning } : {};
}

async function appendHistory(
  run: string,
  line: Omit<HistoryLine, "time" | "version">,
): Promise<void> {
  const complete: HistoryLine = { time: new Date().toISOString(), version: VERSION, ...line };
  await Deno.writeTextFile(join(run, HISTORY), JSON.stringify(complete) + "\n", { append: true });
}

/** Configuration of the run in a folder. @throws {ImmError} when there is none */
export async function readConfig(path: string): Promise<object> {
  const file = join(path, CONFIG);
  try {
    const value = JSON.parse(await Deno.readTextFile(file));
    if (typeof value === "object" && value !== null) return value;
    throw new FormatError(`${file}: expected the keys of a configuration, found ${value}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new ImmError(`there is no training run in ${path}: ${file} does not exist`, {
        cause: error,
      });
    }
    if (error instanceof SyntaxError) {
      throw new FormatError(
        `${file} is damaged (${error.message}); the metadata of every checkpoint holds a copy of ` +
          `the configuration under training.config`,
      );
    }
    throw error;
  }
}

/** Files that a run would write over, or add to. */
const LEFT_OF_RUN =
  /^((model|best)(-.+)?\.safetensors|(stats|scores|history)\.jsonl|snapshots|tensorboard)$/;

/** @throws {UsageError} when a new run cannot be put there */
async function refuseUsed(path: string): Promise<void> {
  const before = await namesIn(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotADirectory)) throw error;
    throw new UsageError(`${path} is a file; --out expects a folder`);
  });
  if (before.some((name) => name === CONFIG || isCheckpoint(name))) {
    throw new UsageError(
      `${path} holds a training run; continue it with --resume ${path}, or choose another --out`,
    );
  }
  if (before.includes(RECORD_NAME)) {
    throw new UsageError(`${path} holds pictures of imm sample; choose another --out`);
  }
  const left = before.find((name) => LEFT_OF_RUN.test(name));
  if (left !== undefined) {
    throw new UsageError(
      `${path} holds ${left} of a training run, which would be overwritten; choose another --out`,
    );
  }
}

/** An exclusive lock of the folder, which `imm sample` asks for as well. */
async function takeLock(path: string): Promise<FileLock> {
  const lock = await FileLock.take(join(path, LOCK_NAME));
  if (lock !== null) return lock;
  throw new ImmError(`another process is writing in ${path}; wait for it, or take another folder`);
}

/** Removes what a killed process left half written. */
async function tidy(path: string): Promise<void> {
  for (const inside of [path, join(path, "samples"), join(path, SNAPSHOT_FOLDER)]) {
    for (const name of await namesIn(inside)) {
      if (isTemporary(name)) await Deno.remove(join(inside, name));
    }
  }
}

/** What the system says about a full disk and the like, with the file's name. */
function describeWriteError(error: unknown, path: string): unknown {
  if (error instanceof ImmError || !(error instanceof Error)) return error;
  return new WriteError(path, error);
}

function existsSync(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
