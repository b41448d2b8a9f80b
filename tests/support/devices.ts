/** The devices that this machine has. */

import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { WasmDevice, type WasmOptions } from "../../lib/device/wasm/device.ts";
import { findAdapter } from "../../lib/device/webgpu/adapter/adapter.ts";
import { WebGpuDevice } from "../../lib/device/webgpu/device.ts";
import type { Target } from "../../lib/device/webgpu/dispatch.ts";
import { DeviceError } from "../../lib/base/errors.ts";

/** Whether this machine has a WebGPU adapter; without one only half can be tested. */
export const hasAdapter: boolean = await findAdapter() !== null;

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

/** WebGPU's kernels for both kinds of adapters, wherever this runs. */
export const WEBGPU_TARGETS: Readonly<Record<string, Partial<Target>>> = {
  "hardware kernels": { software: false, wantedWorkgroups: 1024 },
  "software kernels": { software: true, wantedWorkgroups: 8 },
  "software kernels without subgroups": { software: true, wantedWorkgroups: 8, subgroupSize: null },
};

/** The wasm device's modules, with and without Workers. */
export const WASM_VARIANTS: Readonly<Record<string, WasmOptions>> = {
  "one thread, relaxed SIMD": { threads: 1, simd: "relaxed" },
  "three threads, plain SIMD": { threads: 3, simd: "plain" },
};

/**
 * Registers a test once per kind of device; the device is opened for the test and closed after it.
 * What this machine does not have is ignored, and says so.
 */
export function deviceTest(name: string, body: (device: Device) => Promise<void>): void {
  register(`${name} [webgpu]`, !hasAdapter, () => openDevice({ device: "webgpu" }), body);
  register(`${name} [wasm]`, false, () => openDevice({ device: "wasm", threads: 2 }), body);
}

/** Registers a test once per variant of the kernels of every kind of device. */
export function deviceTests(name: string, body: (device: Device) => Promise<void>): void {
  for (const [variant, target] of Object.entries(WEBGPU_TARGETS)) {
    const open = () => WebGpuDevice.open({ target });
    register(`${name} [webgpu, ${variant}]`, !hasAdapter, open, body);
  }
  for (const [variant, options] of Object.entries(WASM_VARIANTS)) {
    register(`${name} [wasm, ${variant}]`, false, () => WasmDevice.open(options), body);
  }
}

function register(
  name: string,
  ignore: boolean,
  open: () => Promise<Device>,
  body: (device: Device) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const device = await open();
      try {
        await body(device);
      } finally {
        device.close();
      }
    },
  });
}
