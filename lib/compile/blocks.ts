/**
 * The memory accesses of a kernel, seen uniformly.
 *
 * @module
 */

import type { Block, Epilogue, Expression, Kernel, Store } from "./plan.ts";

/** Whether a kernel reads or writes a block. */
export type AccessMode = "read" | "write";

/** The kernel with every block replaced by what `map` makes of it. */
export function mapBlocks(
  kernel: Kernel,
  map: <B extends Block>(block: B, mode: AccessMode) => B,
): Kernel {
  const read = <B extends Block>(block: B) => map(block, "read");
  const write = <B extends Block>(block: B) => map(block, "write");
  const body = (expression: Expression): Expression => ({
    ...expression,
    operands: expression.operands.map(read),
  });
  const stores = (list: readonly Store[]): Store[] =>
    list.map((store) => ({ ...store, target: write(store.target) }));
  const epilogue = (e: Epilogue): Epilogue => ({ body: body(e.body), stores: stores(e.stores) });
  switch (kernel.kind) {
    case "elementwise":
      return { ...kernel, body: body(kernel.body), stores: stores(kernel.stores) };
    case "reduce":
      return { ...kernel, body: body(kernel.body), epilogue: epilogue(kernel.epilogue) };
    case "moments":
      return {
        ...kernel,
        body: body(kernel.body),
        mean: write(kernel.mean),
        rstd: write(kernel.rstd),
      };
    case "matmul":
      return {
        ...kernel,
        a: read(kernel.a),
        b: read(kernel.b),
        epilogue: epilogue(kernel.epilogue),
      };
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight":
      return {
        ...kernel,
        operands: [read(kernel.operands[0]), read(kernel.operands[1])],
        epilogue: epilogue(kernel.epilogue),
      };
    case "attention":
      return {
        ...kernel,
        q: read(kernel.q),
        k: read(kernel.k),
        v: read(kernel.v),
        out: write(kernel.out),
        lse: kernel.lse && write(kernel.lse),
      };
    case "attentionGrad":
      return {
        ...kernel,
        q: read(kernel.q),
        k: read(kernel.k),
        v: read(kernel.v),
        out: read(kernel.out),
        lse: read(kernel.lse),
        dout: read(kernel.dout),
        delta: write(kernel.delta),
        dq: write(kernel.dq),
        dk: write(kernel.dk),
        dv: write(kernel.dv),
      };
    case "gather":
    case "scatterAdd":
      return {
        ...kernel,
        index: read(kernel.index),
        source: read(kernel.source),
        target: write(kernel.target),
      };
    case "resample":
      return { ...kernel, source: read(kernel.source), target: write(kernel.target) };
    default:
      return kernel satisfies never;
  }
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
