/**
 * Rows of tables.
 *
 * @module
 */

import type { LoneOperation } from "../operations.ts";
import {
  type Block,
  type Description,
  type KernelOf,
  type LoneDescription,
  notCounted,
  reads,
  writes,
} from "./kernel.ts";

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

const both: Description<GatherKernel> = {
  operands({ kind, vocabulary, count, width }) {
    const [from, to] = kind === "gather" ? [vocabulary, count] : [count, vocabulary];
    return { index: reads(count), source: reads(from, width), target: writes(to, width) };
  },
  flops: notCounted,
  print: ({ label }) => label,
};

/** Of rows that are read. */
export const gather: LoneDescription<LoneOperation<"gather">, GatherKernel> = {
  ...both,
  lower: ({ inputs: [table, index], targets: [target], label, contiguous }) => ({
    kind: "gather",
    vocabulary: table.shape[0],
    count: index.size,
    width: table.shape[1],
    index: contiguous(index),
    source: contiguous(table),
    target,
    label,
  }),
};

/** Of rows that are added up. */
export const scatterAdd: LoneDescription<LoneOperation<"scatterAdd">, GatherKernel> = {
  ...both,
  lower: ({ inputs: [index, rows], outputs: [table], targets: [target], label, contiguous }) => ({
    kind: "scatterAdd",
    vocabulary: table.shape[0],
    count: index.size,
    width: table.shape[1],
    index: contiguous(index),
    source: contiguous(rows),
    target,
    label,
  }),
};
