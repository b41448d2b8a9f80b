/**
 * The weights with the best score of a run. What they were is read from their file, not from the log,
 * which a resumed run shortens: a score is beaten by a better one of the same kind alone.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../../base/errors.ts";
import { openModel } from "../../models/model_file.ts";
import { padded } from "./checkpoint_files.ts";
import type { ScoreSettings } from "../config/config.ts";

/** Name of the file in the folder of a run. */
export const BEST = "best.safetensors";

/** Key of the note that says how scores were computed. */
const SCORED_BY = "scoredBy";

/** The notes that are kept with the best weights. */
export function bestNotes(
  settings: ScoreSettings,
  values: Readonly<Record<string, number>>,
): Record<string, string> {
  const notes = Object.entries(values).map(([name, value]) => [name, String(value)]);
  return { ...Object.fromEntries(notes), [SCORED_BY]: scoredBy(settings) };
}

/** The score of the weights that are kept; null for none that can be compared with new ones. */
export async function bestScore(run: string, settings: ScoreSettings): Promise<number | null> {
  const notes = await readNotes(run);
  const value = Number(notes?.[settings.metrics[0]] ?? NaN);
  // Older versions did not say how.
  const isAlike = (notes?.[SCORED_BY] ?? scoredBy(settings)) === scoredBy(settings);
  return isAlike && Number.isFinite(value) ? value : null;
}

/** Moves weights aside whose score is of another kind: nothing brings them back. */
export async function keepOtherBest(run: string, settings: ScoreSettings): Promise<void> {
  const path = join(run, BEST);
  const isThere = await Deno.stat(path).then(() => true, () => false);
  if (!isThere || await bestScore(run, settings) !== null) return;
  const images = Number((await readNotes(run))?.images ?? NaN);
  const name = Number.isSafeInteger(images) ? padded(images) : "damaged";
  await Deno.rename(path, join(run, `best-${name}.safetensors`));
}

/** What scores depend on besides the weights. */
function scoredBy({ extractor, metrics, samples, steps }: ScoreSettings): string {
  return JSON.stringify({ metric: metrics[0], extractor, samples, steps });
}

async function readNotes(run: string): Promise<Readonly<Record<string, string>> | null> {
  try {
    using file = await openModel(join(run, BEST));
    return file.notes;
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
