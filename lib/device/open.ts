/**
 * Opening the device that `--device` names.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { requireFloat16 } from "./float16.ts";
import { WasmDevice } from "./wasm/mod.ts";
import {
  findAdapter,
  isSoftware,
  type Tuning,
  type TuningProgress,
  WebGpuDevice,
} from "./webgpu/mod.ts";

/** Names for `--device`. `auto` is webgpu where there is a graphics processor, else wasm. */
export type DeviceName = "auto" | "webgpu" | "wasm";

/** Which device, and how. */
export interface OpenDeviceOptions {
  /** Default: auto. */
  readonly device?: DeviceName;
  /** For wasm. Default: as many as there are cores. No result depends on it. */
  readonly threads?: number;
  /** Whether it must be able to store values as float16. Default false. */
  readonly float16?: boolean;
  /** For webgpu: when to measure which of its kernels suit the adapter. No result depends on it. */
  readonly tuning?: Tuning;
  /** For webgpu: called for every kind of kernel that was measured. */
  readonly onTuning?: (progress: TuningProgress) => void;
}

/**
 * Opens a device.
 *
 * @throws {DeviceError} when it is not there, or lacks what is asked of it
 * @throws {UsageError} when `threads` is not a sensible number
 */
export async function openDevice(
  { float16 = false, ...options }: OpenDeviceOptions = {},
): Promise<Device> {
  const device = await openNamed(options);
  try {
    if (float16) requireFloat16(device);
    return device;
  } catch (error) {
    device.close();
    throw error;
  }
}

async function openNamed(
  { device = "auto", threads, tuning, onTuning }: Omit<OpenDeviceOptions, "float16">,
): Promise<Device> {
  switch (device) {
    case "wasm":
      return await WasmDevice.open({ threads });
    case "webgpu":
      return await WebGpuDevice.open({ tuning, onTuning });
    case "auto": {
      const adapter = await findAdapter();
      // A software adapter computes on the processor too, but several times slower than wasm.
      const name = adapter && !isSoftware(adapter) ? "webgpu" : "wasm";
      return await openNamed({ device: name, threads, tuning, onTuning });
    }
  }
}
