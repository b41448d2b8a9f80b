/**
 * The endless order in which a data set is gone through.
 *
 * Item number `n` of the stream is a pure function of (seed, n): every epoch is a permutation of
 * the data set that depends on (seed, epoch) only, and whether the item is mirrored depends on
 * (seed, n) only. So a run that resumes after n images needs no other state than n to continue bit
 * for bit, and the stream does not depend on the batch size.
 *
 * @module
 */

import { deriveKey, type Key, threefry2x32 } from "../../random/threefry.ts";

/** What determines a stream besides the data set. */
export interface LoaderOptions {
  /** Determines order and mirroring. */
  readonly seed: number | bigint;
  /** Whether half of the images, at random, are mirrored left to right. */
  readonly mirror?: boolean;
}

/** Where an image of the stream comes from. */
export interface StreamItem {
  /** Index in the data set. */
  readonly index: number;
  /** Whether it is mirrored left to right. */
  readonly mirrored: boolean;
}

/** The order of a data set of `length` items. */
export class StreamOrder {
  readonly #seed: number | bigint;
  readonly #mirrorKey: Key | null;
  /** Orders of the last two epochs that were asked for: who looks ahead is in the next one first. */
  readonly #orders = new Map<number, Uint32Array>();

  constructor(private readonly length: number, { seed, mirror = false }: LoaderOptions) {
    this.#seed = seed;
    this.#mirrorKey = mirror ? deriveKey(seed, "mirror") : null;
  }

  /** Which item is number `position` of the stream. */
  item(position: number): StreamItem {
    const order = this.#order(Math.floor(position / this.length));
    return { index: order[position % this.length], mirrored: this.#isMirrored(position) };
  }

  #order(epoch: number): Uint32Array {
    const known = this.#orders.get(epoch);
    if (known !== undefined) return known;
    if (this.#orders.size === 2) this.#orders.delete(this.#orders.keys().next().value!);
    const order = permutation(this.length, deriveKey(this.#seed, "epoch", epoch));
    this.#orders.set(epoch, order);
    return order;
  }

  #isMirrored(position: number): boolean {
    if (this.#mirrorKey === null) return false;
    const [k0, k1] = this.#mirrorKey;
    const [word] = threefry2x32(k0, k1, position % 2 ** 32, Math.floor(position / 2 ** 32));
    return (word & 1) === 1;
  }
}

/** A random order of 0 to length - 1: Fisher and Yates, with one counter per exchange. */
export function permutation(length: number, [k0, k1]: Key): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const [high, low] = threefry2x32(k0, k1, last, 0);
    // 53 random bits: the excess of some places over others is below 2^-30 for any data set.
    const uniform = (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
    const chosen = Math.floor(uniform * (last + 1));
    const swapped = order[last];
    order[last] = order[chosen];
    order[chosen] = swapped;
  }
  return order;
}
