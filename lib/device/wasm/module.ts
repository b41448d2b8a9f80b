/**
 * The WebAssembly module of the kernels: which of its variants this machine can run, and what it
 * exports.
 *
 * @module
 */

/** Exports of the module (wasm/kernels/src/lib.rs). */
export interface Kernels {
  /** Where the memory is free. */
  readonly __heap_base: WebAssembly.Global;
  readonly __stack_pointer: WebAssembly.Global;
  /** Bytes of scratch per thread. */
  scratch_bytes(): number;
  /** Runs a program; 1 when another thread has failed. */
  run(control: number, program: number): number;
  /** The life of a thread. */
  work(control: number, thread: number): void;
  /** Ends the threads. */
  end(control: number): void;
}

/** Vector instructions of a variant. */
export type Simd = "relaxed" | "plain";

/** Bytes of WebAssembly's 32-bit address space. */
export const ADDRESS_SPACE = 2 ** 32;
/** Bytes per page. */
export const PAGE = 65536;

/** (func (param v128 v128 v128) (result v128) f32x4.relaxed_madd). */
const RELAXED_PROBE = Uint8Array.fromHex(
  "0061736d0100000001080160037b7b7b017b030201000a0d010b00200020012002fd85020b",
);

/** The best variant for this machine. */
export function bestSimd(): Simd {
  return WebAssembly.validate(RELAXED_PROBE) ? "relaxed" : "plain";
}

/** The compiled module. Only the variant that is asked for is loaded. */
export async function loadKernels(simd: Simd): Promise<WebAssembly.Module> {
  const { kernels } = simd === "relaxed"
    ? await import("./kernels.js")
    : await import("./kernels_plain.js");
  return kernels;
}

/** An instance of the module on a memory. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  return exports as unknown as Kernels;
}
