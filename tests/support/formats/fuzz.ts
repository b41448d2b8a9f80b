/** Feeding damaged files to a parser: it may accept them or complain, but never in a wild way. */

import { AssertionError } from "node:assert/strict";
import { FormatError } from "../../../lib/base/errors.ts";
import seeds from "./fuzz_seeds.json" with { type: "json" };

/** A small generator of 32-bit numbers (Marsaglia's xorshift), so that a failure repeats. */
function generator(seed: number): (limit: number) => number {
  let state = (seed * 0x9E3779B9 | 1) >>> 0;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}

/** One damaged copy of `original`: bits flipped, bytes replaced, cut, doubled or cut off. */
export function mutate(original: Uint8Array, seed: number): Uint8Array {
  const random = generator(seed);
  let bytes = original.slice();
  for (let round = 1 + random(3); round > 0 && bytes.length > 0; round--) {
    const at = random(bytes.length);
    const length = 1 + random(8);
    switch (random(6)) {
      case 0:
        bytes[at] ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = random(256);
        break;
      case 2: // sizes and counts like nothing better than all ones
        bytes.fill([0x00, 0x7F, 0xFF][random(3)], at, at + length);
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4:
        bytes = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + length)]);
        break;
      case 5:
        bytes = Uint8Array.from([...bytes.slice(0, at + length), ...bytes.slice(at)]);
        break;
    }
  }
  return bytes;
}

/** `IMM_FUZZ=20` makes twenty times as many copies: for a night. */
const EFFORT = Number(Deno.env.get("IMM_FUZZ") ?? 1);

/**
 * Runs `parse` over `count` damaged copies of `original`, and those that have once brought
 * something wild out of it: their seeds are kept in fuzz_seeds.json by `name`, for ever.
 *
 * @returns how many were accepted and how many refused
 * @throws {AssertionError} when anything but a FormatError that names the file comes out
 */
export async function fuzz(
  original: Uint8Array,
  name: string,
  count: number,
  parse: (bytes: Uint8Array) => unknown,
): Promise<{ accepted: number; refused: number }> {
  let refused = 0;
  const kept: readonly number[] = (seeds as Record<string, number[]>)[name] ?? [];
  const total = Math.ceil(count * EFFORT);
  const tried = [...kept, ...Array.from({ length: total }, (_, i) => i + 1)];
  for (const seed of tried) {
    const bytes = mutate(original, seed);
    try {
      await parse(bytes);
    } catch (error) {
      const orderly = error instanceof FormatError && error.message.includes(name);
      if (!orderly) {
        throw new AssertionError({
          message:
            `mutation ${seed} of ${name}, to be kept in fuzz_seeds.json (${
              bytes.toBase64().slice(0, 400)
            }): ` +
            `expected a FormatError that names ${name}, found ${error}`,
        });
      }
      refused++;
    }
  }
  return { accepted: tried.length - refused, refused };
}
