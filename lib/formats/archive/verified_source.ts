/**
 * Bytes whose checksum is known, checked while they are read.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { checksum } from "./crc32.ts";
import type { ByteSource } from "../source.ts";

/** Bytes that are read at once where all of them are checked before they are needed. */
const PIECE = 2 ** 22;

/**
 * The same bytes, checked against their CRC-32. Who reads them in order has them checked on the
 * way, at their end; who jumps ahead has all of them read and checked first, once. So nothing is
 * read twice that need not be, and no number of a damaged member is used by who reads to the end.
 *
 * @param crc32 what the bytes must give; the error says what they give instead
 */
export function verifiedSource(source: ByteSource, crc32: number): ByteSource {
  let checked = 0; // bytes from the beginning that `crc` covers
  let crc = 0;
  const take = (bytes: Uint8Array) => {
    crc = checksum(bytes, crc);
    checked += bytes.length;
    if (checked === source.size) refuseOther(crc, crc32, source.name);
  };
  const readSync = (offset: number, length: number) => {
    if (checked === source.size) refuseOther(crc, crc32, source.name);
    while (offset > checked && checked < source.size) {
      take(source.readSync(checked, Math.min(PIECE, source.size - checked)));
    }
    const bytes = source.readSync(offset, length);
    if (offset + length > checked) take(bytes.subarray(checked - offset));
    return bytes;
  };
  return {
    name: source.name,
    size: source.size,
    readSync,
    // As of other sources: a seek and its read are not torn apart.
    // deno-lint-ignore require-await
    read: async (offset, length) => readSync(offset, length),
    close: () => source.close(),
    [Symbol.dispose]: () => source.close(),
  };
}

/** @throws {FormatError} when a checksum is not the one that was written */
export function refuseOther(found: number, expected: number, name: string): void {
  if (found === expected) return;
  throw new FormatError(
    `${name} is corrupt: expected the checksum ${hex(expected)}, found ${hex(found)}.`,
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
