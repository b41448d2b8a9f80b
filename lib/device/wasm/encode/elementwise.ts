/**
 * Element-wise kernels, and the last step of others.
 *
 * @module
 */

import type { ElementwiseKernel } from "../../../compile/kernels/elementwise.ts";
import type { Access, Epilogue } from "../../../compile/kernels/kernel.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import { blocksOf } from "../blocks.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { encodeTape, type Result } from "../tape.ts";

/** Points per task: enough to be worth handing out, few enough to keep all threads busy. */
const LEAST_SHARE = 8192;
const MOST_TASKS = 256;

/** Appends an element-wise kernel. */
export function encodeElementwise(encoder: Encoder, kernel: ElementwiseKernel): void {
  encodePass(encoder, kernel, []);
}

/** Appends a pass over all points of an epilogue whose results lie in the workspace. */
export function encodePass(
  encoder: Encoder,
  epilogue: Epilogue,
  results: readonly Result[],
): void {
  const { body, stores } = epilogue.body.shape.length > 0 ? epilogue : withAxis(epilogue);
  const points = sizeOf(body.shape);
  if (points === 0) return;
  const blocks = blocksOf(body.shape);
  const block = blocks.inner * blocks.steps;
  const wanted = Math.max(LEAST_SHARE, points / MOST_TASKS);
  const share = Math.ceil(wanted / block) * block;
  const tape = encodeTape(encoder, blocks, body, { stores, results });
  encoder.phase(PHASE.elementwise, Math.ceil(points / share), [tape.pointer, points, share]);
}

/** The same over one point of one axis instead of none. */
function withAxis({ body, stores }: Epilogue): Epilogue {
  const along = (access: Access): Access => ({ ...access, strides: [0] });
  return {
    body: {
      shape: [1],
      operands: body.operands.map(along),
      instrs: body.instrs.map((instr) =>
        instr.op === "random" ? { ...instr, within: [0], sample: [0] } : instr
      ),
    },
    stores: stores.map(({ value, target }) => ({ value, target: along(target) })),
  };
}
