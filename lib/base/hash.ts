/**
 * SHA-256, which names what files and settings hold.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { bytesOf } from "./arrays.ts";

/** What is hashed: bytes as they lie in memory, text as UTF-8. */
export type Hashable = string | ArrayBufferView;

/** A hash of pieces that come one after the other. */
export class Sha256 {
  readonly #hash = createHash("sha256");

  /** Takes the next pieces. */
  add(...pieces: readonly Hashable[]): this {
    for (const piece of pieces) {
      this.#hash.update(typeof piece === "string" ? piece : bytesOf(piece));
    }
    return this;
  }

  /** The hash of all pieces. Nothing can be added afterwards. */
  hex(): string {
    return this.#hash.digest("hex");
  }
}

/** The hash of pieces behind each other, in hex. */
export function sha256(...pieces: readonly Hashable[]): string {
  return new Sha256().add(...pieces).hex();
}
