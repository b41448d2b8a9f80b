/**
 * Checks that every device makes of what it is given.
 *
 * @module
 */

import type { Plan, PlanValue } from "../compile/plan.ts";
import { InternalError } from "../base/errors.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { HostArray } from "./device.ts";

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
