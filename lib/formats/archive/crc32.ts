/**
 * The checksum of zip and PNG files.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** The native function takes lengths modulo 2^32, and arrays of images are longer. */
const PIECE = 2 ** 30;

/** CRC-32 (ISO 3309) of `bytes`, continuing from the checksum of what came before them. */
export function checksum(bytes: Uint8Array, before = 0): number {
  let crc = before;
  for (let at = 0; at < bytes.length; at += PIECE) crc = crc32(bytes.subarray(at, at + PIECE), crc);
  return crc;
}
