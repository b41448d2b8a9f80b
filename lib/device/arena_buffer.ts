/**
 * An arena in a device's memory, with access by name.
 *
 * @module
 */

import { ImmError, InternalError } from "../errors.ts";
import type { Arena, ArenaEntry } from "../tensor/state.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Device, DeviceBuffer } from "./device.ts";

/** Bytes per element of what the host has. */
const ELEMENT = 4;

/** Uploads go in pieces of this many elements, so that staging memory stays small. */
const UPLOAD_CHUNK = 4 << 20;

/** The memory of an arena; starts as zeros. Free it with {@link ArenaBuffer.free}. */
export class ArenaBuffer {
  /** The memory, for {@link Device.prepare}; see {@link arenaMap}. */
  readonly buffer: DeviceBuffer;

  /**
   * Allocates memory for the entries that `arena` has now.
   *
   * @throws {DeviceError} when the device cannot hold it
   */
  constructor(private readonly device: Device, readonly arena: Arena) {
    this.buffer = device.allocate(Math.max(arena.bytes, ELEMENT), arena.name);
  }

  /** Replaces an entry; `data` is in the device's layout. Only for arenas of f32, as all below. */
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
    this.#requireF32();
    const { offset, shape } = this.#entry(name);
    const bytes = await this.device.read(this.buffer, offset * ELEMENT, sizeOf(shape) * ELEMENT);
    return new Float32Array(bytes);
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
    this.#requireF32();
    const bytes = await this.device.read(this.buffer, 0, this.arena.bytes);
    return new Float32Array(bytes);
  }

  /** Gives the memory back. */
  free(): void {
    this.device.free(this.buffer);
  }

  #upload(data: Float32Array, offset: number): void {
    this.#requireF32();
    for (let start = 0; start < data.length; start += UPLOAD_CHUNK) {
      const piece = data.subarray(start, start + UPLOAD_CHUNK);
      this.device.write(this.buffer, piece, (offset + start) * ELEMENT);
    }
  }

  #requireF32(): void {
    if (this.arena.storage === "f32") return;
    throw new InternalError(
      `${this.arena.name} is float16, which is neither uploaded nor read back`,
    );
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
