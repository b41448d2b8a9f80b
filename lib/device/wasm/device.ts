/**
 * The device of machines without a graphics processor: Rust in WebAssembly, with SIMD and threads.
 *
 * A run is synchronous: the calling thread takes part in it.
 *
 * @module
 */

import type { Plan } from "../../compile/plan.ts";
import { InternalError, UsageError } from "../../base/errors.ts";
import type { Arena } from "../../tensor/state.ts";
import type { Device, DeviceBuffer, HostArray } from "../device.ts";
import { requireFloat16, usesFloat16 } from "../float16.ts";
import { WasmExecutable } from "./executable.ts";
import { asWasmBuffer, OutOfMemory, WasmBuffer } from "./heap.ts";
import { bestSimd, type Simd } from "./module.ts";
import { Team, ThreadError } from "./team.ts";

/** Options of the device. */
export interface WasmOptions {
  /** Default: as many as there are cores. No result depends on it. */
  readonly threads?: number;
  /** Default: relaxed where the engine has it. It fuses multiply-adds, so last bits may differ. */
  readonly simd?: Simd;
}

/** More threads than this are a mistake. */
const MOST_THREADS = 256;

/** Threads on the processor. */
export class WasmDevice implements Device {
  readonly kind = "wasm";
  readonly float16 = false;
  readonly description: string;
  readonly team: Team;
  readonly #buffers = new Set<WasmBuffer>();
  readonly #executables = new Set<WasmExecutable>();
  #closed = false;

  private constructor(team: Team, simd: Simd, note = "") {
    this.team = team;
    const threads = team.threads === 1 ? "1 thread" : `${team.threads} threads`;
    const instructions = simd === "relaxed" ? "relaxed SIMD" : "SIMD without fused multiply-add";
    this.description = `WebAssembly, ${threads}${note}, ${instructions}`;
  }

  /**
   * Starts the threads. Where Workers cannot be started, and nobody asked for them, the calling
   * thread does everything; the description says so.
   *
   * @throws {UsageError} when `threads` is not a sensible number
   * @throws {DeviceError} when a thread that was asked for cannot be started
   */
  static async open(options: WasmOptions = {}): Promise<WasmDevice> {
    const { threads, simd = bestSimd() } = options;
    if (threads !== undefined) {
      if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
        throw new UsageError(
          `--threads must be an integer from 1 to ${MOST_THREADS}, not ${threads}`,
        );
      }
      return new WasmDevice(await Team.start(threads, simd), simd);
    }
    const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
    try {
      return new WasmDevice(await Team.start(cores, simd), simd);
    } catch (error) {
      if (!(error instanceof ThreadError)) throw error;
      return new WasmDevice(await Team.start(1, simd), simd, ` (no more: ${error.message})`);
    }
  }

  /** The addresses that there are, if the machine has as much memory. */
  get limits(): { total: number; buffer: number } {
    const { limit } = this.team.heap;
    return { total: limit, buffer: limit };
  }

  /** Bytes that buffers and executables have taken. */
  get bytesInUse(): number {
    return this.team.heap.used;
  }

  allocate(bytes: number, label: string): WasmBuffer {
    this.#usable();
    try {
      const buffer = new WasmBuffer(this.team.heap.allocate(bytes), bytes, label);
      this.#buffers.add(buffer);
      return buffer;
    } catch (error) {
      if (!(error instanceof OutOfMemory)) throw error;
      throw this.team.heap.refusal(label, bytes);
    }
  }

  write(buffer: DeviceBuffer, data: HostArray, byteOffset = 0): void {
    const { address, bytes, label } = this.#own(buffer);
    if (byteOffset % 4 !== 0 || byteOffset < 0 || byteOffset + data.byteLength > bytes) {
      throw new InternalError(
        `${data.byteLength} bytes do not fit at ${byteOffset} of ${label} (${bytes} bytes)`,
      );
    }
    this.team.heap.copyIn(address + byteOffset, data);
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async read(
    buffer: DeviceBuffer,
    byteOffset = 0,
    byteLength = buffer.bytes - byteOffset,
  ): Promise<ArrayBuffer> {
    const { address, bytes, label } = this.#own(buffer);
    if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > bytes) {
      throw new InternalError(
        `cannot read ${byteLength} bytes at ${byteOffset} of ${label} (${bytes} bytes)`,
      );
    }
    return this.team.heap.copyOut(address + byteOffset, byteLength);
  }

  free(buffer: DeviceBuffer): void {
    const own = this.#own(buffer);
    this.#buffers.delete(own);
    this.team.heap.free(own.address);
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async prepare(plan: Plan, arenas: ReadonlyMap<Arena, DeviceBuffer>): Promise<WasmExecutable> {
    this.#usable();
    if (usesFloat16(plan)) requireFloat16(this);
    for (const buffer of arenas.values()) this.#own(buffer);
    const executable = new WasmExecutable(this.team, plan, arenas, (destroyed) => {
      this.#executables.delete(destroyed);
    });
    this.#executables.add(executable);
    return executable;
  }

  // deno-lint-ignore require-await -- the interface is asynchronous
  async finish(): Promise<void> {
    this.#usable();
  }

  close(): void {
    if (this.#closed) return;
    for (const executable of [...this.#executables]) executable.destroy();
    for (const buffer of this.#buffers) this.team.heap.free(buffer.address);
    this.#buffers.clear();
    this.#closed = true;
    this.team.end();
  }

  #own(buffer: DeviceBuffer): WasmBuffer {
    this.#usable();
    const own = asWasmBuffer(buffer);
    if (!this.#buffers.has(own)) {
      throw new InternalError(`the buffer ${buffer.label} was freed before`);
    }
    return own;
  }

  #usable(): void {
    if (this.#closed) throw new InternalError("the device was closed");
  }
}
