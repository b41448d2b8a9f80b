/**
 * Plans for people: how many kernels, how much memory, and (with IMM_DEBUG=1) every kernel.
 *
 * @module
 */

import { environmentVariable } from "../base/environment.ts";
import { planFlops } from "./flops.ts";
import { describe } from "./kernels/mod.ts";
import type { Plan } from "./plan.ts";

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
  plan.kernels.forEach((kernel, i) => lines.push(`  ${i}: ${describe(kernel).print(kernel)}`));
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
