/**
 * Combining the values of neighbouring threads by a fixed tree: at each level the first half of the
 * threads takes over the values of the second half. Levels within a subgroup exchange registers, the
 * others go through workgroup memory; both add the same numbers in the same order, so that the bits
 * do not depend on which it is.
 *
 * @module
 */

import { combine } from "./functions.ts";

/** Which threads are combined. */
export interface Tree {
  /** Threads that share a result, a power of two; `row` is a thread's number among them. */
  readonly along: number;
  /** From one of them to the next, in `local`. */
  readonly stride: number;
  /** Lanes of a subgroup, or null to do without. */
  readonly subgroup: number | null;
}

/** Whether workgroup memory is needed: an element per thread. */
export function needsMemory({ along, stride, subgroup }: Tree): boolean {
  return along > 1 && (subgroup === null || along * stride > subgroup);
}

/**
 * WGSL that combines `values[i]` of all threads of a result into that of the first (row 0); those of
 * the others become meaningless. `memory[i]` is an array in workgroup memory.
 */
export function combineThreads(
  functions: readonly ("sum" | "max")[],
  values: readonly string[],
  memory: readonly string[],
  tree: Tree,
): string[] {
  const { along, stride } = tree;
  const lines: string[] = [];
  if (needsMemory(tree)) lines.push(...memory.map((m, i) => `${m}[local] = ${values[i]};`));
  for (let half = along / 2; half >= 1; half /= 2) {
    const distance = half * stride;
    if (withinSubgroup(half, tree)) {
      functions.forEach((fn, i) => {
        const other = `subgroupShuffleDown(${values[i]}, ${distance}u)`;
        lines.push(`${values[i]} = ${combine(fn, values[i], other)};`);
      });
      continue;
    }
    const last = half === 1 || withinSubgroup(half / 2, tree);
    lines.push("workgroupBarrier();", `if (row < ${half}u) {`);
    functions.forEach((fn, i) => {
      lines.push(
        `${values[i]} = ${combine(fn, values[i], `${memory[i]}[local + ${distance}u]`)};`,
        ...(last ? [] : [`${memory[i]}[local] = ${values[i]};`]),
      );
    });
    lines.push("}");
  }
  return lines;
}

/** Whether the threads of a level are all in one subgroup. */
function withinSubgroup(half: number, { stride, subgroup }: Tree): boolean {
  return subgroup !== null && 2 * half * stride <= subgroup;
}

/** WGSL that gives all threads of a result the value of the first. */
export function shareFirst(value: string, memory: string, tree: Tree): string[] {
  if (tree.along === 1) return [];
  if (!needsMemory(tree)) {
    return [`${value} = subgroupShuffle(${value}, (local - row) % ${tree.subgroup}u);`];
  }
  return [
    `if (row == 0u) { ${memory}[local] = ${value}; }`,
    "workgroupBarrier();",
    `${value} = ${memory}[local - row * ${tree.stride}u];`,
  ];
}
