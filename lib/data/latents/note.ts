/**
 * What a model file says about the latents that it was trained on, for whoever decodes its samples:
 * how they were normalised (latent_loader.ts), which is to be undone.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError } from "../../base/errors.ts";
import { describeMistake } from "../../base/schema.ts";
import {
  type ChannelStatistics,
  LATENT_STATISTICS,
  type LatentSettings,
  latentStatistics,
  type LatentStatisticsName,
} from "./loader.ts";

/** Key of the note in the metadata of a model file. */
export const LATENT_NOTE = "latents";

/** How latents were normalised. */
export interface LatentNormalization extends ChannelStatistics {
  /** Standard deviation after it. */
  readonly finalStd: number;
}

const numbers = z.array(z.number()).min(1);
const schema = z.object({
  mean: numbers,
  std: z.array(z.number().positive()).min(1),
  finalStd: z.number().positive().default(0.5),
});

/** What settings of training make of latents. */
export function normalizationOf(
  { normalize, finalStd }: Pick<LatentSettings, "normalize" | "finalStd">,
): LatentNormalization {
  return { ...latentStatistics(normalize), finalStd };
}

/** The text of a note. */
export function latentNote({ mean, std, finalStd }: LatentNormalization): string {
  return JSON.stringify({ mean, std, finalStd });
}

/**
 * Reads a note; or, as people write it, the name of known statistics.
 *
 * @param source what an error message calls it
 * @throws {FormatError} when it is neither
 */
export function parseLatentNote(text: string, source: string): LatentNormalization {
  if (Object.hasOwn(LATENT_STATISTICS, text)) {
    return normalizationOf({ normalize: text as LatentStatisticsName, finalStd: 0.5 });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError(
      `${source}: expected ${Object.keys(LATENT_STATISTICS).join(", ")} or JSON such as ` +
        `{"mean": [0, 0, 0, 0], "std": [1, 1, 1, 1], "finalStd": 0.5}, found ${text}.`,
    );
  }
  const { success, data, error } = schema.safeParse(value);
  if (!success) throw new FormatError(`${source}: ${describeMistake(schema, value, error)}.`);
  if (data.mean.length !== data.std.length) {
    throw new FormatError(
      `${source}: expected as many means as deviations, found ${data.mean.length} and ` +
        `${data.std.length}.`,
    );
  }
  return data;
}

/**
 * Undoes the normalisation: x / finalStd * std + mean, rounded once, with the axes as PyTorch has
 * them.
 *
 * @param x [height, width, channels]
 * @returns [channels, height, width]
 */
export function denormalized(
  x: Float32Array,
  { mean, std, finalStd }: LatentNormalization,
): Float32Array<ArrayBuffer> {
  const channels = mean.length;
  const plane = x.length / channels;
  const z = new Float32Array(x.length);
  for (let c = 0; c < channels; c++) {
    const scale = std[c] / finalStd;
    for (let i = 0; i < plane; i++) z[c * plane + i] = x[i * channels + c] * scale + mean[c];
  }
  return z;
}
