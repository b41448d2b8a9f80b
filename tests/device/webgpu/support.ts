/** Tests of what only the WebGPU device has. */

import { WebGpuDevice, type WebGpuOptions } from "../../../lib/device/webgpu/device.ts";
import { hasAdapter } from "../../support/devices/devices.ts";
import { needing } from "../../support/needs.ts";

/** A test that needs an adapter; the device is closed behind it. */
export function webGpuTest(
  name: string,
  test: (device: WebGpuDevice) => Promise<void>,
  options: WebGpuOptions = {},
): void {
  Deno.test(needing("WebGPU", hasAdapter, {
    name: `WebGPU: ${name}`,
    fn: async () => {
      const device = await WebGpuDevice.open({ debug: 0, ...options });
      try {
        await test(device);
      } finally {
        device.close();
      }
    },
  }));
}
