/**
 * Attention and its gradients.
 *
 * @module
 */

import type { AttentionGradKernel, AttentionKernel } from "../../../compile/kernels/attention.ts";
import type { Access } from "../../../compile/kernels/kernel.ts";
import { DeviceError } from "../../../base/errors.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { type Field, floatBits, NULL } from "../words.ts";

/** Rows and columns of a block of scores, at most. */
const ROWS = 48;
const COLUMNS = 128;
/** Numbers in the scratch of a task, less than attention.rs has. */
const SCRATCH = 480 << 10;

/** Appends attention. */
export function encodeAttention(encoder: Encoder, kernel: AttentionKernel): void {
  const views = [kernel.q, kernel.k, kernel.v, null, null];
  const [batch, queries, heads] = kernel.shape;
  const { fields, rows } = commonFields(encoder, kernel, views, queries, kernel.keys);
  const lse = kernel.lse ? encoder.address(kernel.lse) : NULL;
  const blocks = batch * heads * Math.ceil(queries / rows);
  const results = [encoder.address(kernel.out), NULL, NULL];
  encoder.phase(PHASE.attention, blocks, [...fields, lse, NULL, ...results]);
}

/** Appends the gradients of attention: delta, then dq, then dk and dv. */
export function encodeAttentionGrad(encoder: Encoder, kernel: AttentionGradKernel): void {
  const views = [kernel.q, kernel.k, kernel.v, kernel.out, kernel.dout];
  const [batch, queries, heads] = kernel.shape;
  const { keys } = kernel;
  const tail = [kernel.lse, kernel.delta, kernel.dq, kernel.dk, kernel.dv].map((block) =>
    encoder.address(block)
  );
  const byQueries = commonFields(encoder, kernel, views, queries, keys);
  const byKeys = commonFields(encoder, kernel, views, keys, queries);
  const perHead = batch * heads;
  encoder.phase(PHASE.attentionDelta, perHead, [...byQueries.fields, ...tail]);
  encoder.phase(
    PHASE.attentionGradQueries,
    perHead * Math.ceil(queries / byQueries.rows),
    [...byQueries.fields, ...tail],
  );
  encoder.phase(
    PHASE.attentionGradKeys,
    perHead * Math.ceil(keys / byKeys.rows),
    [...byKeys.fields, ...tail],
  );
}

/** The record of attention.rs up to the log-sum-exp, for blocks of `down` x `across` scores. */
function commonFields(
  encoder: Encoder,
  kernel: AttentionKernel | AttentionGradKernel,
  views: readonly (Access | null)[],
  down: number,
  across: number,
): { fields: Field[]; rows: number } {
  const [, queries, heads, width] = kernel.shape;
  const up = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;
  let rows = Math.min(ROWS, up(down, 12));
  let columns = Math.min(COLUMNS, up(across, 16));
  // Four blocks of rows and one of columns, of the heads' width; two blocks of scores.
  while (ROWS * (4 * up(width, 16) + 2 * columns) + columns * up(width, 16) > SCRATCH) {
    if (columns === 16) {
      throw new DeviceError(
        `attention heads of ${width} channels are too wide for the wasm device; use more heads`,
      );
    }
    columns = up(columns / 2, 16);
  }
  rows = Math.max(12, rows);
  const fields = [
    heads,
    queries,
    kernel.keys,
    width,
    floatBits(kernel.scale),
    rows,
    columns,
    ...views.flatMap((view) => view ? [encoder.address(view), ...view.strides] : [0, 0, 0, 0, 0]),
  ];
  return { fields, rows };
}
