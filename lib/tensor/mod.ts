/**
 * Symbolic tensors: every operation with its gradient rule beside its definition. Nothing is computed
 * here, and nothing here knows of devices: a graph becomes kernels in lib/compile. To be read in this
 * order:
 *
 * 1. tensor.ts, what a node of a graph is;
 * 2. elementwise.ts, view.ts and reduce.ts, the plainest operations;
 * 3. matmul.ts, conv.ts, attention.ts, norm.ts, and the others, one family a file;
 * 4. grad.ts, from a loss to its gradients; rematerialize.ts, gradients with less memory;
 * 5. state.ts, what stays on the device from one run to the next.
 *
 * @module
 */

export {
  constant,
  type ConvGeometry,
  customGradient,
  type DType,
  input,
  make,
  type MapFn,
  Node,
  type Op,
  stopGradient,
  type Storage,
  storageHere,
  Tensor,
  type Vjp,
  withStorage,
} from "./tensor.ts";
export { Arena, ARENA_ALIGNMENT, type ArenaEntry, type Update } from "./state.ts";
export { constantValue, full, zeros } from "./fill.ts";
export { expand, reshape } from "./broadcast.ts";
export {
  abs,
  add,
  clamp,
  cos,
  div,
  equal,
  exp,
  expm1,
  floor,
  geluTanh,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  type Operand,
  rsqrt,
  sigmoid,
  silu,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  toF32,
  toI32,
  where,
} from "./elementwise.ts";
export {
  chunk,
  concat,
  narrow,
  pad,
  permute,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
  unstack,
} from "./view.ts";
export { type Axes, max, mean, moments, sum } from "./reduce.ts";
export { linear, matmul, type MatmulOptions } from "./matmul.ts";
export { conv2d, conv2dGradInput, conv2dGradWeight, type ConvOptions } from "./conv.ts";
export {
  resampleDown,
  type ResampleOptions,
  type ResampleTap,
  resampleTaps,
  resampleUp,
} from "./resample.ts";
export { groupNorm, layerNorm, rmsNorm } from "./norm.ts";
export { logSumExp, softmax } from "./softmax.ts";
export { attention, type AttentionOptions } from "./attention.ts";
export { embedding, scatterAdd } from "./embedding.ts";
export { dropout, randomNormal, randomUniform } from "./random.ts";
export { pairwiseSquaredDistance } from "./pairwise.ts";
export { grad, type GradOptions } from "./grad.ts";
export { rematerialize } from "./rematerialize.ts";
export { sameShape, type Shape, sizeOf } from "../base/arrays.ts";
