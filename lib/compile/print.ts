/**
 * Plans for people: how many kernels, how much memory, and (with IMM_DEBUG=1) every kernel.
 *
 * @module
 */

import { environmentVariable } from "../base/environment.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { planFlops } from "./flops.ts";
import type { Access, Expression, Kernel, Plan, Store } from "./plan.ts";

/** Counts and memory of a plan, in bytes. */
export interface PlanSummary {
  /** How many kernels one run executes. */
  readonly kernels: number;
  /** How many of each kind. */
  readonly kernelsByKind: Readonly<Record<string, number>>;
  /** Floating-point operations of one run: of products, convolutions and attentions. */
  readonly flops: number;
  /** Scratch that is allocated for the plan alone. */
  readonly slotBytes: number;
  /** Uploaded for a run. */
  readonly inputBytes: number;
  /** What can be read back after a run. */
  readonly outputBytes: number;
  /** Arenas that the plan touches; shared with other plans. */
  readonly arenaBytes: number;
}

/** Counts kernels and adds up memory. */
export function summarize(plan: Plan): PlanSummary {
  const bytes = { slot: 0, input: 0, output: 0, arena: 0 };
  for (const buffer of plan.buffers) bytes[buffer.role] += buffer.length * 4;
  const kernelsByKind: Record<string, number> = {};
  for (const { kind } of plan.kernels) kernelsByKind[kind] = (kernelsByKind[kind] ?? 0) + 1;
  return {
    kernels: plan.kernels.length,
    kernelsByKind,
    flops: planFlops(plan),
    slotBytes: bytes.slot,
    inputBytes: bytes.input,
    outputBytes: bytes.output,
    arenaBytes: bytes.arena,
  };
}

/** The whole plan as text, one kernel a line with its expressions below. */
export function printPlan(plan: Plan): string {
  const { kernelsByKind, ...summary } = summarize(plan);
  const kinds = Object.entries(kernelsByKind).map(([kind, n]) => `${n} ${kind}`).join(", ");
  const lines = [
    `plan ${plan.label}: ${summary.kernels} kernels (${kinds})`,
    `  memory: ${mebibytes(summary.slotBytes)} scratch in ` +
    `${plan.buffers.filter((b) => b.role === "slot").length} slots, ` +
    `${mebibytes(summary.arenaBytes)} state, ` +
    `${mebibytes(summary.inputBytes + summary.outputBytes)} inputs and outputs`,
  ];
  plan.kernels.forEach((kernel, i) => lines.push(`  ${i}: ${printKernel(kernel)}`));
  return lines.join("\n");
}

/** Prints the plan to stderr when IMM_DEBUG is 1 or more. */
export function debugPlan(plan: Plan): void {
  if (debugLevel() >= 1) console.error(printPlan(plan));
}

/** IMM_DEBUG: 0 nothing, 1 plans, 2 generated code too, 3 the time of each dispatch too. */
export function debugLevel(): number {
  return Number(environmentVariable("IMM_DEBUG") ?? 0);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function printKernel(kernel: Kernel): string {
  switch (kernel.kind) {
    case "elementwise":
      return `elementwise ${kernel.label} ${printBody(kernel.body, kernel.stores)}`;
    case "reduce": {
      const { body, keptRank } = kernel;
      const results = kernel.reductions.map(({ fn, value }) => `${fn} v${value}`).join(", ");
      return `reduce ${kernel.label} keeps ${sizeOf(body.shape.slice(0, keptRank))} ` +
        `${printBody(body, [])} ${results}; ` +
        printBody(kernel.epilogue.body, kernel.epilogue.stores);
    }
    case "moments":
      return `${kernel.label} keeps ${sizeOf(kernel.body.shape.slice(0, kernel.keptRank))} ` +
        `${printBody(kernel.body, [])} of v${kernel.value}`;
    case "matmul":
      return `matmul ${kernel.label} ${kernel.batch} x ${kernel.m}x${kernel.n}x${kernel.k} ` +
        `a=${printAccess(kernel.a)} b=${printAccess(kernel.b)} ` +
        printBody(kernel.epilogue.body, kernel.epilogue.stores);
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight":
      return `${kernel.label} of [${kernel.inputShape}] ` +
        printBody(kernel.epilogue.body, kernel.epilogue.stores);
    default:
      return kernel.label;
  }
}

function printBody(body: Expression, stores: readonly Store[]): string {
  const instrs = body.instrs.map((instr, i) => {
    switch (instr.op) {
      case "load":
        return `v${i}=${printAccess(body.operands[instr.operand])}`;
      case "const":
        return `v${i}=${instr.value}`;
      case "result":
        return `v${i}=result${instr.index}`;
      case "random":
        return `v${i}=${instr.distribution}#${instr.stream}`;
      case "map":
        return `v${i}=${instr.fn}(${instr.args.map((arg) => `v${arg}`).join(",")})`;
    }
  });
  const written = stores.map(({ value, target }) => `${printAccess(target)}=v${value}`);
  return `[${body.shape}] {${[...instrs, ...written].join("; ")}}`;
}

function printAccess({ buffer, offset, strides, dtype }: Access): string {
  const half = dtype === "f16" ? "h" : "";
  return `b${buffer}${half}${offset > 0 ? `+${offset}` : ""}(${strides})`;
}
