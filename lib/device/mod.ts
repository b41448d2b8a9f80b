/**
 * Devices that run plans: WebGPU (webgpu/) and WebAssembly (wasm/). Both give the same answers to the
 * same tests; neither knows what a network is. To be read in this order:
 *
 * 1. device.ts, what a device can do;
 * 2. open.ts, which one is taken;
 * 3. wasm/ or webgpu/, from a plan to what runs.
 *
 * @module
 */

export type { Device, DeviceBuffer, Executable, HostArray } from "./device.ts";
export { type DeviceName, openDevice, type OpenDeviceOptions } from "./open.ts";
export { ArenaBuffer, arenaMap } from "./arena_buffer.ts";
export type { Tuning, TuningProgress } from "./webgpu/mod.ts";
