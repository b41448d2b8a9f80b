/**
 * Element-wise kernels: one thread evaluates the expression for one element, or for four along the
 * innermost axis where sizes and alignments allow it.
 *
 * @module
 */

import type { ElementwiseKernel } from "../../../compile/kernels/elementwise.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import { type Dispatch, foldWorkgroups, type Target, workgroupNumber } from "../dispatch.ts";
import { BoundExpression, Library, prefersVectors } from "./expression.ts";
import { BindingTooLarge, Memory } from "./memory.ts";
import { halve, pieceOfAccess, pieceOfExpression } from "./pieces.ts";

/** Threads of a workgroup, where no variant says otherwise. */
const THREADS = 64;

/** Code for an element-wise kernel; several dispatches where its buffers exceed a binding. */
export function generateElementwise(kernel: ElementwiseKernel, target: Target): Dispatch[] {
  if (sizeOf(kernel.body.shape) === 0) return [];
  try {
    return [single(kernel, target)];
  } catch (error) {
    const halves = error instanceof BindingTooLarge ? halve(kernel.body) : null;
    if (!halves) throw error;
    return halves.flatMap((piece) =>
      generateElementwise({
        ...kernel,
        body: pieceOfExpression(kernel.body, piece),
        stores: kernel.stores.map(({ value, target }) => ({
          value,
          target: pieceOfAccess(target, piece),
        })),
      }, target)
    );
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
  const perGroup = target.variant?.threads ?? THREADS;
  const workgroups = foldWorkgroups(Math.ceil(threads / perGroup), target);
  const code = bound.computeAndStore(
    [{ variable: "index", first: 0, count: body.shape.length }],
    [],
    "e",
  );
  const guard = threads === workgroups[0] * workgroups[1] * perGroup
    ? ""
    : `if (thread >= ${threads}u) { return; }\n`;
  const wgsl = `${memory.declarations}
${library.declarations}
@compute @workgroup_size(${perGroup})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let thread = ${workgroupNumber(workgroups)} * ${perGroup}u + local;
${guard}let index = thread${vector ? " * 4u" : ""};
${code}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}
