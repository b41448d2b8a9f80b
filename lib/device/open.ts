/**
 * Opening the device that `--device` names.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { WasmDevice } from "./wasm/device.ts";
import { findAdapter, isSoftware } from "./webgpu/adapter.ts";
import { WebGpuDevice } from "./webgpu/device.ts";

/** Names for `--device`. `auto` is webgpu where there is a graphics processor, else wasm. */
export type DeviceName = "auto" | "webgpu" | "wasm";

/** Which device, and how. */
export interface OpenDeviceOptions {
  /** Default: auto. */
  readonly device?: DeviceName;
  /** For wasm. Default: as many as there are cores. No result depends on it. */
  readonly threads?: number;
}

/**
 * Opens a device.
 *
 * @throws {DeviceError} when it is not there
 * @throws {UsageError} when `threads` is not a sensible number
 */
export async function openDevice(
  { device = "auto", threads }: OpenDeviceOptions = {},
): Promise<Device> {
  switch (device) {
    case "wasm":
      return await WasmDevice.open({ threads });
    case "webgpu":
      return await WebGpuDevice.open();
    case "auto": {
      const adapter = await findAdapter();
      // A software adapter computes on the processor too, but several times slower than wasm.
      const name = adapter && !isSoftware(adapter) ? "webgpu" : "wasm";
      return await openDevice({ device: name, threads });
    }
  }
}
