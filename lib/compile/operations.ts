/**
 * How the compiler treats each operation: one row per kind. Everything else about an operation it
 * learns from its kernel's row (kernels/mod.ts), if it has one.
 *
 * @module
 */

import type { Node, Op, Tensor } from "../tensor/tensor.ts";

/** What becomes of an operation. */
export type Form =
  /** Nothing: it is in memory before the run. */
  | "given"
  /** Nothing: it is its input. */
  | "identity"
  /** A part of expressions: it can be computed anywhere, point by point. */
  | "elementwise"
  /** Nothing: its input seen in another way. */
  | "view"
  /** Copies: each part is written to its place. */
  | "assembly"
  /** A kernel that can finish its result with element-wise operations. */
  | "finishing"
  /** A kernel whose operand is an expression. */
  | "moments"
  /** A kernel by itself, whose operands are in memory. */
  | "lone";

interface Treatment {
  readonly form: Form;
  /**
   * Outputs that are f32 whatever storage is asked for: what is made of many numbers is few numbers,
   * and may be too large for f16, or too fine.
   */
  readonly wide?: "all" | readonly number[];
}

const OPERATIONS = {
  input: { form: "given" },
  state: { form: "given" },
  constant: { form: "elementwise" },
  map: { form: "elementwise" },
  random: { form: "elementwise" },
  identity: { form: "identity" },
  reshape: { form: "view" },
  permute: { form: "view" },
  slice: { form: "view" },
  expand: { form: "view" },
  split: { form: "view" },
  concat: { form: "assembly" },
  pad: { form: "assembly" },
  reduce: { form: "finishing", wide: "all" },
  moments: { form: "moments", wide: "all" },
  matmul: { form: "finishing" },
  conv2d: { form: "finishing" },
  conv2dGradInput: { form: "finishing" },
  conv2dGradWeight: { form: "finishing" },
  attention: { form: "lone", wide: [1] },
  attentionGrad: { form: "lone" },
  gather: { form: "lone" },
  scatterAdd: { form: "lone", wide: "all" },
  resample: { form: "lone" },
} as const satisfies Record<Op["kind"], Treatment>;

/** Operations of which each becomes a kernel of its own name by itself; all, or some of them. */
export type LoneOperation<Kind extends Op["kind"] = Op["kind"]> = Extract<Op, {
  kind: { [K in Kind]: (typeof OPERATIONS)[K]["form"] extends "lone" ? K : never }[Kind];
}>;

/** What becomes of the node's operation. */
export function formOf({ op }: Node): Form {
  return OPERATIONS[op.kind].form;
}

/** Whether the tensor is another view of its node's input. */
export function isView({ node }: Tensor): boolean {
  return formOf(node) === "view";
}

/** Whether the tensor can be computed anywhere, point by point. */
export function isElementwise({ node }: Tensor): boolean {
  return formOf(node) === "elementwise";
}

/** Whether the node's kernel can finish its result with element-wise operations. */
export function hasEpilogue(node: Node): boolean {
  return formOf(node) === "finishing";
}

/** Whether the operation is a kernel by itself. */
export function isLone(op: Op): op is LoneOperation {
  return OPERATIONS[op.kind].form === "lone";
}

/** Whether the tensor is stored as f32 whatever storage is asked for. */
export function isWide({ node, index }: Tensor): boolean {
  const { wide = [] }: Treatment = OPERATIONS[node.op.kind];
  return wide === "all" || wide.includes(index);
}
