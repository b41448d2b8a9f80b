/**
 * Symbolic tensors. Model code calls functions on them and builds a graph; no device is touched.
 *
 * A {@link Node} is one operation with its inputs; a {@link Tensor} is one of its outputs (nearly
 * every node has exactly one). The operation is plain data, so that the compiler can hash, compare
 * and print it; the gradient rule is a closure given where the node is made, beside the forward
 * definition.
 *
 * The set of operations is small on purpose: everything else (norms, softmax, the MMD's pairwise
 * distances, optimisers) is written with these, and the compiler fuses what is element-wise.
 *
 * @module
 */

import { type Shape, sizeOf } from "../base/arrays.ts";
import { InternalError } from "../base/errors.ts";
import type { Arena } from "./state.ts";

export { sameShape, type Shape, sizeOf } from "../base/arrays.ts";

/** Element types. `i32` is for labels, indices and random keys. */
export type DType = "f32" | "i32";

/**
 * How a value of type f32 lies in memory, where it is stored at all: as it is, or rounded to half
 * precision. It is computed in f32 either way.
 */
export type Storage = "f32" | "f16";

/** Element-wise functions. Comparisons give 1 or 0 in f32; `where(c, a, b)` is a where c ≠ 0. */
export type MapFn =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "min"
  | "max"
  | "lt"
  | "le"
  | "eq"
  | "where"
  | "neg"
  | "abs"
  | "exp"
  | "expm1"
  | "log"
  | "sqrt"
  | "rsqrt"
  | "sin"
  | "cos"
  | "tanh"
  | "sigmoid"
  | "floor"
  | "toF32"
  | "toI32";

/** Geometry of a 2-D convolution; the same for its two gradients. */
export interface ConvGeometry {
  /** Kernel height and width. */
  readonly kernel: readonly [number, number];
  /** Step between output positions, the same in both directions. */
  readonly stride: number;
  /** Zeros added on each side. */
  readonly padding: number;
}

/** What a node does, as plain data. Shapes are those of the node's inputs and outputs. */
export type Op =
  /** A value uploaded for every run. */
  | { readonly kind: "input"; readonly name: string }
  /** A range of an arena that lives on the device between runs. */
  | {
    readonly kind: "state";
    readonly arena: Arena;
    readonly name: string;
    readonly offset: number;
  }
  /** One number, of shape []. */
  | { readonly kind: "constant"; readonly value: number }
  /** Element-wise function with numpy broadcasting. */
  | { readonly kind: "map"; readonly fn: MapFn }
  /** Counter-based random numbers; see random.ts for the exact definition. Input: key i32[3]. */
  | {
    readonly kind: "random";
    readonly distribution: "uniform" | "normal";
    readonly stream: number;
  }
  /** The same value; carries a gradient rule of its own. */
  | { readonly kind: "identity" }
  /** The same elements in row-major order under another shape. */
  | { readonly kind: "reshape" }
  /** Output axis i is input axis `axes[i]`. */
  | { readonly kind: "permute"; readonly axes: readonly number[] }
  /** A box of the input that starts at `starts` and has the output's shape. */
  | { readonly kind: "slice"; readonly starts: readonly number[] }
  /** Axes of size 1 repeated to the output's shape (equal rank). */
  | { readonly kind: "expand" }
  /** One output per part of `axis`, in order; sizes are the outputs'. */
  | { readonly kind: "split"; readonly axis: number }
  /** The inputs one after another along `axis`. */
  | { readonly kind: "concat"; readonly axis: number }
  /** Zeros around the input, which starts at `starts` in the output. */
  | { readonly kind: "pad"; readonly starts: readonly number[] }
  /** Sum or maximum over `axes`, which stay with size 1. */
  | { readonly kind: "reduce"; readonly fn: "sum" | "max"; readonly axes: readonly number[] }
  /** Outputs: mean and 1/sqrt(variance + eps) over `axes`, which stay with size 1. Two passes. */
  | { readonly kind: "moments"; readonly axes: readonly number[]; readonly eps: number }
  /** [...batch, M, K] x [...batch, K, N], each side optionally stored transposed. */
  | { readonly kind: "matmul"; readonly transA: boolean; readonly transB: boolean }
  /** x [N,H,W,C], w [kh,kw,C,O] -> [N,H',W',O]. */
  | { readonly kind: "conv2d"; readonly geometry: ConvGeometry }
  /** dy [N,H',W',O], w [kh,kw,C,O] -> dx (the output's shape). */
  | { readonly kind: "conv2dGradInput"; readonly geometry: ConvGeometry }
  /** x [N,H,W,C], dy [N,H',W',O] -> dw [kh,kw,C,O]. */
  | { readonly kind: "conv2dGradWeight"; readonly geometry: ConvGeometry }
  /** q, k, v [B,T,H,D] -> out [B,T,H,D] and the log-sum-exp of the scores [B,H,T]. */
  | { readonly kind: "attention"; readonly scale: number }
  /** q, k, v, out, lse, dout -> dq, dk, dv, all [B,T,H,D]. */
  | { readonly kind: "attentionGrad"; readonly scale: number }
  /** table [V,D], index i32 [N] -> [N,D]. Indices outside 0..V-1 give zeros. */
  | { readonly kind: "gather" }
  /** index i32 [N], rows [N,D] -> [V,D]: the sum of the rows of each index, in order of N. */
  | { readonly kind: "scatterAdd" }
  /** [N,H,W,C] doubled or halved by a separable filter, used as it is; see resample.ts. */
  | {
    readonly kind: "resample";
    readonly direction: "up" | "down";
    readonly filter: readonly number[];
  };

