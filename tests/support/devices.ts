/** The devices that this machine has. */

import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { DeviceError } from "../../lib/errors.ts";

/** Opens each kind of device that works here; close them in a last test. */
export async function availableDevices(): Promise<Device[]> {
  const devices: Device[] = [];
  for (const device of ["webgpu", "wasm"] as const) {
    try {
      devices.push(await openDevice({ device }));
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
    }
  }
  return devices;
}
