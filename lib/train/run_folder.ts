/**
 * The folder of a training run:
 *
 *     config.json                     the resolved configuration
 *     stats.jsonl                     one line per report
 *     checkpoint-000076800.safetensors   state after that many images, the newest few
 *     model.safetensors               averaged weights of the newest checkpoint
 *     samples/000076800-2-steps.png   sample grids
 *     lock                            while a run is writing here
 *
 * Everything is written under a temporary name first. A run killed at any moment leaves a folder
 * that can be resumed.
 *
 * @module
 */

import { join } from "jsr:@std/path@^1";
import { FormatError, ImmError, UsageError } from "../errors.ts";
import { writeFileAtomic } from "../format/atomic.ts";
import { type Model, saveModel } from "../models/model_file.ts";
import { type Checkpoint, loadCheckpoint, type Progress, saveCheckpoint } from "./checkpoint.ts";
import type { TrainConfig } from "./config.ts";
import type { LearnerState } from "./learner.ts";

/** One line of stats.jsonl. */
export interface StatsLine {
  readonly images: number;
  readonly step: number;
  /** Mean over the steps since the line before. */
  readonly loss: number;
  readonly gradientNorm: number;
  readonly lr: number;
  readonly imagesPerSecond: number;
  /** Seconds of training so far, over all resumed parts. */
  readonly seconds: number;
}

const CHECKPOINT = /^checkpoint-(\d{9,})\.safetensors$/;

/** A training run on disk. Close it to give up the lock. */
export class RunFolder implements AsyncDisposable {
  private constructor(readonly path: string, private readonly lock: Deno.FsFile) {}

  /** Makes the folder for a new run. @throws {UsageError} when it holds a run already */
  static async create(path: string, config: TrainConfig): Promise<RunFolder> {
    const before = await namesIn(path);
    if (before.some((name) => name === "config.json" || CHECKPOINT.test(name))) {
      throw new UsageError(
        `${path} holds a training run; add --resume to continue it, or choose another --out`,
      );
    }
    await Deno.mkdir(join(path, "samples"), { recursive: true });
    const folder = new RunFolder(path, await takeLock(path));
    await writeFileAtomic(join(path, "config.json"), JSON.stringify(config, null, 2) + "\n");
    return folder;
  }

  /** Opens the folder of a run that is to be continued. */
  static async open(path: string): Promise<RunFolder> {
    await Deno.mkdir(join(path, "samples"), { recursive: true });
    return new RunFolder(path, await takeLock(path));
  }

  /** The newest checkpoint that can be read, or null. `warn` is told of those that cannot. */
  async latestCheckpoint(warn: (message: string) => void): Promise<Checkpoint | null> {
    for (const { name } of (await this.#checkpoints()).toReversed()) {
      try {
        return await loadCheckpoint(join(this.path, name));
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        warn(`${error.message}; trying the checkpoint before it`);
      }
    }
    return null;
  }

  /** Writes a checkpoint and the model, and removes all but the `keep` newest checkpoints. */
  async checkpoint(
    config: TrainConfig,
    progress: Omit<Progress, "step" | "sums">,
    state: LearnerState,
  ): Promise<string> {
    const name = `checkpoint-${padded(progress.images)}.safetensors`;
    await saveCheckpoint(join(this.path, name), config, progress, state);
    await this.saveModel({
      network: config.network,
      imm: config.imm,
      notes: { images: String(progress.images) },
      weights: state.parts.ema,
    });
    for (const old of (await this.#checkpoints()).slice(0, -config.report.keep)) {
      await Deno.remove(join(this.path, old.name));
    }
    return join(this.path, name);
  }

  /** Writes model.safetensors. */
  async saveModel(model: Model): Promise<void> {
    await saveModel(join(this.path, "model.safetensors"), model);
  }

  /** Appends a line to the log. */
  async log(line: StatsLine): Promise<void> {
    await Deno.writeTextFile(join(this.path, "stats.jsonl"), JSON.stringify(line) + "\n", {
      append: true,
    });
  }

  /** Drops lines of the log that lie after `images`: a resumed run writes them again. */
  async truncateLog(images: number): Promise<void> {
    const path = join(this.path, "stats.jsonl");
    const text = await Deno.readTextFile(path).catch((error) => {
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
    await writeFileAtomic(path, kept.map((line) => line + "\n").join(""));
  }

  /** Writes a picture of samples after `images` images. */
  async picture(images: number, steps: number, png: Uint8Array): Promise<string> {
    const name = `${padded(images)}-${steps}-step${steps === 1 ? "" : "s"}.png`;
    const path = join(this.path, "samples", name);
    await writeFileAtomic(path, png);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lock.close();
    await Deno.remove(join(this.path, "lock")).catch(() => {});
  }

  async #checkpoints(): Promise<{ name: string; images: number }[]> {
    const found = (await namesIn(this.path)).flatMap((name) => {
      const match = CHECKPOINT.exec(name);
      return match ? [{ name, images: Number(match[1]) }] : [];
    });
    return found.sort((a, b) => a.images - b.images);
  }
}

/** Configuration of the run in a folder. @throws {ImmError} when there is none */
export async function readConfig(path: string): Promise<unknown> {
  const file = join(path, "config.json");
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ImmError(`there is no training run in ${path}: ${file} does not exist`);
    }
    if (error instanceof SyntaxError) throw new FormatError(`${file}: ${error.message}`);
    throw error;
  }
}

/** An exclusive lock of the folder, given up by the system when the process ends. */
async function takeLock(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(join(path, "lock"), { create: true, write: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new ImmError(`another process is training in ${path}; wait for it or choose another --out`);
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function padded(images: number): string {
  return String(images).padStart(9, "0");
}
