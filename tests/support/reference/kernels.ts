/** The reference interpreter's products, convolutions, attention and resampling: plain loops. */

import { type ConvGeometry, type Shape, sizeOf } from "../../../lib/tensor/tensor.ts";
import type { Value } from "./graph.ts";

/** [...batch, M, K] x [...batch, K, N], each side optionally stored transposed. */
export function matmul(
  a: Value,
  b: Value,
  shape: Shape,
  transA: boolean,
  transB: boolean,
): Float64Array {
  const [m, n] = shape.slice(-2);
  const k = a.shape.at(transA ? -2 : -1)!;
  const result = new Float64Array(sizeOf(shape));
  for (let i = 0; i < result.length; i++) {
    const [batch, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
    let total = 0;
    for (let j = 0; j < k; j++) {
      total += a.data[batch * m * k + (transA ? j * m + row : row * k + j)] *
        b.data[batch * k * n + (transB ? column * k + j : j * n + column)];
    }
    result[i] = total;
  }
  return result;
}

/**
 * Calls `visit` with the flat pixel numbers (n, h, w) of input and output and the kernel position
 * for every product of a convolution of x [N,H,W,C] to y [N,H',W',O].
 */
function visitProducts(
  [n, h, w]: Shape,
  [, outH, outW]: Shape,
  { kernel: [kh, kw], stride, padding }: ConvGeometry,
  visit: (inPixel: number, outPixel: number, tap: number) => void,
): void {
  for (let sample = 0; sample < n; sample++) {
    for (let oy = 0; oy < outH; oy++) {
      for (let ox = 0; ox < outW; ox++) {
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const iy = oy * stride + ky - padding;
            const ix = ox * stride + kx - padding;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            visit((sample * h + iy) * w + ix, (sample * outH + oy) * outW + ox, ky * kw + kx);
          }
        }
      }
    }
  }
}

/** x [N,H,W,C], w [kh,kw,C,O] -> [N,H',W',O]. */
export function conv2d(x: Value, w: Value, shape: Shape, geometry: ConvGeometry): Float64Array {
  const [channels, outs] = w.shape.slice(2);
  const y = new Float64Array(sizeOf(shape));
  visitProducts(x.shape, shape, geometry, (inPixel, outPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const value = x.data[inPixel * channels + c];
      const row = (tap * channels + c) * outs;
      for (let o = 0; o < outs; o++) y[outPixel * outs + o] += value * w.data[row + o];
    }
  });
  return y;
}

/** dy [N,H',W',O], w [kh,kw,C,O] -> dx of the given shape. */
export function conv2dGradInput(
  dy: Value,
  w: Value,
  shape: Shape,
  geometry: ConvGeometry,
): Float64Array {
  const [channels, outs] = w.shape.slice(2);
  const dx = new Float64Array(sizeOf(shape));
  visitProducts(shape, dy.shape, geometry, (inPixel, outPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const row = (tap * channels + c) * outs;
      let total = 0;
      for (let o = 0; o < outs; o++) total += dy.data[outPixel * outs + o] * w.data[row + o];
      dx[inPixel * channels + c] += total;
    }
  });
  return dx;
}

/** x [N,H,W,C], dy [N,H',W',O] -> dw [kh,kw,C,O]. */
export function conv2dGradWeight(
  x: Value,
  dy: Value,
  shape: Shape,
  geometry: ConvGeometry,
): Float64Array {
  const [channels, outs] = shape.slice(2);
  const dw = new Float64Array(sizeOf(shape));
  visitProducts(x.shape, dy.shape, geometry, (inPixel, outPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const value = x.data[inPixel * channels + c];
      const row = (tap * channels + c) * outs;
      for (let o = 0; o < outs; o++) dw[row + o] += value * dy.data[outPixel * outs + o];
    }
  });
  return dw;
}

/** Rows of softmax(scale * q k^T) for query t of head h, with the log-sum-exp of the scores. */
function attentionRow(q: Value, k: Value, scale: number, b: number, t: number, h: number) {
  const [, queries, heads, width] = q.shape;
  const keys = k.shape[1];
  const query = ((b * queries + t) * heads + h) * width;
  const scores = Float64Array.from({ length: keys }, (_, s) => {
    const key = ((b * keys + s) * heads + h) * width;
    let dot = 0;
    for (let d = 0; d < width; d++) dot += q.data[query + d] * k.data[key + d];
    return scale * dot;
  });
  const largest = Math.max(...scores);
  const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
  const logSumExp = largest + Math.log(total);
  return { query, logSumExp, weights: scores.map((score) => Math.exp(score - logSumExp)) };
}

