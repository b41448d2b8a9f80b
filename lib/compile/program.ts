/**
 * What can be compiled: named inputs, named outputs and updates of state.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import type { Update } from "../tensor/state.ts";
import { sameShape, type Tensor } from "../tensor/tensor.ts";

/** A computation on symbolic tensors that is run as one unit. */
export interface Program {
  /** Shown in debug output and errors. */
  readonly label: string;
  /** Inputs that a run may be given; those that no result needs are accepted and ignored. */
  readonly inputs: readonly Tensor[];
  /** Values that can be read back after a run. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** State that a run changes. */
  readonly updates: readonly Update[];
  /** Whether results may not depend on how many samples are computed together; see plan.ts. */
  readonly batchInvariant?: boolean;
}

/** Choices of the compiler. */
export interface CompileOptions {
  /**
   * Whether element-wise operations are merged into each other and into the kernels that feed
   * them. False gives one kernel per operation: slower, and the reference for tests of fusion.
   */
  readonly fuse: boolean;
}

/** Checks what types cannot say. */
export function validateProgram(program: Program): void {
  const names = new Set<string>();
  for (const tensor of program.inputs) {
    const op = tensor.node.op;
    if (op.kind !== "input") {
      throw new InternalError(`${program.label}: a declared input is the result of ${op.kind}`);
    }
    if (names.has(op.name)) {
      throw new InternalError(`${program.label}: two inputs are called ${op.name}`);
    }
    names.add(op.name);
  }
  const targets = new Set<Tensor>();
  for (const { target, value } of program.updates) {
    if (target.node.op.kind !== "state") {
      throw new InternalError(`${program.label}: an update's target is not state`);
    }
    if (!sameShape(target.shape, value.shape)) {
      throw new InternalError(
        `${program.label}: update of ${target.node.op.name} [${target.shape}] ` +
          `with a value of shape [${value.shape}]`,
      );
    }
    if (targets.has(target)) {
      throw new InternalError(`${program.label}: ${target.node.op.name} is updated twice`);
    }
    targets.add(target);
  }
}
