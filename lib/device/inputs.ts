/**
 * Checks that every device makes of what it is given.
 *
 * @module
 */

import type { Arena } from "../tensor/state.ts";
import type { Plan, PlanValue } from "../compile/plan.ts";
import { InternalError } from "../base/errors.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { DeviceBuffer, HostArray } from "./device.ts";

/**
 * The plan's input `name`, for which `data` was given.
 *
 * @throws {InternalError} when there is no such input or the data does not fit it
 */
export function checkInput(plan: Plan, name: string, data: HostArray): PlanValue {
  const value = plan.inputs.get(name);
  if (!value) {
    throw new InternalError(
      `${plan.label} has no input ${name}; it has ${[...plan.inputs.keys()]}`,
    );
  }
  const expected = value.dtype === "i32" ? Int32Array : Float32Array;
  if (!(data instanceof expected)) {
    throw new InternalError(
      `the input ${name} of ${plan.label} is ${value.dtype} and needs a ${expected.name}`,
    );
  }
  if (data.length !== sizeOf(value.shape)) {
    throw new InternalError(
      `the input ${name} of ${plan.label} has the shape [${value.shape}] and needs ` +
        `${sizeOf(value.shape)} elements, but ${data.length} were given`,
    );
  }
  return value;
}

/** Checks, at a plan's first run, that all of its inputs were given. */
export function checkComplete(plan: Plan, missing: ReadonlySet<string>): void {
  if (missing.size === 0) return;
  throw new InternalError(
    `the first run of ${plan.label} needs the inputs ${[...missing].join(", ")}`,
  );
}

/** The plan's output `name`. @throws {InternalError} when there is none */
export function findOutput(plan: Plan, name: string): PlanValue {
  const value = plan.outputs.get(name);
  if (value) return value;
  throw new InternalError(
    `${plan.label} has no output ${name}; it has ${[...plan.outputs.keys()]}`,
  );
}

/** The buffer of an arena. @throws {InternalError} when there is none or it is too small */
export function findArena(
  arenas: ReadonlyMap<Arena, DeviceBuffer>,
  arena: Arena,
): DeviceBuffer {
  const { name, bytes } = arena;
  const buffer = arenas.get(arena);
  if (!buffer) throw new InternalError(`the plan needs a buffer for the arena ${name}`);
  if (buffer.bytes >= bytes) return buffer;
  throw new InternalError(
    `the arena ${name} needs ${bytes} bytes, but its buffer has ${buffer.bytes}`,
  );
}
