/** Self-attention from a joint projection of queries, keys and values. @module */

import { attention, reshape, unstack } from "../tensor/mod.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Self-attention over all positions, scaled by 1/sqrt(channels per head).
 *
 * @param qkv Shape [B, T, 3C].
 * @param order How the last axis is cut. `head-channel-part`: U-Nets, (head·C/heads + c)·3 + part.
 * `part-head-channel`: DiT, part·C + head·C/heads + c. Parts are q, k, v.
 * @param normalise Applied to q and k of shape [B, T, heads, C/heads].
 * @returns Shape [B, T, C].
 */
export function selfAttention(
  qkv: Tensor,
  heads: number,
  order: "head-channel-part" | "part-head-channel",
  normalise?: { readonly q: (x: Tensor) => Tensor; readonly k: (x: Tensor) => Tensor },
): Tensor {
  const [batch, tokens, width] = qkv.shape;
  const channels = width / 3;
  const size = channels / heads;
  const [q, k, v] = order === "head-channel-part"
    ? unstack(reshape(qkv, [batch, tokens, heads, size, 3]), 4)
    : unstack(reshape(qkv, [batch, tokens, 3, heads, size]), 2);
  const out = normalise ? attention(normalise.q(q), normalise.k(k), v) : attention(q, k, v);
  return reshape(out, [batch, tokens, channels]);
}
