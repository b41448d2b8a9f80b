/**
 * Rows of a table by index, and the sum of rows back into the table. The sum walks over all rows
 * for every element of the table, in order, which needs no atomics and is deterministic; indices
 * are few (a batch of labels).
 *
 * @module
 */

import type { GatherKernel } from "../../../compile/kernels/gather.ts";
import { type Dispatch, foldWorkgroups, type Target, workgroupNumber } from "../dispatch.ts";
import { Memory } from "./memory.ts";

const THREADS = 64;

/** Code for a gather or a scatterAdd. */
export function generateGather(kernel: GatherKernel, target: Target): Dispatch[] {
  const { kind, vocabulary, count, width, label } = kernel;
  const gather = kind === "gather";
  const rows = gather ? count : vocabulary;
  if (rows * width === 0) return [];
  const memory = new Memory(target, label);
  const index = memory.view(kernel.index, count);
  const source = memory.view(kernel.source, (gather ? vocabulary : count) * width);
  const result = memory.view(kernel.target, rows * width, { write: true });
  memory.seal();

  const workgroups = foldWorkgroups(Math.ceil(rows * width / THREADS), target);
  const body = gather
    ? `let entry = ${index.load("row")};
var value = 0.0;
if (entry >= 0 && entry < ${vocabulary}) {
value = ${source.load(`u32(entry) * ${width}u + column`)};
}`
    : `var value = 0.0;
for (var n = 0u; n < ${count}u; n++) {
if (u32(${index.load("n")}) == row) {
value += ${source.load(`n * ${width}u + column`)};
}
}`;
  const wgsl = `${memory.declarations}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let point = ${workgroupNumber(workgroups)} * ${THREADS}u + local;
if (point >= ${rows * width}u) { return; }
let row = point / ${width}u;
let column = point % ${width}u;
${body}
${result.store("point", "value")}
}
`;
  return [{ label, wgsl, bindings: memory.bindings, params: memory.params, workgroups }];
}
