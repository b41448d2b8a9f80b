/** Running plans on the WebGPU device, and comparing it with the interpreter of plans. */

import type { Plan } from "../../../lib/compile/plan.ts";
import { ArenaBuffer, arenaMap } from "../../../lib/device/arena_buffer.ts";
import type { HostArray } from "../../../lib/device/device.ts";
import { findAdapter } from "../../../lib/device/webgpu/adapter.ts";
import { WebGpuDevice, type WebGpuOptions } from "../../../lib/device/webgpu/device.ts";
import type { Target } from "../../../lib/device/webgpu/dispatch.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import { sizeOf } from "../../../lib/tensor/tensor.ts";
import { assertClose, type Tolerance } from "../../support/close.ts";
import { hashedValues } from "../../support/hash.ts";
import { interpretPlan } from "../../support/plan_interpreter.ts";

/** Whether this machine has an adapter; without one there is nothing to test. */
export const hasAdapter: boolean = await findAdapter() !== null;

/** Both kinds of adapters choose their own tiles and splits: test both, wherever this runs. */
export const TARGETS: Readonly<Record<string, Partial<Target>>> = {
  "hardware kernels": { software: false, wantedWorkgroups: 256 },
  "software kernels": { software: true, wantedWorkgroups: 8 },
};

/** A test that needs an adapter; the device is closed behind it. */
export function deviceTest(
  name: string,
  test: (device: WebGpuDevice) => Promise<void>,
  options: WebGpuOptions = {},
): void {
  Deno.test({
    name: `WebGPU: ${name}`,
    ignore: !hasAdapter,
    fn: async () => {
      const device = await WebGpuDevice.open({ debug: 0, ...options });
      try {
        await test(device);
      } finally {
        device.close();
      }
    },
  });
}

/** The same with the kernels of either kind of adapter. */
export function deviceTests(name: string, test: (device: WebGpuDevice) => Promise<void>): void {
  for (const [kind, target] of Object.entries(TARGETS)) {
    deviceTest(`${name} (${kind})`, test, { target });
  }
}

/** Numbers in [-1, 1) for every f32 input of a plan; others are given. */
export function fillInputs(
  plan: Plan,
  given: Readonly<Record<string, HostArray>> = {},
): Record<string, HostArray> {
  return Object.fromEntries(
    [...plan.inputs].map(([name, { shape }]) => [
      name,
      given[name] ?? hashedValues(name, sizeOf(shape), 1, 0),
    ]),
  );
}

/** Runs a plan once and gives its outputs; arenas start with `state` and end in it. */
export async function runPlan(
  device: WebGpuDevice,
  plan: Plan,
  inputs: Readonly<Record<string, HostArray>>,
  state: ReadonlyMap<Arena, Float32Array> = new Map(),
): Promise<Record<string, HostArray>> {
  const arenas = [...state.keys()].map((arena) => new ArenaBuffer(device, arena));
  for (const buffer of arenas) buffer.writeAll(state.get(buffer.arena)!);
  const executable = await device.prepare(plan, arenaMap(...arenas));
  executable.run(inputs);
  const outputs = await executable.read([...plan.outputs.keys()]);
  for (const buffer of arenas) {
    state.get(buffer.arena)!.set(await buffer.readAll());
    buffer.free();
  }
  executable.destroy();
  return outputs;
}

/** Asserts that outputs and arenas are those of the interpreter, and gives the outputs. */
export async function assertLikeInterpreter(
  device: WebGpuDevice,
  plan: Plan,
  given: Readonly<Record<string, HostArray>> = {},
  { state = new Map(), tolerance = { rel: 2e-6, abs: 1e-6 } }: {
    state?: ReadonlyMap<Arena, Float32Array>;
    tolerance?: Tolerance;
  } = {},
): Promise<Record<string, HostArray>> {
  const inputs = fillInputs(plan, given);
  const expectedState = new Map(
    [...state].map(([arena, data]) => [arena, Float64Array.from(data)]),
  );
  const expected = interpretPlan(plan, inputs, expectedState);
  const found = await runPlan(device, plan, inputs, state);
  for (const name of plan.outputs.keys()) {
    assertClose(found[name], expected[name], tolerance, name);
  }
  for (const [arena, data] of state) {
    assertClose(data, expectedState.get(arena)!, tolerance, arena.name);
  }
  return found;
}
