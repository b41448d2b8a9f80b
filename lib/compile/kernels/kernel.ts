/**
 * What kernels are made of, and what is said of each kind: its operands, its arithmetic, its text.
 * The kinds are one file each beside this one; the table of all of them is in mod.ts.
 *
 * All offsets and strides are in elements, of which each access has one type. What is f16 in memory
 * is f32 as soon as it has been read, and all arithmetic is.
 *
 * @module
 */

import type { DType, MapFn, Shape, Tensor } from "../../tensor/tensor.ts";
import type { LoneOperation } from "../operations.ts";

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

/** What is done with the results of a contraction before they are written. */
export interface Epilogue {
  /** Index space: the kernel's result space; `result` instructions read the results. */
  readonly body: Expression;
  /** Which values are written; at least one. */
  readonly stores: readonly Store[];
}

/** Whether a kernel reads or writes an operand. */
export type AccessMode = "read" | "write";

/** An operand of a kernel. */
export interface Operand {
  readonly mode: AccessMode;
  /** What its strides are over; blocks are contiguous. */
  readonly shape: Shape;
}

/** An operand that is read. */
export function reads(...shape: number[]): Operand {
  return { mode: "read", shape };
}

/** An operand that is written. */
export function writes(...shape: number[]): Operand {
  return { mode: "write", shape };
}

/** Fields of a kernel that name memory by themselves, and not within an expression. */
type OperandField<K> = {
  [F in keyof K]: NonNullable<K[F]> extends Block | readonly Block[] ? F : never;
}[keyof K];

/** The operands of a kernel by its fields: the compiler asks for each of them. */
export type Operands<K> = {
  readonly [F in OperandField<K>]: NonNullable<K[F]> extends Block ? Operand : readonly Operand[];
};

/**
 * What the passes over plans ask a kind of kernel. (These are methods, which TypeScript compares
 * loosely: so the row of one kind also is one of any kind, for a kernel that has led to it.)
 */
export interface Description<K> {
  /** Its operands in order, but for those of its expressions: `body`, `epilogue` and `stores`. */
  operands(kernel: K): Operands<K>;
  /** Operations of products, convolutions and attention, where a multiply-add counts as two. */
  flops(kernel: K): number;
  /** One line for people. */
  print(kernel: K): string;
}

/** The arithmetic of what is not counted: element-wise work, norms, reductions, copies. */
export function notCounted(): number {
  return 0;
}

/** An operation that becomes a kernel by itself. */
export interface LoneNode<O extends LoneOperation> {
  readonly op: O;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Where each output goes. */
  readonly targets: readonly Block[];
  /** For {@link KernelOf.label}. */
  readonly label: string;
  /** An input where it lies, with whatever strides it has. */
  strided(input: Tensor): Access;
  /** An input that is contiguous: it is copied before, if it is not. */
  contiguous(input: Tensor): Block;
  /** Memory of f32 for this kernel alone. */
  scratch(length: number, label: string): Block;
  /** Whether anybody reads the output. */
  isUsed(output: Tensor): boolean;
}

/** A kind of kernel that follows from the operation of the same name alone. */
export interface LoneDescription<O extends LoneOperation, K> extends Description<K> {
  /** The kernel of a node. */
  lower(node: LoneNode<O>): K;
}
