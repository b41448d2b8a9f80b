/**
 * What the compiler hands to a device: a flat list of kernels over numbered buffers, with every
 * shape, stride and offset a constant. A device turns each kernel into code once and replays the
 * list for every run.
 *
 * All offsets and strides are in elements (4 bytes each: f32 or i32).
 *
 * @module
 */

import type { ConvGeometry, DType, MapFn, Shape } from "../tensor/tensor.ts";
import type { Arena } from "../tensor/state.ts";

/** A buffer of the plan. Its index in {@link Plan.buffers} is its name. */
export interface PlanBuffer {
  /** Length in elements. */
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
  readonly buffer: number;
  readonly offset: number;
}

/** Strided access to a buffer: element [i0, i1, ...] is at offset + sum(i * strides). */
export interface Access extends Block {
  readonly strides: readonly number[];
  readonly dtype: DType;
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
  readonly operands: readonly Access[];
  readonly instrs: readonly Instr[];
}

/** A value of an expression that is written to memory. */
export interface Store {
  /** Number of the instruction. */
  readonly value: number;
  /** Where; strides are over the expression's shape. */
  readonly target: Access;
}

/** Element-wise: every index evaluates the expression and performs the stores. */
export interface ElementwiseKernel {
  readonly kind: "elementwise";
  readonly body: Expression;
  readonly stores: readonly Store[];
  readonly label: string;
}

/** What is done with the results of a contraction before they are written. */
export interface Epilogue {
  /** Index space: the kernel's result space; `result` instructions read the results. */
  readonly body: Expression;
  readonly stores: readonly Store[];
}

/**
 * Reduction. The body's index space is `keptRank` kept axes followed by the reduced axes; value
 * `reductions[i].value` is combined over the reduced axes, in a fixed order, into result i. The
 * epilogue's index space has the same number of points as the kept axes, in the same row-major
 * order, though its axes may be merged or split differently.
 */
export interface ReduceKernel {
  readonly kind: "reduce";
  readonly body: Expression;
  readonly keptRank: number;
  readonly reductions: readonly { readonly fn: "sum" | "max"; readonly value: number }[];
  readonly epilogue: Epilogue;
  readonly label: string;
}

/**
 * Mean and 1/sqrt(var + eps) over the trailing axes of the body's index space; two passes, so that
 * a large mean does not cancel. `value` is the instruction whose moments are taken.
 */
export interface MomentsKernel {
  readonly kind: "moments";
  readonly body: Expression;
  readonly keptRank: number;
  readonly value: number;
  readonly eps: number;
  /** Contiguous over the kept axes. */
  readonly mean: Block;
  readonly rstd: Block;
  readonly label: string;
}

/**
 * result[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]. Strides of `a` are over [b, m, k], of `b`
 * over [b, k, n]; transposition is only a matter of strides. The epilogue's index space has
 * batch*M*N points in row-major order and its last axis is a multiple or a divisor of N... in
 * practice exactly N unless N is 1.
 */
export interface MatmulKernel {
  readonly kind: "matmul";
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Access;
  readonly b: Access;
  readonly epilogue: Epilogue;
  readonly label: string;
}

/** Convolution and its gradients, NHWC and [kh,kw,C,O], all operands contiguous. */
export interface ConvKernel {
  readonly kind: "conv2d" | "conv2dGradInput" | "conv2dGradWeight";
  readonly geometry: ConvGeometry;
  /** Shape of the convolution's input [N,H,W,C]. */
  readonly inputShape: Shape;
  /** Shape of the convolution's output [N,H',W',O]. */
  readonly outputShape: Shape;
  /** conv2d: x, w. conv2dGradInput: dy, w. conv2dGradWeight: x, dy. */
  readonly operands: readonly [Block, Block];
  /** Index space: rows x columns of the result, columns = its last axis. */
  readonly epilogue: Epilogue;
  readonly label: string;
}

/** Softmax(scale * q k^T) v by blocks, never storing the scores. Strides are over [B,T,H,D]. */
export interface AttentionKernel {
  readonly kind: "attention";
  /** [B, Tq, H, D] and the number of keys. */
  readonly shape: Shape;
  readonly keys: number;
  readonly scale: number;
  readonly q: Access;
  readonly k: Access;
  readonly v: Access;
  readonly out: Block;
  /** [B,H,Tq], or null where nobody needs it. */
  readonly lse: Block | null;
  readonly label: string;
}

/** Gradients of attention. `delta` is scratch [B,H,Tq] for rowsum(dout * out). */
export interface AttentionGradKernel {
  readonly kind: "attentionGrad";
  readonly shape: Shape;
  readonly keys: number;
  readonly scale: number;
  readonly q: Access;
  readonly k: Access;
  readonly v: Access;
  readonly out: Access;
  readonly lse: Block;
  readonly dout: Access;
  readonly delta: Block;
  readonly dq: Block;
  readonly dk: Block;
  readonly dv: Block;
  readonly label: string;
}

/** Rows of a table, and the deterministic sum back into it. */
export interface GatherKernel {
  readonly kind: "gather" | "scatterAdd";
  /** Rows in the table, rows gathered, elements per row. */
  readonly vocabulary: number;
  readonly count: number;
  readonly width: number;
  readonly index: Block;
  /** gather: the table. scatterAdd: the rows. */
  readonly source: Block;
  /** gather: the rows. scatterAdd: the table, every row written. */
  readonly target: Block;
  readonly label: string;
}

/** Separable resampling by 2, NHWC contiguous; lib/tensor/resample.ts defines it. */
export interface ResampleKernel {
  readonly kind: "resample";
  readonly direction: "up" | "down";
  /** The taps as they are applied: never normalised again. */
  readonly filter: readonly number[];
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly source: Block;
  readonly target: Block;
  readonly label: string;
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
  readonly label: string;
  readonly buffers: readonly PlanBuffer[];
  readonly kernels: readonly Kernel[];
  /** Buffer, shape and type of each named input and output. */
  readonly inputs: ReadonlyMap<string, PlanValue>;
  readonly outputs: ReadonlyMap<string, PlanValue>;
  /**
   * Whether a sample's results must be the same, bit for bit, in a batch of any size: then a device
   * may not let the size decide how a sum is cut into parts, though it costs speed.
   */
  readonly batchInvariant?: boolean;
}

/** An input or output of a plan: always a buffer of its own, contiguous. */
export interface PlanValue {
  readonly buffer: number;
  readonly shape: Shape;
  readonly dtype: DType;
}
