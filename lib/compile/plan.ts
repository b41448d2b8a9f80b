/**
 * What the compiler hands to a device: a flat list of kernels over numbered buffers, with every
 * shape, stride and offset a constant. A device turns each kernel into code once and replays the
 * list for every run.
 *
 * All offsets and strides are in elements, of which each access has one type. What is f16 in memory
 * is f32 as soon as it has been read, and all arithmetic is.
 *
 * @module
 */

import type { ConvGeometry, DType, MapFn, Shape } from "../tensor/tensor.ts";
import type { Arena } from "../tensor/state.ts";

/** Type of an element in memory. */
export type ElementType = DType | "f16";

/** Bytes of an element in memory. */
export function elementBytes(type: ElementType): 2 | 4 {
  return type === "f16" ? 2 : 4;
}

/** What an element is once it has been read. */
export function scalarType(type: ElementType): DType {
  return type === "f16" ? "f32" : type;
}

/** A buffer of the plan. Its index in {@link Plan.buffers} is its name. */
export interface PlanBuffer {
  /** Length in words of four bytes: one element, or two of type f16. */
  readonly length: number;
  /** `slot`: scratch, reused between values whose lifetimes do not overlap. */
  readonly role: "slot" | "input" | "output" | "arena";
  /** The arena, for role `arena`. */
  readonly arena?: Arena;
  /** Name of the input or output; for slots, what it holds first. */
  readonly label: string;
}

/** A contiguous, row-major value at `offset` of a buffer. */
export interface Block {
  /** Index in {@link Plan.buffers}. */
  readonly buffer: number;
  /** First element. */
  readonly offset: number;
  /** How the elements lie in memory. */
  readonly dtype: ElementType;
}

/** Strided access to a buffer: element [i0, i1, ...] is at offset + sum(i * strides). */
export interface Access extends Block {
  /** Elements from one index of each axis to the next; 0 repeats. */
  readonly strides: readonly number[];
}

/**
 * One instruction of a fused expression, in single-assignment form: instruction n defines value n,
 * and `args` are numbers of earlier instructions.
 */
export type Instr =
  /** Reads operand `operand` of the expression at the current index. */
  | { readonly op: "load"; readonly operand: number }
  | { readonly op: "const"; readonly value: number; readonly dtype: DType }
  /** Result number `index` of the kernel's contraction or reduction at the current index. */
  | { readonly op: "result"; readonly index: number }
  /** Random number: counter 0 and counter 1 are dot products of the index with these strides. */
  | {
    readonly op: "random";
    readonly distribution: "uniform" | "normal";
    readonly stream: number;
    /** The operand that holds the key, i32[3] (read at its offset, +1, +2; strides ignored). */
    readonly key: number;
    readonly within: readonly number[];
    readonly sample: readonly number[];
  }
  | { readonly op: "map"; readonly fn: MapFn; readonly args: readonly number[] };

/** An element-wise computation over the index space `shape`. */
export interface Expression {
  /** Axes of the index space, already merged where every access allows it. */
  readonly shape: Shape;
  /** What `load` instructions read. */
  readonly operands: readonly Access[];
  /** The instructions, in order. */
  readonly instrs: readonly Instr[];
}

/** A value of an expression that is written to memory. */
export interface Store {
  /** Number of the instruction. */
  readonly value: number;
  /** Where; strides are over the expression's shape. */
  readonly target: Access;
}

/** What all kernels have. */
export interface KernelOf<Kind extends string> {
  /** Tells the kinds of kernels apart. */
  readonly kind: Kind;
  /** What it computes, for debug output. */
  readonly label: string;
}

/** Element-wise: every index evaluates the expression and performs the stores. */
export interface ElementwiseKernel extends KernelOf<"elementwise"> {
  /** What every index computes. */
  readonly body: Expression;
  /** Which values are written. */
  readonly stores: readonly Store[];
}

/** What is done with the results of a contraction before they are written. */
export interface Epilogue {
  /** Index space: the kernel's result space; `result` instructions read the results. */
  readonly body: Expression;
  /** Which values are written; at least one. */
  readonly stores: readonly Store[];
}

/**
 * Reduction. The body's index space is `keptRank` kept axes followed by the reduced axes; value
 * `reductions[i].value` is combined over the reduced axes, in a fixed order, into result i. The
 * epilogue's index space has the same number of points as the kept axes, in the same row-major
 * order, though its axes may be merged or split differently.
 */
export interface ReduceKernel extends KernelOf<"reduce"> {
  /** What is reduced, over kept and reduced axes. */
  readonly body: Expression;
  /** How many axes of the body are kept; they come first. */
  readonly keptRank: number;
  /** How each result is combined, and which value of the body it is made of. */
  readonly reductions: readonly { readonly fn: "sum" | "max"; readonly value: number }[];
  /** What becomes of the results. */
  readonly epilogue: Epilogue;
}

