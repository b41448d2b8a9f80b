/**
 * Scaled dot-product attention.
 *
 * @module
 */

import { requireRank, requireShape, requireType } from "./shape.ts";
import { Node, type Tensor } from "./tensor.ts";

/** Factor of the scores. */
export interface AttentionOptions {
  /** Default 1/sqrt(D). */
  readonly scale?: number;
}

/**
 * softmax(scale * q k^T) v for every head: q [B,T,H,D], k and v [B,S,H,D] -> [B,T,H,D]. The scores
 * are never stored; the gradient recomputes them from the log-sum-exp of each row. (Vaswani et al.
 * 2017; Dao et al. 2022 for the gradient.) It can be differentiated once.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale }: AttentionOptions = {},
): Tensor {
  requireRank("attention", "q [B, T, H, D]", q, 4);
  requireRank("attention", "k [B, S, H, D]", k, 4);
  const [batch, queries, heads, width] = q.shape;
  requireShape("attention", "k", k, [batch, k.shape[1], heads, width]);
  requireShape("attention", "v", v, k.shape);
  for (const [name, x] of Object.entries({ q, k, v })) requireType("attention", name, x, "f32");
  const factor = scale ?? 1 / Math.sqrt(width);
  const node: Node = new Node(
    { kind: "attention", scale: factor },
    [q, k, v],
    [
      { shape: q.shape, dtype: "f32" },
      { shape: [batch, heads, queries], dtype: "f32" },
    ],
    ([g]) => g ? attentionGrad(q, k, v, node, g, factor) : [null, null, null],
  );
  return node.outputs[0];
}

function attentionGrad(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { outputs: [out, logSumExp] }: Node,
  gradient: Tensor,
  scale: number,
): readonly Tensor[] {
  const inputs = [q, k, v, out, logSumExp, gradient];
  return new Node({ kind: "attentionGrad", scale }, inputs, [q, k, v], null).outputs;
}
