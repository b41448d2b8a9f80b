/** Running plans on a device, and comparing it with the interpreter of plans. */

import type { Plan } from "../../../lib/compile/plan.ts";
import { ArenaBuffer, arenaMap } from "../../../lib/device/arena_buffer.ts";
import type { Device, HostArray } from "../../../lib/device/device.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import { sizeOf } from "../../../lib/tensor/tensor.ts";
import { assertClose, type Tolerance } from "../close.ts";
import { hashedValues } from "../golden/hash.ts";
import { interpretPlan } from "../reference/plan.ts";

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
  device: Device,
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
  device: Device,
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
