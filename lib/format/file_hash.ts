/** The hash of a file. @module */

import { createHash } from "node:crypto";
import { openFileSource } from "./source.ts";

const PIECE = 1 << 24;

/** SHA-256 of a file in hexadecimal digits, read in pieces. @throws {FormatError} as the source */
export async function fileHash(path: string): Promise<string> {
  using file = await openFileSource(path);
  const hash = createHash("sha256");
  for (let at = 0; at < file.size; at += PIECE) {
    hash.update(await file.read(at, Math.min(PIECE, file.size - at)));
  }
  return hash.digest("hex");
}
