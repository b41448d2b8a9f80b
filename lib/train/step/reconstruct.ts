/**
 * Averages of a finished run that it did not keep, from the snapshots that it did.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { ImmError, UsageError } from "../../base/errors.ts";
import { openSafetensors } from "../../formats/safetensors/safetensors.ts";
import { loadModel, type Model, parseModelMetadata } from "../../models/model_file.ts";
import { reconstructionWeights, type Snapshot, WeightedSum } from "./ema.ts";
import { SNAPSHOT_FOLDER } from "../run/folder.ts";

/** A snapshot in a file. */
export interface SnapshotFile extends Snapshot {
  /** Where it is. */
  readonly path: string;
  /** Images when it was saved. */
  readonly images: number;
}

/** The snapshots of a run, oldest first. @throws {ImmError} when there are none */
export async function listSnapshots(run: string): Promise<SnapshotFile[]> {
  const folder = join(run, SNAPSHOT_FOLDER);
  const found: SnapshotFile[] = [];
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch((error) => {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  });
  for (const name of names.filter((name) => /^\d.*\.safetensors$/.test(name)).sort()) {
    const path = join(folder, name);
    using file = await openSafetensors(path);
    const { images, step, sigmaRel } = parseModelMetadata(path, file.metadata)?.notes ?? {};
    const numbers = [images, step, sigmaRel].map(Number);
    if (!numbers.every((n) => n > 0)) continue;
    found.push({ path, images: numbers[0], step: numbers[1], sigmaRel: numbers[2] });
  }
  if (found.length === 0) {
    throw new ImmError(
      `${folder} holds no snapshots of averages; train with train.ema.profiles that have a ` +
        `sigmaRel and with train.ema.snapshots, the images between snapshots`,
    );
  }
  return found;
}

/** An average that was made after training. */
export interface Reconstruction {
  /** To be saved. */
  readonly model: Model;
  /** Snapshots that went into it. */
  readonly snapshots: number;
  /** Images of the run at the time that it is of. */
  readonly images: number;
}

/**
 * The power-function average of width `sigmaRel` as it was at the newest snapshot of at most `images`
 * images (default: the newest of all).
 *
 * @throws {UsageError} when there is no snapshot that early, or the width is impossible
 */
export async function reconstructAverage(
  run: string,
  { sigmaRel, images = Infinity }: { readonly sigmaRel: number; readonly images?: number },
): Promise<Reconstruction> {
  const all = await listSnapshots(run);
  const usable = all.filter((snapshot) => snapshot.images <= images);
  const newest = usable.at(-1);
  if (!newest) {
    throw new UsageError(`the first snapshot of ${run} is of image ${all[0].images}`);
  }
  const weights = reconstructionWeights(usable, { step: newest.step, sigmaRel });
  const sum = new WeightedSum();
  let last: Model | null = null;
  for (const [i, { path }] of usable.entries()) {
    last = await loadModel(path);
    sum.add(last.weights, weights[i], path);
  }
  const { step: _step, ...notes } = last!.notes;
  Object.assign(notes, { images: String(newest.images), sigmaRel: String(sigmaRel) });
  const model = { ...last!, notes, weights: sum.result() };
  return { model, snapshots: usable.length, images: newest.images };
}
