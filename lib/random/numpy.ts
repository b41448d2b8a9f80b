/**
 * NumPy's legacy `RandomState`: metrics that draw random subsets are compared to the last digit
 * with tools in Python only if the subsets are the same.
 *
 * @module
 */

const SIZE = 624;
const SHIFT = 397;

/** MT19937 (Matsumoto and Nishimura 1998), seeded and used as `numpy.random.RandomState` does. */
export class RandomState {
  readonly #state = new Uint32Array(SIZE);
  #next = SIZE;

  /** @param seed an integer in [0, 2^32) */
  /** The generator that `numpy.random.RandomState(seed)` is. */
  constructor(seed: number) {
    this.#state[0] = seed >>> 0;
    for (let i = 1; i < SIZE; i++) {
      const previous = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  /** 32 random bits. */
  uint32(): number {
    if (this.#next === SIZE) this.#twist();
    let word = this.#state[this.#next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    word ^= word >>> 18;
    return word >>> 0;
  }

  /** A uniform integer in [0, max], by rejection under the smallest mask; max < 2^32. */
  interval(max: number): number {
    if (max === 0) return 0;
    const mask = 0xffffffff >>> Math.clz32(max);
    for (;;) {
      const value = (this.uint32() & mask) >>> 0;
      if (value <= max) return value;
    }
  }

  /** 0..n-1 in random order: `permutation(n)`. */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    const result = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.interval(i);
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }

  /** `count` different integers of [0, n): `choice(n, count, replace=False)`. */
  choice(n: number, count: number): Uint32Array<ArrayBuffer> {
    return this.permutation(n).subarray(0, count);
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}
