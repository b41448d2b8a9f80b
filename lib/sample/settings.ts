/**
 * What determines a set of samples besides their seeds, so that work that was begun is continued
 * with the same settings only, and parts of a set are put together only when they belong together.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "jsr:@std/path@^1";
import { UsageError } from "../errors.ts";
import { writeFileAtomic } from "../format/atomic.ts";
import { bytesOf } from "../format/numeric.ts";
import type { Precision } from "../models/precision.ts";
import type { DecoderRecord } from "./decoder.ts";
import type { ClassChoice } from "./labels.ts";
import { RECORD_NAME } from "./sample_set.ts";

/** The record. Two sets with the same one have the same image for the same seed. */
export interface SampleSettings {
  readonly version: 1;
  /** SHA-256 of the model file. */
  readonly model: string;
  readonly sampler: string;
  readonly times: readonly number[];
  readonly guidance: number | readonly number[];
  readonly classes: ClassChoice;
  /** SHA-256 of latents that were given, or null. */
  readonly latents: string | null;
  /** What else changes the images: frames between seeds, steps on the way. */
  readonly variation: string | null;
  /** Left out for float32. */
  readonly precision?: Precision;
  /** What made pictures of latents; left out for none. */
  readonly decoder?: DecoderRecord;
}

/** SHA-256 of numbers in memory. */
export function numbersHash(data: Float32Array): string {
  return createHash("sha256").update(bytesOf(data)).digest("hex");
}

/**
 * Which of `names` a folder holds already, made with these settings.
 *
 * @param overwrite forget what is there
 * @throws {UsageError} when it holds pictures of other settings, or some of `names` without a record
 */
export async function finishedPictures(
  folder: string,
  names: readonly string[],
  settings: SampleSettings,
  { overwrite = false }: { overwrite?: boolean } = {},
): Promise<Set<string>> {
  const found = await Deno.readTextFile(join(folder, RECORD_NAME)).catch(() => null);
  const finished = overwrite ? new Set<string>() : await existing(folder, names);
  if (!overwrite && found !== null && found !== recordText(settings)) {
    throw new UsageError(
      `${folder} holds samples that were made differently (${difference(found, settings)}); ` +
        `choose another folder, or give --overwrite.`,
    );
  }
  if (found === null && finished.size > 0) {
    throw new UsageError(
      `${folder} holds ${
        [...finished][0]
      } already, but no ${RECORD_NAME} that says how it was made; ` +
        `choose another folder, or give --overwrite.`,
    );
  }
  return finished;
}

/** Writes the record into the folder, which is made where there is none. */
export async function writeRecord(folder: string, settings: SampleSettings): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, RECORD_NAME), recordText(settings));
}

function recordText(settings: SampleSettings): string {
  return JSON.stringify(settings, null, 2) + "\n";
}

/** Names of regular files with something in them. Pictures appear complete or not at all. */
async function existing(folder: string, names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  if (await Deno.stat(folder).catch(() => null) === null) return found;
  for (const name of names) {
    const info = await Deno.stat(join(folder, name)).catch(() => null);
    if (info?.isFile && info.size > 0) found.add(name);
  }
  return found;
}

/** The first setting that differs, for a message. */
export function difference(text: string, settings: object): string {
  let other: Record<string, unknown>;
  try {
    other = JSON.parse(text);
  } catch {
    return "their record is damaged";
  }
  for (const [key, value] of Object.entries(settings)) {
    const [there, here] = [JSON.stringify(other?.[key]), JSON.stringify(value)];
    if (there === here) continue;
    if (key === "model") return "by another model";
    return `${key}: ${short(there)}, now ${short(here)}`;
  }
  return "their record has other keys";
}

function short(text: string | undefined): string {
  return text === undefined ? "none" : text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
