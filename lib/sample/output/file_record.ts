/**
 * How the samples in a file were made, kept in the file: parts are put together only when they are of
 * one set, and a file of other settings is not replaced unasked.
 *
 * @module
 */

import { FormatError, UsageError } from "../../base/errors.ts";
import { NpzFile } from "../../formats/arrays/npz.ts";
import { pngText } from "../../formats/image/png_text.ts";
import { openSafetensors } from "../../formats/safetensors/safetensors.ts";
import { readFileBytes } from "../../formats/source.ts";
import { openZip } from "../../formats/archive/zip.ts";
import { formatRanges } from "../../base/units.ts";
import type { OutputFormat } from "./open.ts";
import { RECORD_NAME } from "./sample_set.ts";
import { difference, type SampleSettings } from "../settings.ts";

/** What decides about the bytes of a file beside {@link SampleSettings}. */
export interface FileRecord extends SampleSettings {
  /** All seeds of the set, as `--seeds` takes them. */
  readonly seeds: string;
  /** `2/8` in the file of a part. */
  readonly shard?: string;
  /** Images in a row of a grid, where it was said. */
  readonly columns?: number;
  /** Samples of an image, where its steps are shown. */
  readonly frames?: number;
}

/** The record as the file has it. */
export function fileRecord(
  settings: SampleSettings,
  { seeds, ...more }: {
    seeds: readonly number[];
    shard?: string;
    columns?: number;
    frames?: number;
  },
): string {
  return JSON.stringify({ ...settings, seeds: formatRanges(seeds), ...more } satisfies FileRecord);
}

/** The record of a file of a format; null where it has none, or is something else. */
export async function readFileRecord(path: string, format: OutputFormat): Promise<string | null> {
  try {
    switch (format) {
      case "grid":
        return pngText(await readFileBytes(path), RECORD_NAME);
      case "npz": {
        using file = await NpzFile.open(path);
        return await file.note(RECORD_NAME);
      }
      case "zip": {
        using file = await openZip(path);
        if (!file.members.has(RECORD_NAME)) return null;
        return new TextDecoder().decode(await file.read(RECORD_NAME));
      }
      case "safetensors": {
        using file = await openSafetensors(path);
        return file.metadata[RECORD_NAME] ?? null;
      }
    }
    return null;
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/**
 * Whether a file may be replaced by one with this record: when it is the same.
 *
 * @throws {UsageError} saying what differs, when it has another
 */
export async function mayReplace(
  path: string,
  format: OutputFormat,
  record: string,
): Promise<boolean> {
  const found = await readFileRecord(path, format);
  if (found === null || found === record) return found !== null;
  throw new UsageError(
    `${path} holds samples that were made differently (${
      difference(found, JSON.parse(record))
    }); ` +
      `choose another name, or give --overwrite.`,
  );
}

/** The record of the whole set that a part belongs to, and which part it is. */
export function partRecord(
  path: string,
  text: string | null,
): { readonly whole: string; readonly shard: string; readonly seeds: string } {
  try {
    const { shard, ...whole } = JSON.parse(text ?? "null") as FileRecord;
    if (typeof shard === "string" && typeof whole.seeds === "string") {
      return { whole: JSON.stringify(whole), shard, seeds: whole.seeds };
    }
  } catch {
    // said below
  }
  throw new FormatError(
    `${path} does not say which images of which set it holds, as parts do that imm sample --shard ` +
      `writes; make it again.`,
  );
}
