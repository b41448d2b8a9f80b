/**
 * Element-wise kernels: one thread evaluates the expression for one element, or for four along the
 * innermost axis where sizes and alignments allow it.
 *
 * @module
 */

import type { ElementwiseKernel, Expression, Store } from "../../../compile/plan.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import { type Dispatch, foldWorkgroups, type Target, workgroupNumber } from "../dispatch.ts";
import { BoundExpression, Library, prefersVectors } from "./expression.ts";
import { BindingTooLarge, Memory } from "./memory.ts";

const THREADS = 64;

/** Code for an element-wise kernel; several dispatches where its buffers exceed a binding. */
export function generateElementwise(kernel: ElementwiseKernel, target: Target): Dispatch[] {
  if (sizeOf(kernel.body.shape) === 0) return [];
  try {
    return [single(kernel, target)];
  } catch (error) {
    const halves = error instanceof BindingTooLarge ? halve(kernel) : null;
    if (!halves) throw error;
    return halves.flatMap((half) => generateElementwise(half, target));
  }
}

function single(kernel: ElementwiseKernel, target: Target): Dispatch {
  const { body, stores, label } = kernel;
  const last = body.shape.length - 1;
  const vector = prefersVectors(body, stores, last);
  const memory = new Memory(target, label);
  const library = new Library();
  const bound = new BoundExpression(memory, body, stores, vector ? last : null, library);
  memory.seal();

  const threads = sizeOf(body.shape) / bound.width;
  const workgroups = foldWorkgroups(Math.ceil(threads / THREADS), target);
  const code = bound.computeAndStore(
    [{ variable: "index", first: 0, count: body.shape.length }],
    [],
    "e",
  );
  const guard = threads === workgroups[0] * workgroups[1] * THREADS
    ? ""
    : `if (thread >= ${threads}u) { return; }\n`;
  const wgsl = `${memory.declarations}
${library.declarations}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let thread = ${workgroupNumber(workgroups)} * ${THREADS}u + local;
${guard}let index = thread${vector ? " * 4u" : ""};
${code}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}

/**
 * The kernel as two kernels over halves of the first axis that can be cut, or null where there is
 * none. Cuts are at multiples of 64 elements, so that vectors and bindings stay aligned.
 */
function halve(kernel: ElementwiseKernel): [ElementwiseKernel, ElementwiseKernel] | null {
  const { shape, instrs } = kernel.body;
  const axis = shape.findIndex((n) => n > 1);
  if (axis < 0 || instrs.some((i) => i.op === "random")) return null;
  let cut = Math.floor(shape[axis] / 2);
  if (axis === shape.length - 1) cut = Math.floor(cut / 64) * 64;
  if (cut === 0) return null;
  const part = (start: number, size: number): ElementwiseKernel => {
    const move = <T extends { offset: number; strides: readonly number[] }>(access: T): T => ({
      ...access,
      offset: access.offset + start * access.strides[axis],
    });
    const body: Expression = {
      shape: shape.with(axis, size),
      operands: kernel.body.operands.map(move),
      instrs,
    };
    const stores: Store[] = kernel.stores.map((s) => ({ ...s, target: move(s.target) }));
    return { ...kernel, body, stores };
  };
  return [part(0, cut), part(cut, shape[axis] - cut)];
}
