/**
 * What determines a set of samples besides their seeds, so that work that was begun is continued
 * with the same settings only, and parts of a set are put together only when they belong together.
 *
 * @module
 */

import { sha256 } from "../base/hash.ts";
import type { Precision } from "../models/precision.ts";
import type { DecoderRecord } from "./decoder.ts";
import type { ClassChoice } from "./labels.ts";

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
  /** Names of the model's classes, where it has some: whoever reads labels finds them here. */
  readonly classNames?: readonly string[];
}

/** SHA-256 of numbers in memory. */
export function numbersHash(data: Float32Array): string {
  return sha256(data);
}

/** The first setting that differs, for a message. */
export function difference(text: string, settings: object): string {
  let other: Record<string, unknown>;
  try {
    other = JSON.parse(text);
  } catch {
    return "their record is damaged";
  }
  const keys = [...Object.keys(settings), ...Object.keys(other ?? {})];
  for (const key of new Set(keys)) {
    const value = (settings as Record<string, unknown>)[key];
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
