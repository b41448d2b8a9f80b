/**
 * Opening the device that `--device` names.
 *
 * @module
 */

import { DeviceError } from "../errors.ts";
import type { Device } from "./device.ts";
import { WebGpuDevice } from "./webgpu/device.ts";

/** Names for `--device`. */
export type DeviceName = "auto" | "webgpu" | "wasm";

/** Opens a device. Throws `DeviceError` when it is not there. */
export async function openDevice({ device = "auto" }: { device?: DeviceName } = {}): Promise<
  Device
> {
  switch (device) {
    case "wasm":
      throw new DeviceError(
        "the WebAssembly device is not part of this build; use --device webgpu",
      );
    case "auto":
    case "webgpu":
      return await WebGpuDevice.open();
  }
}
