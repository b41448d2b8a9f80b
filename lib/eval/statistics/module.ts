/**
 * Calling the WebAssembly module of the statistics: typed arrays in, typed arrays out.
 *
 * The module (Rust, `wasm/statistics`) keeps no state of its own, so memory is only borrowed for
 * the length of one call.
 *
 * @module
 */

import { mebibytes } from "../../base/units.ts";
import * as module from "../../../wasm/statistics.wasm";
import { ImmError } from "../../base/errors.ts";

export { module };

/** Arrays that are copied into the module for one call. */
export class Scratch {
  readonly #blocks: { pointer: number; bytes: number }[] = [];

  /** The address of `bytes` bytes of undefined content. */
  reserve(bytes: number): number {
    // Addresses beyond 2 GiB come back as negative 32-bit integers.
    const pointer = module.allocate(bytes) >>> 0;
    if (pointer === 0) {
      throw new ImmError(
        `The statistics need ${mebibytes(bytes)} more than the 4 GiB that ` +
          `WebAssembly can address; use fewer images or an extractor with fewer features.`,
      );
    }
    this.#blocks.push({ pointer, bytes });
    return pointer;
  }

  /** The address of a copy of `array`. */
  copyIn(array: Float32Array | Float64Array): number {
    const pointer = this.reserve(array.byteLength);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(module.memory.buffer, pointer, array.byteLength).set(bytes);
    return pointer;
  }

  /** A copy of `length` float64 at `pointer`. */
  float64(pointer: number, length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(module.memory.buffer, pointer, length).slice();
  }

  /** A copy of `length` uint32 at `pointer`. */
  uint32(pointer: number, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(module.memory.buffer, pointer, length).slice();
  }

  /** A copy of `length` bytes at `pointer`. */
  uint8(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(module.memory.buffer, pointer, length).slice();
  }

  /** Returns all memory. */
  release(): void {
    for (const { pointer, bytes } of this.#blocks) module.release(pointer, bytes);
    this.#blocks.length = 0;
  }
}

/** Runs `work` with memory of the module, which is returned when it ends. */
export function withScratch<T>(work: (scratch: Scratch) => T): T {
  const scratch = new Scratch();
  try {
    return work(scratch);
  } finally {
    scratch.release();
  }
}
