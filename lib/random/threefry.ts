/**
 * Threefry-2x32, the counter-based random number generator (Salmon et al., "Parallel Random
 * Numbers: As Easy as 1, 2, 3", SC 2011), 20 rounds, on the host. The devices compute the same
 * bits; random.ts says how bits become numbers.
 *
 * @module
 */

import { type Shape, sizeOf } from "../base/arrays.ts";
import { ImmError } from "../base/errors.ts";

/** Two 32-bit words, as unsigned numbers. */
export type Words = readonly [number, number];

/** The two words of a key. */
export type Key = Words;

/** Rotation distances of rounds 0..7; they repeat. */
export const THREEFRY_ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** The third key word is the parity of the other two and this. */
export const THREEFRY_PARITY = 0x1BD11BDA;

/** Separates the streams of one key: stream n has key word 1 XORed with n times this. */
export const STREAM_FACTOR = 0x9E3779B9;

/** The two pseudo-random words that belong to a key and a counter. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): Words {
  const schedule = [k0 | 0, k1 | 0, k0 ^ k1 ^ THREEFRY_PARITY];
  let x0 = (c0 + schedule[0]) | 0;
  let x1 = (c1 + schedule[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const distance = THREEFRY_ROTATIONS[round % 8];
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << distance) | (x1 >>> (32 - distance))) ^ x0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + schedule[injection % 3]) | 0;
      x1 = (x1 + schedule[(injection + 1) % 3] + injection) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/**
 * A key for one purpose: deriveKey(seed, "noise", step). Different seeds and different lists of
 * purposes give unrelated keys. Numbers are integers from 0 to 2^53 - 1; a bigint seed is taken
 * modulo 2^64.
 */
export function deriveKey(seed: number | bigint, ...purpose: (number | string)[]): Key {
  let key: Key = typeof seed === "bigint"
    ? [Number(BigInt.asUintN(32, seed)), Number(BigInt.asUintN(32, seed >> 32n))]
    : halves(seed);
  for (const part of purpose) {
    // Halves of a number stay below 2^21 in the second word: a string can never look like one.
    const [c0, c1] = typeof part === "string"
      ? [fnv1a(part), 0x80000000 | part.length]
      : halves(part);
    key = threefry2x32(key[0], key[1], c0, c1);
  }
  return key;
}

/** What `randomUniform` computes on a device for the same arguments. */
export function hostUniform(
  key: Key,
  shape: Shape,
  stream: number,
  firstSample = 0,
): Float32Array<ArrayBuffer> {
  return fill(key, shape, stream, firstSample, uniformFromBits);
}

/** What `randomNormal` computes on a device for the same arguments, in float64 until stored. */
export function hostNormal(
  key: Key,
  shape: Shape,
  stream: number,
  firstSample = 0,
): Float32Array<ArrayBuffer> {
  return fill(key, shape, stream, firstSample, normalFromBits);
}

/** A number in [0, 1) with 24 random bits, exact in float32. */
export function uniformFromBits(w0: number): number {
  return (w0 >>> 8) * 2 ** -24;
}

/** A standard normal number (Box & Muller 1958); its magnitude is at most 5.77. */
export function normalFromBits(w0: number, w1: number): number {
  const radius = Math.sqrt(-2 * Math.log(((w0 >>> 8) + 1) * 2 ** -24));
  return radius * Math.cos(2 * Math.PI * (w1 >>> 8) * 2 ** -24);
}

function fill(
  [k0, k1]: Key,
  shape: Shape,
  stream: number,
  firstSample: number,
  value: (w0: number, w1: number) => number,
): Float32Array<ArrayBuffer> {
  const [samples, ...rest] = shape;
  const perSample = sizeOf(rest);
  const streamKey = k1 ^ Math.imul(stream, STREAM_FACTOR);
  const result = new Float32Array(samples * perSample);
  for (let sample = 0, at = 0; sample < samples; sample++) {
    for (let within = 0; within < perSample; within++) {
      result[at++] = value(...threefry2x32(k0, streamKey, within, firstSample + sample));
    }
  }
  return result;
}

function halves(value: number): Words {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ImmError(`a random seed must be an integer from 0 to 2^53 - 1, not ${value}`);
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)];
}

/** FNV-1a, 32 bits, over UTF-8. */
function fnv1a(text: string): number {
  let hash = 0x811C9DC5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
