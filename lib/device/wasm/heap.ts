/**
 * Memory management of the device: blocks of one linear memory, given out and taken back by hand.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";
import { mebibytes } from "../../base/units.ts";
import { DeviceError, InternalError } from "../../base/errors.ts";
import type { DeviceBuffer, HostArray } from "../device.ts";
import { PAGE } from "./module.ts";

/** Blocks start at multiples of this many bytes, and so do vectors of any size. */
const ALIGNMENT = 64;
/** Vector instructions may read a little beyond a block: the last bytes are never given out. */
const GUARD = 256;
/** The memory grows by at least so much. */
const LEAST_GROWTH = 16 << 20;

/** A free range of addresses. */
interface Range {
  start: number;
  end: number;
}

/** There is no room for an allocation. */
export class OutOfMemory extends Error {
  override name = "OutOfMemory";
}

/** The memory of the device. */
export class Heap {
  readonly memory: WebAssembly.Memory;
  /** Sorted by address; neighbours never touch. */
  readonly #free: Range[];
  readonly #blocks = new Map<number, number>();
  /** Addresses from here on have never been used: they are zero. */
  #untouched: number;
  #used = 0;

  /** Addresses from `base` on are free; the memory may grow to `limit` bytes. */
  constructor(memory: WebAssembly.Memory, base: number, readonly limit: number) {
    this.memory = memory;
    const start = align(base);
    this.#untouched = start;
    this.#free = [{ start, end: memory.buffer.byteLength - GUARD }];
  }

  /** Bytes that are given out. */
  get used(): number {
    return this.#used;
  }

  /** The address of zeroed memory. Throws {@link OutOfMemory}. */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, align(bytes));
    const range = this.#find(size) ?? this.#grow(size);
    const address = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(this.#free.indexOf(range), 1);
    const dirty = Math.min(address + size, this.#untouched) - address;
    if (dirty > 0) new Uint8Array(this.memory.buffer, address, dirty).fill(0);
    this.#untouched = Math.max(this.#untouched, address + size);
    this.#blocks.set(address, size);
    this.#used += size;
    return address;
  }

  /** Takes a block back. */
  free(address: number): void {
    const size = this.#blocks.get(address);
    if (size === undefined) throw new InternalError(`there is no block at ${address}`);
    this.#blocks.delete(address);
    this.#used -= size;
    const end = address + size;
    const next = this.#free.findIndex((range) => range.start >= end);
    const at = next < 0 ? this.#free.length : next;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before?.end === address;
    const joinsAfter = after?.start === end;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#free.splice(at, 1);
    } else if (joinsBefore) before.end = end;
    else if (joinsAfter) after.start = address;
    else this.#free.splice(at, 0, { start: address, end });
  }

  /** Copies an array to an address. */
  copyIn(address: number, data: HostArray): void {
    new Uint8Array(this.memory.buffer, address, data.byteLength).set(bytesOf(data));
  }

  /** A copy of what lies at an address. */
  copyOut(address: number, bytes: number): ArrayBuffer {
    const copy = new Uint8Array(bytes);
    copy.set(new Uint8Array(this.memory.buffer, address, bytes));
    return copy.buffer;
  }

  /** What to tell people when `what` does not fit. */
  refusal(what: string, bytes: number): DeviceError {
    return new DeviceError(
      `${what} needs ${mebibytes(bytes)} beside the ${
        mebibytes(this.#used)
      } in use, but the wasm ` +
        `device can address ${
          mebibytes(this.limit)
        } and this machine may have less; use a smaller ` +
        "batch, a smaller network or --device webgpu",
    );
  }

  /** The smallest free range that is large enough. */
  #find(size: number): Range | null {
    let best: Range | null = null;
    for (const range of this.#free) {
      const room = range.end - range.start;
      if (room >= size && (!best || room < best.end - best.start)) best = range;
    }
    return best;
  }

  #grow(size: number): Range {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const free = last?.end === end - GUARD ? end - GUARD - last.start : 0;
    const least = Math.ceil((size - free) / PAGE);
    const room = (this.limit - end) / PAGE;
    const comfortable = Math.max(least, LEAST_GROWTH / PAGE, Math.ceil(end / 8 / PAGE));
    if (least > room || !this.#tryGrow(Math.min(comfortable, room)) && !this.#tryGrow(least)) {
      throw new OutOfMemory(`no room for ${size} bytes`);
    }
    const grown = this.memory.buffer.byteLength - GUARD;
    if (free > 0) {
      last!.end = grown;
      return last!;
    }
    const range = { start: end - GUARD, end: grown };
    this.#free.push(range);
    return range;
  }

  #tryGrow(pages: number): boolean {
    try {
      this.memory.grow(pages);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Memory of the wasm device. */
export class WasmBuffer implements DeviceBuffer {
  constructor(readonly address: number, readonly bytes: number, readonly label: string) {}
}

/** The memory behind the interface. */
export function asWasmBuffer(buffer: DeviceBuffer): WasmBuffer {
  if (!(buffer instanceof WasmBuffer)) {
    throw new InternalError(`the buffer ${buffer.label} is not of the wasm device`);
  }
  return buffer;
}
