/**
 * The checkpoints in the folder of a run, and what there is where they are gone.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../../base/errors.ts";
import { openModel } from "../../models/model_file.ts";
import { type CheckpointDescription, describeCheckpoint } from "./checkpoint.ts";
import type { TrainConfig } from "../config/config.ts";

/** Name of the averaged weights in the folder of a run. */
export const MODEL = "model.safetensors";

/** Log of a run. */
export const STATS = "stats.jsonl";

const CHECKPOINT = /^checkpoint-(\d{9,})\.safetensors$/;

/** A checkpoint by its name. */
export interface CheckpointFile {
  readonly name: string;
  /** Images that the run had seen. */
  readonly images: number;
}

/** Name of the checkpoint after so many images. */
export function checkpointName(images: number): string {
  return `checkpoint-${padded(images)}.safetensors`;
}

/** A number of images in names of files, which sort. */
export function padded(images: number): string {
  return String(images).padStart(9, "0");
}

/** Whether a file is a checkpoint, by its name. */
export function isCheckpoint(name: string): boolean {
  return CHECKPOINT.test(name);
}

/** The checkpoints of a run, oldest first; none where there is no folder. */
export async function listCheckpoints(run: string): Promise<CheckpointFile[]> {
  const found = (await namesIn(run)).flatMap((name) => {
    const match = CHECKPOINT.exec(name);
    return match ? [{ name, images: Number(match[1]) }] : [];
  });
  return found.sort((a, b) => a.images - b.images);
}

/** Names in a folder; none where there is no folder. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * What `read` makes of the newest checkpoint that can be read, or null where none has been written.
 *
 * @param warn is told of those that cannot be read
 * @throws {FormatError} when there are checkpoints but none can be read
 */
export async function fromNewest<Value>(
  run: string,
  read: (path: string) => Promise<Value>,
  warn: (message: string) => void = () => {},
): Promise<Value | null> {
  const all = (await listCheckpoints(run)).toReversed();
  for (const [i, { name }] of all.entries()) {
    try {
      return await read(join(run, name));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (i === all.length - 1) {
        throw new FormatError(
          `no checkpoint of ${run} can be read: ${error.message} ${await advice(run)}`,
        );
      }
      warn(`${error.message} Continuing from the checkpoint before it.`);
    }
  }
  return null;
}

/** What the newest checkpoint says, without its tensors; see {@link fromNewest}. */
export async function describeNewest(run: string): Promise<CheckpointDescription | null> {
  return await fromNewest(run, describeCheckpoint);
}

/**
 * A run without checkpoints can only begin again, and would write over what it has: that is refused
 * unless it was stopped before its first checkpoint, when everything will be made again.
 *
 * @throws {FormatError} when the run has been further
 */
export async function refuseLostCheckpoints(
  run: string,
  { report, train }: TrainConfig,
): Promise<void> {
  const names = await namesIn(run);
  const hasModel = names.some((name) => /^model(-.+)?\.safetensors$/.test(name));
  const first = report.checkpoint > 0
    ? Math.ceil(report.checkpoint / train.batch) * train.batch
    : train.images;
  const logged = await loggedImages(run);
  if (!hasModel && logged <= Math.min(first, train.images)) return;
  const files = [
    ...(hasModel ? [await describeModelFile(run)] : []),
    ...(logged > 0 ? [`${STATS} up to image ${logged}`] : []),
  ].join(" and ");
  throw new FormatError(
    `${run} has no checkpoint to continue from, only ${files}, which would be overwritten. ` +
      await advice(run),
  );
}

/** What to do without a checkpoint. */
async function advice(run: string): Promise<string> {
  const init = await namesIn(run).then((names) => names.includes(MODEL))
    ? ` imm train --init ${run} --out DIR begins one with the weights that are left.`
    : "";
  return `Nothing was changed. Put back a copy of a checkpoint, or begin a new run in another ` +
    `folder.${init}`;
}

async function describeModelFile(run: string): Promise<string> {
  const images = await modelImages(join(run, MODEL));
  return images === null ? "models" : `${MODEL} of image ${images}`;
}

/** Images that the run had seen when a model was written; null where it cannot be read. */
export async function modelImages(path: string): Promise<number | null> {
  try {
    using file = await openModel(path);
    const images = Number(file.notes.images);
    return Number.isSafeInteger(images) ? images : null;
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Images of the last whole line of the log; 0 where there is none. */
async function loggedImages(run: string): Promise<number> {
  const text = await Deno.readTextFile(join(run, STATS)).catch(() => "");
  for (const line of text.split("\n").reverse()) {
    try {
      const { images } = JSON.parse(line);
      if (Number.isSafeInteger(images)) return images;
    } catch {
      // The end, or a line that a killed process did not finish.
    }
  }
  return 0;
}
