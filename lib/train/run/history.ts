/**
 * The history of a run: a line when it was begun and one for each time that it was resumed, with what
 * was changed; and where it was begun with which data, which checkpoints keep as well.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { DataFingerprint } from "../../data/fingerprint.ts";
import { FormatError } from "../../base/errors.ts";

/** Name of the file in the folder of a run. */
export const HISTORY = "history.jsonl";

const digest = z.object({ items: z.int().min(0), sha256: z.string() }).readonly();

const beginningSchema = z.object({
  /** Relative paths of the configuration begin there. */
  folder: z.string(),
  data: z.object({
    kind: z.enum(["images", "latents"]),
    items: z.int().min(1),
    shape: z.tuple([z.int(), z.int(), z.int()]).readonly(),
    classes: z.int().min(0),
    classNames: z.array(z.string()).readonly().nullable(),
    labels: z.string().nullable(),
    contents: digest,
    sizes: digest.nullable(),
    stored: z.string().nullable(),
  }).readonly().nullable(),
});

/** Where and with what data a run was begun. Plain JSON. */
export interface Beginning {
  /** The working folder, absolute; empty where it is not known. */
  readonly folder: string;
  /** The data; null for points, which are made. */
  readonly data: DataFingerprint | null;
}

true satisfies z.output<typeof beginningSchema> extends Beginning ? true : false;

/** One line of history.jsonl. */
export interface HistoryLine {
  /** When, as ISO 8601. */
  readonly time: string;
  /** Version of the program. */
  readonly version: string;
  /** What happened. */
  readonly event: "started" | "resumed";
  /** Images that the run had seen. */
  readonly images: number;
  /** Settings with another value than in the checkpoint that was resumed: from what to what. */
  readonly changes?: Readonly<Record<string, readonly [before: unknown, after: unknown]>>;
  /** Where and with what data it was begun. */
  readonly beginning?: Beginning;
}

/** Reads what a checkpoint or a line of the history keeps. @throws {FormatError} when it is wrong */
export function parseBeginning(value: unknown, name: string): Beginning {
  const result = beginningSchema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new FormatError(`${name}: ${path.join(".")}: ${message}`);
}

/** The newest line that says where a run was begun; null where none does. */
export function beginningIn(text: string): Beginning | null {
  for (const line of text.split("\n").reverse()) {
    try {
      const result = beginningSchema.safeParse(JSON.parse(line).beginning);
      if (result.success) return result.data;
    } catch {
      // The end of the file, or a line that a killed process did not finish.
    }
  }
  return null;
}