/** Calls `visit` for every batch entry, query and head. */
function visitQueries([batch, queries, heads]: Shape, visit: (...at: number[]) => void): void {
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < queries; t++) for (let h = 0; h < heads; h++) visit(b, t, h);
  }
}

/** q [B,T,H,D], k, v [B,S,H,D] -> out [B,T,H,D] and log-sum-exp [B,H,T]. */
export function attention(q: Value, k: Value, v: Value, scale: number): Float64Array[] {
  const [batch, queries, heads, width] = q.shape;
  const keys = k.shape[1];
  const out = new Float64Array(q.data.length);
  const logSumExps = new Float64Array(batch * heads * queries);
  visitQueries(q.shape, (b, t, h) => {
    const { query, logSumExp, weights } = attentionRow(q, k, scale, b, t, h);
    logSumExps[(b * heads + h) * queries + t] = logSumExp;
    weights.forEach((weight, s) => {
      const key = ((b * keys + s) * heads + h) * width;
      for (let d = 0; d < width; d++) out[query + d] += weight * v.data[key + d];
    });
  });
  return [out, logSumExps];
}

/** dq, dk, dv; everything is recomputed from q, k, v and the gradient of the output. */
export function attentionGrad(
  q: Value,
  k: Value,
  v: Value,
  dout: Value,
  scale: number,
): Float64Array[] {
  const [, , heads, width] = q.shape;
  const keys = k.shape[1];
  const [dq, dk, dv] = [q, k, v].map((x) => new Float64Array(x.data.length));
  visitQueries(q.shape, (b, t, h) => {
    const { query, weights } = attentionRow(q, k, scale, b, t, h);
    const slopes = weights.map((_, s) => {
      const key = ((b * keys + s) * heads + h) * width;
      let dot = 0;
      for (let d = 0; d < width; d++) dot += dout.data[query + d] * v.data[key + d];
      return dot;
    });
    const mean = slopes.reduce((sum, slope, s) => sum + slope * weights[s], 0);
    weights.forEach((weight, s) => {
      const key = ((b * keys + s) * heads + h) * width;
      const dscore = scale * weight * (slopes[s] - mean);
      for (let d = 0; d < width; d++) {
        dv[key + d] += weight * dout.data[query + d];
        dq[query + d] += dscore * k.data[key + d];
        dk[key + d] += dscore * q.data[query + d];
      }
    });
  });
  return [dq, dk, dv];
}

/** Resampling as two matrices, one per axis, filled in from the definition of the filter. */
export function resample(
  direction: "up" | "down",
  taps: readonly number[],
  x: Value,
  shape: Shape,
): Float64Array {
  const [n, h, w, channels] = x.shape;
  const [, outH, outW] = shape;
  const rows = resampleMatrix(direction, taps, h, outH);
  const columns = resampleMatrix(direction, taps, w, outW);
  const y = new Float64Array(sizeOf(shape));
  for (let sample = 0; sample < n; sample++) {
    for (const [oy, iy, weightY] of rows) {
      for (const [ox, ix, weightX] of columns) {
        for (let c = 0; c < channels; c++) {
          y[((sample * outH + oy) * outW + ox) * channels + c] += weightY * weightX *
            x.data[((sample * h + iy) * w + ix) * channels + c];
        }
      }
    }
  }
  return y;
}

/** Entries (output, input, weight) of the matrix of one axis. */
function resampleMatrix(
  direction: "up" | "down",
  taps: readonly number[],
  size: number,
  outSize: number,
): [number, number, number][] {
  const [coarse, fine] = direction === "up" ? [size, outSize] : [outSize, size];
  const before = taps.length / 2 - 1;
  const entries: [number, number, number][] = [];
  for (let i = 0; i < coarse; i++) {
    taps.forEach((weight, k) => {
      const at = 2 * i + k - before; // coarse element i covers these fine elements
      if (at < 0 || at >= fine) return;
      entries.push(direction === "up" ? [at, i, weight] : [i, at, weight]);
    });
  }
  return entries;
}
