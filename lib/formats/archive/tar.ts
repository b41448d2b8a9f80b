/**
 * Tar archives in memory, for data sets that come in one: the formats ustar, GNU and pax, as far as
 * regular files need them.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";

const BLOCK = 512;
/** A name or a table of attributes that is longer has no honest reason. */
const MAX_HEADER_BYTES = 2 ** 20;

/**
 * The regular files of an archive by name, as views of its bytes.
 *
 * @throws {FormatError} when it is damaged
 */
export function readTar(bytes: Uint8Array, name: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let longName: string | null = null;
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const size = checkedSize(header, `${name}: the header at byte ${at}`);
    const begin = at + BLOCK;
    if (begin + size > bytes.length) {
      throw new FormatError(
        `${name} is truncated: a member of ${size} bytes begins at byte ${begin}, of ` +
          `${bytes.length}.`,
      );
    }
    const content = bytes.subarray(begin, begin + size);
    const type = String.fromCharCode(header[156]);
    if (type === "L" || type === "x") {
      if (size > MAX_HEADER_BYTES) {
        throw new FormatError(`${name} is corrupt: a header has ${size} bytes.`);
      }
      longName = type === "L" ? textOf(content) : paxPath(content) ?? longName;
    } else {
      if (type === "0" || type === "\0") files.set(longName ?? shortName(header), content);
      // Another header in front of the next member only: of "g", a global one, no name comes.
      if (type !== "g") longName = null;
    }
    at = begin + BLOCK * Math.ceil(size / BLOCK);
  }
  if (files.size === 0) throw new FormatError(`${name} is not a tar archive, or holds no files.`);
  return files;
}

function checkedSize(header: Uint8Array, what: string): number {
  const stored = parseInt(textOf(header.subarray(148, 156)).trim(), 8);
  // The checksum is made with its own field as blanks.
  const sum = header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
  if (stored !== sum) throw new FormatError(`${what} is corrupt: its checksum is wrong.`);
  const field = header.subarray(124, 136);
  // Sizes beyond 8 GiB are binary: such an archive does not fit the memory anyway.
  const size = field[0] & 0x80 ? NaN : parseInt(textOf(field).trim() || "0", 8);
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new FormatError(`${what} is corrupt: it has no valid size.`);
  }
  return size;
}

function shortName(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  const isUstar = textOf(header.subarray(257, 263)).startsWith("ustar");
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** `25 path=folder/name\n`: lengths and assignments. */
function paxPath(content: Uint8Array): string | null {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(content))?.[1] ?? null;
}

/** Text up to the first zero. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
