/**
 * An arena in a device's memory, with access by name.
 *
 * @module
 */

import { elementBytes } from "../compile/kernels/kernel.ts";
import { ImmError, InternalError } from "../base/errors.ts";
import type { Arena, ArenaEntry } from "../tensor/state.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Device, DeviceBuffer } from "./device.ts";

/** Bytes per word; a read-back has a whole number of them. */
const WORD = 4;

/** Uploads go in pieces of this many elements, so that staging memory stays small. */
const UPLOAD_CHUNK = 4 << 20;

/**
 * The memory of an arena; starts as zeros. Free it with {@link ArenaBuffer.free}. The host's values
 * are float32, which those of an f16 arena are rounded from.
 */
export class ArenaBuffer {
  /** The memory, for {@link Device.prepare}; see {@link arenaMap}. */
  readonly buffer: DeviceBuffer;

  /**
   * Allocates memory for the entries that `arena` has now.
   *
   * @throws {DeviceError} when the device cannot hold it
   */
  constructor(private readonly device: Device, readonly arena: Arena) {
    this.buffer = device.allocate(Math.max(arena.bytes, WORD), arena.name);
  }

  /** Replaces an entry; `data` is in the device's layout. */
  write(name: string, data: Float32Array): void {
    const entry = this.#entry(name);
    const size = sizeOf(entry.shape);
    if (data.length !== size) {
      throw new ImmError(
        `${this.arena.name}: ${name} has ${size} elements, but ${data.length} were given`,
      );
    }
    this.#upload(data, entry.offset);
  }

  /** Reads an entry, in the device's layout. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { offset, shape } = this.#entry(name);
    return await this.#download(offset, sizeOf(shape));
  }

  /** Replaces everything, gaps included. */
  writeAll(data: Float32Array): void {
    if (data.length !== this.arena.length) {
      throw new ImmError(
        `${this.arena.name} has ${this.arena.length} elements, but ${data.length} were given`,
      );
    }
    this.#upload(data, 0);
  }

  /** Reads everything, gaps included. */
  async readAll(): Promise<Float32Array<ArrayBuffer>> {
    return await this.#download(0, this.arena.length);
  }

  /** Gives the memory back. */
  free(): void {
    this.device.free(this.buffer);
  }

  #upload(data: Float32Array, offset: number): void {
    for (let start = 0; start < data.length; start += UPLOAD_CHUNK) {
      const piece = data.subarray(start, start + UPLOAD_CHUNK);
      this.device.write(this.buffer, this.#stored(piece), (offset + start) * this.#elementBytes);
    }
  }

  async #download(offset: number, count: number): Promise<Float32Array<ArrayBuffer>> {
    const size = this.#elementBytes;
    const bytes = Math.ceil(count * size / WORD) * WORD;
    const data = await this.device.read(this.buffer, offset * size, bytes);
    if (this.arena.storage === "f32") return new Float32Array(data);
    return Float32Array.from(new Float16Array(data, 0, count));
  }

  /** Values as they lie in memory; what fills the last word of an entry belongs to no other. */
  #stored(values: Float32Array): Float32Array {
    if (this.arena.storage === "f32") return values;
    const halves = new Float16Array(2 * Math.ceil(values.length / 2));
    halves.set(values);
    return new Float32Array(halves.buffer);
  }

  get #elementBytes(): number {
    return elementBytes(this.arena.storage);
  }

  #entry(name: string): ArenaEntry {
    const entry = this.arena.entries.get(name);
    if (!entry) throw new InternalError(`arena ${this.arena.name} has no entry ${name}`);
    return entry;
  }
}

/** The map that {@link Device.prepare} takes. */
export function arenaMap(...buffers: readonly ArenaBuffer[]): Map<Arena, DeviceBuffer> {
  return new Map(buffers.map(({ arena, buffer }) => [arena, buffer]));
}
