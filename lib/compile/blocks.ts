/**
 * The memory accesses of a kernel, seen uniformly.
 *
 * @module
 */

import type { AccessMode, Block, Epilogue, Expression, Operand, Store } from "./kernels/kernel.ts";
import { describe, type Kernel } from "./kernels/mod.ts";

/** The kernel with every block replaced by what `map` makes of it. */
export function mapBlocks(
  kernel: Kernel,
  map: <B extends Block>(block: B, mode: AccessMode) => B,
): Kernel {
  const body = (expression: Expression): Expression => ({
    ...expression,
    operands: expression.operands.map((operand) => map(operand, "read")),
  });
  const stores = (list: readonly Store[]): Store[] =>
    list.map((store) => ({ ...store, target: map(store.target, "write") }));
  const epilogue = (e: Epilogue): Epilogue => ({ body: body(e.body), stores: stores(e.stores) });
  const mapped: Record<string, unknown> = { ...kernel };
  if ("body" in kernel) mapped.body = body(kernel.body);
  for (const [name, operand] of operandsOf(kernel)) {
    const field = mapped[name] as Block | readonly Block[] | null;
    mapped[name] = operand instanceof Array
      ? operand.map(({ mode }, i) => map((field as readonly Block[])[i], mode))
      : field && map(field as Block, operand.mode);
  }
  if ("epilogue" in kernel) mapped.epilogue = epilogue(kernel.epilogue);
  if ("stores" in kernel) mapped.stores = stores(kernel.stores);
  return mapped as unknown as Kernel;
}

/** The kernel's own operands by their fields, in order. */
function operandsOf(kernel: Kernel): [string, Operand | readonly Operand[]][] {
  return Object.entries(describe(kernel).operands(kernel));
}

/** The blocks that a kernel reads and writes. */
export function blocksOf(kernel: Kernel): { reads: Block[]; writes: Block[] } {
  const reads: Block[] = [];
  const writes: Block[] = [];
  mapBlocks(kernel, (block, mode) => {
    (mode === "read" ? reads : writes).push(block);
    return block;
  });
  return { reads, writes };
}
