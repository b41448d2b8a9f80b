/**
 * Checksums of safetensors files that this program writes: one bit that flips on a disk would change
 * a weight or a score, and nothing else would tell. They are a text in the metadata, which other
 * programs keep or pass over: CRC-32 in eight hexadecimal digits of the description of the file and
 * then of every tensor, sorted by name.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { checksum } from "../archive/crc32.ts";

/** Key of the metadata. Readers do not get to see it. */
export const CHECKSUMS_KEY = "imm.crc32";

/** What the checksum of the description covers of each tensor. */
interface Described {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Checksums by name of the tensor. */
export type TensorChecksums = ReadonlyMap<string, number>;

/** A text of the right length for `count` tensors, to be replaced when they are known. */
export function checksumsPlaceholder(count: number): string {
  return new Array(count + 1).fill("00000000").join(" ");
}

/** The text for a file. */
export function formatChecksums(
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, Described>,
  checksums: TensorChecksums,
): string {
  const all = [describe(metadata, tensors), ...sorted(tensors).map((key) => checksums.get(key)!)];
  return all.map((crc) => crc.toString(16).padStart(8, "0")).join(" ");
}

/**
 * The checksums of the tensors, after comparing that of the description; null for a file without.
 *
 * @param metadata without the text itself
 * @throws {FormatError} when the description has changed, or the text is no list for these tensors
 */
export function parseChecksums(
  text: string | undefined,
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, Described>,
  name: string,
): TensorChecksums | null {
  if (text === undefined) return null;
  const [first, ...rest] = text.split(" ").map((hex) =>
    /^[0-9a-f]{8}$/.test(hex) ? parseInt(hex, 16) : NaN
  );
  if (first !== describe(metadata, tensors) || rest.length !== tensors.size) {
    throw mismatch(`${name}: its header does`);
  }
  return new Map(sorted(tensors).map((key, i) => [key, rest[i]]));
}

/** @throws {FormatError} when the bytes of a tensor are not those that were written */
export function checkTensor(
  key: string,
  bytes: Uint8Array,
  checksums: TensorChecksums | null,
  name: string,
): void {
  if (checksums !== null && checksum(bytes) !== checksums.get(key)) {
    throw mismatch(`${name}: tensor "${key}" does`);
  }
}

function mismatch(what: string): FormatError {
  return new FormatError(
    `${what} not match its checksum: the file is damaged, or another program changed it and kept ` +
      `the metadata. Take a copy of the file that is whole, or, if the change was wanted, remove ` +
      `${CHECKSUMS_KEY} from the metadata.`,
  );
}

/** Independent of the order and spacing of the JSON, which other programs choose for themselves. */
function describe(
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, Described>,
): number {
  const text = JSON.stringify([
    Object.keys(metadata).sort().map((key) => [key, metadata[key]]),
    sorted(tensors).map((key) => [key, tensors.get(key)!.dtype, tensors.get(key)!.shape]),
  ]);
  return checksum(new TextEncoder().encode(text));
}

function sorted(tensors: ReadonlyMap<string, unknown>): string[] {
  return [...tensors.keys()].sort();
}