/**
 * Mean and 1/sqrt(var + eps) over the trailing axes of the body's index space; two passes, so that
 * a large mean does not cancel. `value` is the instruction whose moments are taken.
 */
export interface MomentsKernel extends KernelOf<"moments"> {
  /** What the moments are of, over kept and reduced axes. */
  readonly body: Expression;
  /** How many axes of the body are kept; they come first. */
  readonly keptRank: number;
  /** Number of the instruction. */
  readonly value: number;
  /** Added to the variance. */
  readonly eps: number;
  /** The mean, contiguous over the kept axes. */
  readonly mean: Block;
  /** 1/sqrt(variance + eps), contiguous over the kept axes. */
  readonly rstd: Block;
}

/**
 * result[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]. Strides of `a` are over [b, m, k], of `b`
 * over [b, k, n]; transposition is only a matter of strides. The epilogue's index space has
 * batch*M*N points in row-major order and its last axis is a multiple or a divisor of N... in
 * practice exactly N unless N is 1.
 */
export interface MatmulKernel extends KernelOf<"matmul"> {
  /** Number of products. */
  readonly batch: number;
  /** Rows of the result. */
  readonly m: number;
  /** Columns of the result. */
  readonly n: number;
  /** Length of the sums. */
  readonly k: number;
  /** The left factor, over [b, m, k]. */
  readonly a: Access;
  /** The right factor, over [b, k, n]. */
  readonly b: Access;
  /** What becomes of the product. */
  readonly epilogue: Epilogue;
}

/** Convolution and its gradients, NHWC and [kh,kw,C,O], all operands contiguous. */
export interface ConvKernel extends KernelOf<"conv2d" | "conv2dGradInput" | "conv2dGradWeight"> {
  /** Of the convolution, also for its gradients. */
  readonly geometry: ConvGeometry;
  /** Shape of the convolution's input [N,H,W,C]. */
  readonly inputShape: Shape;
  /** Shape of the convolution's output [N,H',W',O]. */
  readonly outputShape: Shape;
  /** conv2d: x, w. conv2dGradInput: dy, w. conv2dGradWeight: x, dy. */
  readonly operands: readonly [Block, Block];
  /** Index space: rows x columns of the result, columns = its last axis. */
  readonly epilogue: Epilogue;
}

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

/** Rows of a table, and the deterministic sum back into it. */
export interface GatherKernel extends KernelOf<"gather" | "scatterAdd"> {
  /** Rows in the table. */
  readonly vocabulary: number;
  /** Rows gathered, or added. */
  readonly count: number;
  /** Elements per row. */
  readonly width: number;
  /** i32 row numbers, [count]. */
  readonly index: Block;
  /** gather: the table. scatterAdd: the rows. */
  readonly source: Block;
  /** gather: the rows. scatterAdd: the table, every row written. */
  readonly target: Block;
}

/** Separable resampling by 2, NHWC contiguous; lib/tensor/resample.ts defines it. */
export interface ResampleKernel extends KernelOf<"resample"> {
  /** Whether height and width double or halve. */
  readonly direction: "up" | "down";
  /** The taps as they are applied: never normalised again. */
  readonly filter: readonly number[];
  /** [N,H,W,C] of the source. */
  readonly inputShape: Shape;
  /** [N,H,W,C] of the target. */
  readonly outputShape: Shape;
  /** What is resampled. */
  readonly source: Block;
  /** Where the result goes. */
  readonly target: Block;
}

/** One step of a plan. */
export type Kernel =
  | ElementwiseKernel
  | ReduceKernel
  | MomentsKernel
  | MatmulKernel
  | ConvKernel
  | AttentionKernel
  | AttentionGradKernel
  | GatherKernel
  | ResampleKernel;

/** A compiled program. */
export interface Plan {
  /** Name of the program, for debug output and errors. */
  readonly label: string;
  /** All memory that it touches. */
  readonly buffers: readonly PlanBuffer[];
  /** The steps, in order. */
  readonly kernels: readonly Kernel[];
  /** Where each input goes. */
  readonly inputs: ReadonlyMap<string, PlanValue>;
  /** Where each output is. */
  readonly outputs: ReadonlyMap<string, PlanValue>;
  /**
   * Whether a sample's results must be the same, bit for bit, in a batch of any size: then a device
   * may not let the size decide how a sum is cut into parts, though it costs speed.
   */
  readonly batchInvariant?: boolean;
}

/** An input or output of a plan: always a buffer of its own, contiguous. */
export interface PlanValue {
  /** Index in {@link Plan.buffers}. */
  readonly buffer: number;
  /** As the program declared it. */
  readonly shape: Shape;
  /** As the program declared it. */
  readonly dtype: DType;
}
