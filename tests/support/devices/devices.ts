/** The devices that this machine has. */

import type { Device } from "../../../lib/device/device.ts";
import { openDevice } from "../../../lib/device/open.ts";
import { WasmDevice, type WasmOptions } from "../../../lib/device/wasm/device.ts";
import { findAdapter, isSoftware } from "../../../lib/device/webgpu/adapter/adapter.ts";
import { WebGpuDevice } from "../../../lib/device/webgpu/device.ts";
import type { Target } from "../../../lib/device/webgpu/dispatch.ts";
import { DeviceError } from "../../../lib/base/errors.ts";
import { needing } from "../needs.ts";

const adapter = await findAdapter();

/** Whether this machine has a WebGPU adapter; without one only half can be tested. */
export const hasAdapter: boolean = adapter !== null;

/**
 * Whether the adapter is no driver that computes on the processor, where full-size networks take
 * minutes; IMM_TEST_FULL=1 runs them all the same.
 */
export const hasGraphicsProcessor: boolean = adapter !== null &&
  (!isSoftware(adapter) || Deno.env.get("IMM_TEST_FULL") === "1");

/** Whether this machine's WebGPU adapter can store float16. */
export const hasFloat16: boolean = adapter?.features.has("shader-f16") ?? false;

/** A test that needs float16 on WebGPU. */
export function needingFloat16(test: Deno.TestDefinition): Deno.TestDefinition {
  return needing("float16", hasFloat16, test);
}

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
  register(`${name} [webgpu]`, hasAdapter, () => openDevice({ device: "webgpu" }), body);
  register(`${name} [wasm]`, true, () => openDevice({ device: "wasm", threads: 2 }), body);
}

/** A comparison that any device can be put through. */
export interface DeviceCase {
  readonly name: string;
  run(device: Device): Promise<void>;
}

/**
 * Registers cases once per kind of device, all on one device of that kind: what they have in common
 * is compiled once. The device is opened by the first, and the last shows that nothing went wrong
 * on it that no call has reported.
 */
export function sharedDeviceTests(cases: readonly DeviceCase[]): void {
  for (const kind of ["webgpu", "wasm"] as const) {
    const available = kind === "wasm" || hasAdapter;
    let device: Device | undefined;
    const open = async () => device ??= await openDevice({ device: kind, threads: 2 });
    for (const { name, run } of cases) {
      Deno.test(needing("WebGPU", available, {
        name: `${name} [${kind}]`,
        fn: async () => run(await open()),
        // The device stays for the next.
        sanitizeOps: false,
        sanitizeResources: false,
      }));
    }
    Deno.test(needing("WebGPU", available, {
      name: `nothing went wrong that no call has reported [${kind}]`,
      fn: async () => {
        await device?.finish();
        device?.close();
      },
      sanitizeOps: false,
      sanitizeResources: false,
    }));
  }
}

/** Registers a test once per variant of the kernels of every kind of device. */
export function deviceTests(name: string, body: (device: Device) => Promise<void>): void {
  for (const [variant, target] of Object.entries(WEBGPU_TARGETS)) {
    const open = () => WebGpuDevice.open({ target });
    register(`${name} [webgpu, ${variant}]`, hasAdapter, open, body);
  }
  for (const [variant, options] of Object.entries(WASM_VARIANTS)) {
    register(`${name} [wasm, ${variant}]`, true, () => WasmDevice.open(options), body);
  }
}

function register(
  name: string,
  available: boolean,
  open: () => Promise<Device>,
  body: (device: Device) => Promise<void>,
): void {
  Deno.test(needing("WebGPU", available, {
    name,
    fn: async () => {
      const device = await open();
      try {
        await body(device);
      } finally {
        device.close();
      }
    },
  }));
}
