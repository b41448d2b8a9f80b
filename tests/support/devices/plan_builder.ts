/** Building small plans by hand, to test one kernel of a device at a time. */

import { contiguousStrides, type Shape, sizeOf } from "../../../lib/base/arrays.ts";
import type { Access, Epilogue, Expression, Store } from "../../../lib/compile/kernels/kernel.ts";
import type { Kernel } from "../../../lib/compile/kernels/mod.ts";
import type { Plan, PlanBuffer, PlanValue } from "../../../lib/compile/plan.ts";
import type { Arena } from "../../../lib/tensor/state.ts";
import type { DType } from "../../../lib/tensor/tensor.ts";

/** A plan in the making; every value gets a buffer of its own. */
export class PlanBuilder {
  readonly #buffers: PlanBuffer[] = [];
  readonly #kernels: Kernel[] = [];
  readonly #inputs = new Map<string, PlanValue>();
  readonly #outputs = new Map<string, PlanValue>();

  /** An input; the result is its contiguous access. */
  input(name: string, shape: Shape, dtype: DType = "f32"): Access {
    const buffer = this.#buffer({ length: sizeOf(shape), role: "input", label: name });
    this.#inputs.set(name, { buffer, shape, dtype });
    return { buffer, offset: 0, strides: contiguousStrides(shape), dtype };
  }

  output(name: string, shape: Shape, dtype: DType = "f32"): Access {
    const buffer = this.#buffer({ length: sizeOf(shape), role: "output", label: name });
    this.#outputs.set(name, { buffer, shape, dtype });
    return { buffer, offset: 0, strides: contiguousStrides(shape), dtype };
  }

  slot(length: number, dtype: DType = "f32"): Access {
    const buffer = this.#buffer({ length, role: "slot", label: "slot" });
    return { buffer, offset: 0, strides: [1], dtype };
  }

  arena(arena: Arena): Access {
    const buffer = this.#buffer({
      length: arena.length,
      role: "arena",
      arena,
      label: arena.name,
    });
    return { buffer, offset: 0, strides: [1], dtype: "f32" };
  }

  kernel(kernel: Kernel): this {
    this.#kernels.push(kernel);
    return this;
  }

  build(label = "test"): Plan {
    return {
      label,
      buffers: this.#buffers,
      kernels: this.#kernels,
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
  }

  #buffer(buffer: PlanBuffer): number {
    return this.#buffers.push(buffer) - 1;
  }
}

/** The same memory with other strides or another start. */
export function strided(access: Access, strides: readonly number[], offset = 0): Access {
  return { ...access, strides, offset: access.offset + offset };
}

/** An expression that loads its operands and applies one function after another. */
export function expression(
  shape: Shape,
  operands: readonly Access[],
  instrs: Expression["instrs"] = operands.map((_, operand) => ({ op: "load", operand })),
): Expression {
  return { shape, operands, instrs };
}

/** The epilogue that stores results as they are. */
export function storeResults(shape: Shape, ...targets: readonly Access[]): Epilogue {
  return {
    body: expression(shape, [], targets.map((_, index) => ({ op: "result", index }))),
    stores: targets.map((target, value): Store => ({ value, target })),
  };
}
