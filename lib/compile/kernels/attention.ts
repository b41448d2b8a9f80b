/**
 * Attention and its gradients.
 *
 * @module
 */

import { type Shape, sizeOf } from "../../tensor/tensor.ts";
import type { LoneOperation } from "../operations.ts";
import {
  type Access,
  type Block,
  type KernelOf,
  type LoneDescription,
  reads,
  writes,
} from "./kernel.ts";

/** Softmax(scale * q k^T) v by blocks, never storing the scores. Strides are over [B,T,H,D]. */
export interface AttentionKernel extends KernelOf<"attention"> {
  /** [B, Tq, H, D] and the number of keys. */
  readonly shape: Shape;
  /** Number of keys and values. */
  readonly keys: number;
  /** Factor of the scores. */
  readonly scale: number;
  /** Queries. */
  readonly q: Access;
  /** Keys. */
  readonly k: Access;
  /** Values. */
  readonly v: Access;
  /** The result, [B,Tq,H,D]. */
  readonly out: Block;
  /** Log-sum-exp of the scores, [B,H,Tq], or null where nobody needs it. */
  readonly lse: Block | null;
}

/** Gradients of attention. Strides are over [B,T,H,D]. */
export interface AttentionGradKernel extends KernelOf<"attentionGrad"> {
  /** [B, Tq, H, D] of the queries. */
  readonly shape: Shape;
  /** Number of keys and values. */
  readonly keys: number;
  /** Factor of the scores. */
  readonly scale: number;
  /** Queries. */
  readonly q: Access;
  /** Keys. */
  readonly k: Access;
  /** Values. */
  readonly v: Access;
  /** Result of the forward pass. */
  readonly out: Access;
  /** Log-sum-exp of the scores, from the forward pass. */
  readonly lse: Block;
  /** Gradient of the result. */
  readonly dout: Access;
  /** Scratch for the row sums of dout * out, [B,H,Tq]. */
  readonly delta: Block;
  /** Gradient of the queries. */
  readonly dq: Block;
  /** Gradient of the keys. */
  readonly dk: Block;
  /** Gradient of the values. */
  readonly dv: Block;
}

/** Of attention. */
export const attention: LoneDescription<LoneOperation<"attention">, AttentionKernel> = {
  operands(kernel) {
    return { ...inputsOf(kernel), out: writes(...kernel.shape), lse: writes(...rowsOf(kernel)) };
  },
  flops: ({ shape, keys }) => 2 * 2 * sizeOf(shape) * keys,
  print: ({ label }) => label,
  lower({ op, inputs, outputs, targets: [out, lse], label, strided, isUsed }) {
    const [q, k, v] = inputs.map(strided);
    return {
      kind: "attention",
      shape: outputs[0].shape,
      keys: inputs[1].shape[1],
      scale: op.scale,
      q,
      k,
      v,
      out,
      lse: isUsed(outputs[1]) ? lse : null,
      label,
    };
  },
};

/** Of the gradients of attention. */
export const attentionGrad: LoneDescription<LoneOperation<"attentionGrad">, AttentionGradKernel> = {
  operands(kernel) {
    const { q, k, v } = inputsOf(kernel);
    const [out, lse] = [kernel.shape, rowsOf(kernel)];
    return {
      ...{ q, k, v, out: reads(...out), lse: reads(...lse), dout: reads(...out) },
      delta: writes(...lse),
      ...{ dq: writes(...q.shape), dk: writes(...k.shape), dv: writes(...v.shape) },
    };
  },
  // The scores again, and a product each for the gradients of p, q, k and v.
  flops: ({ shape, keys }) => 5 * 2 * sizeOf(shape) * keys,
  print: ({ label }) => label,
  lower({ op, inputs, targets: [dq, dk, dv], label, strided, contiguous, scratch }) {
    const [q, k, v, out, , dout] = inputs.map(strided);
    const lse = contiguous(inputs[4]);
    const [batch, queries, heads] = inputs[0].shape;
    const delta = scratch(batch * heads * queries, "delta");
    return {
      kind: "attentionGrad",
      shape: inputs[0].shape,
      keys: inputs[1].shape[1],
      scale: op.scale,
      q,
      k,
      v,
      out,
      lse,
      dout,
      delta,
      dq,
      dk,
      dv,
      label,
    };
  },
};

/** What both read. */
function inputsOf(
  { shape: [batch, queries, heads, width], keys }: AttentionKernel | AttentionGradKernel,
) {
  const ofKeys = reads(batch, keys, heads, width);
  return { q: reads(batch, queries, heads, width), k: ofKeys, v: ofKeys };
}

/** A number per row of scores. */
function rowsOf({ shape: [batch, queries, heads] }: AttentionKernel | AttentionGradKernel) {
  return [batch, heads, queries];
}
