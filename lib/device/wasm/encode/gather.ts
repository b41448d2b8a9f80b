/**
 * Rows of tables.
 *
 * @module
 */

import type { GatherKernel } from "../../../compile/kernels/gather.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";

/** Numbers per task, at least. */
const LEAST_SHARE = 8192;

/** Appends a gather or the sum back into the table. */
export function encodeGather(encoder: Encoder, kernel: GatherKernel): void {
  const { vocabulary, count, width } = kernel;
  const forward = kernel.kind === "gather";
  const rows = forward ? count : vocabulary;
  // Every task of a sum looks at all indices.
  const share = Math.max(Math.ceil(LEAST_SHARE / width), forward ? 1 : Math.ceil(rows / 16));
  encoder.phase(forward ? PHASE.gather : PHASE.scatterAdd, Math.ceil(rows / share), [
    vocabulary,
    count,
    width,
    share,
    encoder.address(kernel.index),
    encoder.address(kernel.source),
    encoder.address(kernel.target),
  ]);
}
