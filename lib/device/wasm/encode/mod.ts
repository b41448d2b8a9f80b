/**
 * How each kind of kernel becomes phases of a program: one row a kind, the files of which append
 * phases to an encoder. What a phase computes is written in Rust (wasm/kernels/src), whose records
 * these files write field by field. Read gather.ts first; elementwise.ts has the last step of many
 * kernels, product.ts what convolutions and matrix products share.
 *
 * @module
 */

import type { Kernel, KernelKind, KernelOfKind } from "../../../compile/kernels/mod.ts";
import type { Encoder } from "../encoder.ts";
import { encodeAttention, encodeAttentionGrad } from "./attention.ts";
import { encodeConv } from "./conv.ts";
import { encodeElementwise } from "./elementwise.ts";
import { encodeGather } from "./gather.ts";
import { encodeMatmul } from "./matmul.ts";
import { encodeMoments, encodeReduce } from "./reduce.ts";
import { encodeResample } from "./resample.ts";

/** A row. (A method: so the row of one kind also is one of any kind; see `Description`.) */
interface Row<K> {
  encode(encoder: Encoder, kernel: K): void;
}

const ROWS: { readonly [Kind in KernelKind]: Row<KernelOfKind<Kind>> } = {
  elementwise: { encode: encodeElementwise },
  reduce: { encode: encodeReduce },
  moments: { encode: encodeMoments },
  matmul: { encode: encodeMatmul },
  conv2d: { encode: encodeConv },
  conv2dGradInput: { encode: encodeConv },
  conv2dGradWeight: { encode: encodeConv },
  attention: { encode: encodeAttention },
  attentionGrad: { encode: encodeAttentionGrad },
  gather: { encode: encodeGather },
  scatterAdd: { encode: encodeGather },
  resample: { encode: encodeResample },
};

/** Appends the phases of a kernel. */
export function encodeKernel(encoder: Encoder, kernel: Kernel): void {
  const row: Row<Kernel> = ROWS[kernel.kind];
  row.encode(encoder, kernel);
}
