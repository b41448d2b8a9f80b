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

/** Names of the devices that open here. */
const names = (await availableDevices()).map((device) => {
  device.close();
  return device.kind;
});

/**
 * Registers a test once per device that this machine has; the device is opened for the test and
 * closed after it. Without any, one ignored test says what was not tested.
 */
export function deviceTest(name: string, body: (device: Device) => Promise<void>): void {
  for (const kind of names) {
    Deno.test(`${name} [${kind}]`, async () => {
      const device = await openDevice({ device: kind });
      try {
        await body(device);
        await device.finish();
      } finally {
        device.close();
      }
    });
  }
  if (names.length === 0) {
    Deno.test({ name: `${name} [no device here]`, ignore: true, fn() {} });
  }
}
