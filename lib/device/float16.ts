/**
 * Devices that can store values as float16, and those that cannot.
 *
 * @module
 */

import { blocksOf } from "../compile/blocks.ts";
import type { Plan } from "../compile/plan.ts";
import { DeviceError } from "../base/errors.ts";
import type { Device } from "./device.ts";

/** Whether a plan stores values as float16. */
export function usesFloat16({ kernels }: Plan): boolean {
  return kernels.some((kernel) => {
    const { reads, writes } = blocksOf(kernel);
    return [...reads, ...writes].some(({ dtype }) => dtype === "f16");
  });
}

/** @throws {DeviceError} when the device cannot store values as float16, with what to do */
export function requireFloat16({ float16, kind, description }: Device): void {
  if (float16) return;
  throw new DeviceError(
    kind === "wasm"
      ? "float16 needs a WebGPU device with shader-f16, but this is the WebAssembly device, which " +
        "computes in float32 alone; use --device webgpu or --precision float32"
      : `float16 needs a WebGPU device with shader-f16, which ${description} does not offer; ` +
        "update its driver or use --precision float32",
  );
}