/**
 * Vector-Jacobian product: from the gradients of the outputs (null where an output is unused) to
 * the gradients of `gradientInputs` (null where there is none).
 */
export type Vjp = (gradients: readonly (Tensor | null)[]) => readonly (Tensor | null)[];

let nextId = 0;
let regions = 0;
let currentRegion = 0;
let currentStorage: Storage = "f32";

/** The id that the next node gets: nodes that exist have smaller ones. */
export function nextNodeId(): number {
  return nextId;
}

/**
 * Runs `build`; the nodes that it makes are of a region of their own. The compiler never takes
 * nodes of two regions for the same computation, nor runs them in one kernel: what is computed a
 * second time on purpose stays so. See rematerialize.ts.
 */
export function inNewRegion<Result>(build: () => Result): Result {
  const outer = currentRegion;
  currentRegion = ++regions;
  try {
    return build();
  } finally {
    currentRegion = outer;
  }
}

/**
 * Runs `build`; of the nodes that it makes, and of those of their gradients, values are stored in
 * this way. Sums, moments and what is read from elsewhere (inputs, state) are f32 at all times but
 * for state of an arena that is f16 itself.
 *
 * @example Activations and their gradients take half of the memory.
 * ```ts
 * import { compile } from "@imm/imm/compile";
 * import { Arena, grad, input, linear, silu, sum, withStorage } from "@imm/imm/tensor";
 * import assert from "node:assert/strict";
 *
 * const weights = new Arena("weights", "f16");
 * weights.add("w", [64, 64]);
 * const [x, w] = [input("x", [32, 64]), weights.tensor("w")];
 * const y = withStorage("f16", () => linear(silu(linear(x, w)), w));
 * const [dw] = grad(sum(y), [w]);
 * const plan = compile({ label: "half", inputs: [x], outputs: { dw }, updates: [] });
 * assert.ok(plan.buffers.some(({ role, length }) => role === "slot" && length === 32 * 64 / 2));
 * ```
 */
export function withStorage<Result>(storage: Storage, build: () => Result): Result {
  const outer = currentStorage;
  currentStorage = storage;
  try {
    return build();
  } finally {
    currentStorage = outer;
  }
}

/** What {@link withStorage} says here. */
export function storageHere(): Storage {
  return currentStorage;
}

/** One operation of the graph. Ids grow in order of creation, so they are a topological order. */
export class Node {
  /** Larger than that of every node it depends on. */
  readonly id: number = nextId++;
  /** 0, or the number of the region it was made in; see {@link inNewRegion}. */
  readonly region: number = currentRegion;
  /** How its outputs are stored; see {@link withStorage}. */
  readonly storage: Storage = currentStorage;
  /** What it computes. */
  readonly outputs: readonly Tensor[];

  /** Operations make nodes, after checking shapes and types; see `make`. */
  constructor(
    readonly op: Op,
    readonly inputs: readonly Tensor[],
    outputs: readonly { readonly shape: Shape; readonly dtype: DType }[],
    /** The gradient rule, or null where the operation has none (constant for the gradient). */
    readonly vjp: Vjp | null,
    /** What `vjp` gives gradients for; differs from `inputs` only in `customGradient`. */
    readonly gradientInputs: readonly Tensor[] = inputs,
  ) {
    this.outputs = outputs.map((o, i) => new Tensor(this, i, o.shape, o.dtype));
  }
}

/** A value of the graph: shape, element type, and the node that makes it. */
export class Tensor {
  /** Nodes make tensors, one for each output. */
  constructor(
    readonly node: Node,
    /** Which output of the node this is. */
    readonly index: number,
    readonly shape: Shape,
    readonly dtype: DType,
  ) {
    for (const n of shape) {
      if (!Number.isInteger(n) || n < 0) {
        throw new InternalError(`a ${node.op.kind} was given the shape [${shape}]`);
      }
    }
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** `%12`: the id of the node, as plans print it. */
  toString(): string {
    return `%${this.node.id}${this.index > 0 ? `.${this.index}` : ""}`;
  }
}

/** Makes a node with one output and returns that output. */
export function make(
  op: Op,
  inputs: readonly Tensor[],
  shape: Shape,
  vjp: ((gradient: Tensor) => readonly (Tensor | null)[]) | null,
  dtype: DType = "f32",
): Tensor {
  const rule: Vjp | null = vjp && (([g]) => g ? vjp(g) : inputs.map(() => null));
  return new Node(op, inputs, [{ shape, dtype }], rule).outputs[0];
}

/** A value uploaded for every run under `name`. */
export function input(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return withStorage("f32", () => make({ kind: "input", name }, [], shape, null, dtype));
}

/** One number as a tensor of shape []. */
export function constant(value: number, dtype: DType = "f32"): Tensor {
  return make({ kind: "constant", value }, [], [], null, dtype);
}

/**
 * `value`, but with `vjp` as the gradient with respect to `inputs` instead of the rules of the
 * operations that made it.
 */
export function customGradient(
  value: Tensor,
  inputs: readonly Tensor[],
  vjp: (gradient: Tensor) => readonly (Tensor | null)[],
): Tensor {
  const rule: Vjp = ([g]) => g ? vjp(g) : inputs.map(() => null);
  return new Node({ kind: "identity" }, [value], [value], rule, inputs).outputs[0];
}

/** `value` as a constant: no gradient flows through it. */
export function stopGradient(value: Tensor): Tensor {
  return customGradient(value, [], () => []);
}
