/**
 * Reductions and moments; wasm/kernels/src/reduce.rs says how they are done.
 *
 * @module
 */

import { contiguousStrides, sizeOf } from "../../../base/arrays.ts";
import type { Access, Block, Expression, Instr } from "../../../compile/kernels/kernel.ts";
import type { MomentsKernel, ReduceKernel } from "../../../compile/kernels/reduce.ts";
import { type Blocks, blocksOf, MAX_RANK } from "../blocks.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { encodeTape } from "../tape.ts";
import { type Field, padded, shifted } from "../words.ts";
import { encodePass } from "./elementwise.ts";

/** Blocks in a chunk, at most: longer sums of float32 would lose accuracy. */
const MOST_BLOCKS = 256;
/** Tasks wanted where there are few kept points. */
const WANTED_TASKS = 64;
/** Points per task, at least. */
const LEAST_SHARE = 8192;

/** Appends a reduction. */
export function encodeReduce(encoder: Encoder, kernel: ReduceKernel): void {
  const { body, kept } = inMemoryOrder(kernel.body, kernel.keptRank);
  const points = sizeOf(kernel.body.shape.slice(0, kernel.keptRank));
  if (sizeOf(body.shape) === 0) return;
  const blocks = blocksOf(body.shape);
  const places = placeAxes(blocks, kept, true);
  const steps = placeAxes(blocks, kept, false);
  const perChunk = chunkLength(steps.count, places.count, encoder.batchInvariant);
  const chunks = Math.ceil(steps.count / perChunk);
  const count = kernel.reductions.length;
  const partials = encoder.workspace(count * chunks * points);
  const partial = (i: number) => shifted(partials, i * chunks * points * 4);
  const tape = encodeTape(encoder, blocks, body, {
    keep: kernel.reductions.map((reduction) => reduction.value),
    extra: count,
  });
  const reductions = encoder.words.add(
    kernel.reductions.flatMap(({ fn }, i) => [
      fn === "sum" ? 0 : 1,
      tape.kept[i],
      tape.extra[i],
      partial(i),
    ]),
  );
  const pairs = places.count * chunks;
  const work = perChunk * blocks.steps * blocks.inner;
  const pairsPerTask = Math.max(1, Math.floor(LEAST_SHARE / work));
  encoder.phase(PHASE.reduce, Math.ceil(pairs / pairsPerTask), [
    tape.pointer,
    pairs,
    pairsPerTask,
    steps.count,
    perChunk,
    chunks,
    ...places.fields,
    ...steps.fields,
    ...padded(kept.slice(0, blocks.axis + 1).map((stride) => stride ?? 0), MAX_RANK),
    points,
    ...foldFields(encoder, blocks, kept),
    count,
    reductions,
  ]);
  const results = kernel.reductions.map(({ fn }, i) => ({
    kind: "partials" as const,
    fn,
    start: partial(i),
    count: chunks,
    stride: points,
  }));
  encodePass(encoder, kernel.epilogue, results);
}

/** Appends mean and 1/sqrt(variance + eps): two reductions, the second of squared differences. */
export function encodeMoments(encoder: Encoder, kernel: MomentsKernel): void {
  const { body, keptRank, eps } = kernel;
  const keptShape = body.shape.slice(0, keptRank);
  const count = sizeOf(body.shape.slice(keptRank));
  const reduce = (of: Expression, value: number, finish: readonly Instr[], target: Block) =>
    encodeReduce(encoder, {
      kind: "reduce",
      body: of,
      keptRank,
      reductions: [{ fn: "sum", value }],
      epilogue: {
        body: { shape: [sizeOf(keptShape)], operands: [], instrs: finish },
        stores: [{ value: finish.length - 1, target: { ...target, strides: [1] } }],
      },
      label: kernel.label,
    });
  const average: Instr[] = [
    { op: "result", index: 0 },
    { op: "const", value: count, dtype: "f32" },
    { op: "map", fn: "div", args: [0, 1] },
  ];
  reduce(body, kernel.value, average, kernel.mean);

  const mean: Access = {
    ...kernel.mean,
    strides: [...contiguousStrides(keptShape), ...body.shape.slice(keptRank).map(() => 0)],
  };
  const first = body.instrs.length;
  const squares: Expression = {
    shape: body.shape,
    operands: [...body.operands, mean],
    instrs: [
      ...body.instrs,
      { op: "load", operand: body.operands.length },
      { op: "map", fn: "sub", args: [kernel.value, first] },
      { op: "map", fn: "mul", args: [first + 1, first + 1] },
    ],
  };
  const inverse: Instr[] = [
    ...average,
    { op: "const", value: eps, dtype: "f32" },
    { op: "map", fn: "add", args: [2, 3] },
    { op: "map", fn: "rsqrt", args: [4] },
  ];
  reduce(squares, first + 2, inverse, kernel.rstd);
}

/** A body with its axes in another order: for each the stride of its kept points, or null. */
interface OrderedBody {
  readonly body: Expression;
  readonly kept: readonly (number | null)[];
}

/**
 * The body with its axes as its largest operand has them in memory, merged where possible. Kept
 * axes come with the distance, in kept points, between neighbours.
 */
function inMemoryOrder(body: Expression, keptRank: number): OrderedBody {
  const { shape } = body;
  const keptStrides = contiguousStrides(shape.slice(0, keptRank));
  const kept = shape.map((_, axis) => axis < keptRank ? keptStrides[axis] : null);
  const span = (access: Access) =>
    shape.reduce((product, n, axis) => access.strides[axis] === 0 ? product : product * n, 1);
  const largest = body.operands.reduce<Access | null>(
    (best, access) => best === null || span(access) > span(best) ? access : best,
    null,
  );
  const order = shape.map((_, axis) => axis);
  if (largest) {
    const distance = (axis: number) => largest.strides[axis] || Infinity;
    order.sort((a, b) => distance(a) === distance(b) ? a - b : distance(b) - distance(a));
  }
  const lists = [
    ...body.operands.map((access) => access.strides),
    ...body.instrs.flatMap((instr) => instr.op === "random" ? [instr.within, instr.sample] : []),
  ];
  // Axes that stay, each with the innermost of the axes that were merged into it.
  const merged: { axis: number; size: number }[] = [];
  for (const axis of order) {
    if (shape[axis] === 1) continue;
    const last = merged.at(-1);
    const follows = last && (kept[last.axis] === null) === (kept[axis] === null) &&
      (kept[axis] === null || kept[last.axis] === kept[axis]! * shape[axis]) &&
      lists.every((strides) => strides[last.axis] === strides[axis] * shape[axis]);
    if (follows) merged.pop();
    merged.push({ axis, size: follows ? last.size * shape[axis] : shape[axis] });
  }
  if (merged.length === 0) merged.push({ axis: 0, size: 1 });
  const pick = (strides: readonly number[]) => merged.map(({ axis }) => strides[axis] ?? 0);
  return {
    kept: merged.map(({ axis }) => kept[axis] ?? null),
    body: {
      shape: merged.map(({ size }) => size),
      operands: body.operands.map((access) => ({ ...access, strides: pick(access.strides) })),
      instrs: body.instrs.map((instr) =>
        instr.op === "random"
          ? { ...instr, within: pick(instr.within), sample: pick(instr.sample) }
          : instr
      ),
    },
  };
}

/** The kept or the reduced axes by which blocks are counted. */
function placeAxes(
  { shape, axis, steps }: Blocks,
  kept: readonly (number | null)[],
  wantKept: boolean,
): { count: number; fields: Field[] } {
  const axes = shape.map((_, i) => i).filter((i) => i <= axis && (kept[i] !== null) === wantKept);
  const sizes = axes.map((i) => i === axis ? Math.ceil(shape[i] / steps) : shape[i]);
  return {
    count: sizeOf(sizes),
    fields: [axes.length, ...padded(axes, MAX_RANK), ...padded(sizes, MAX_RANK)],
  };
}

/** Blocks that one task combines. A function of shapes: the order of additions follows from it. */
function chunkLength(blocks: number, places: number, batchInvariant: boolean): number {
  if (batchInvariant) return Math.min(blocks, MOST_BLOCKS);
  const chunks = Math.min(Math.ceil(blocks / 4), Math.ceil(WANTED_TASKS / places));
  return Math.min(Math.ceil(blocks / chunks), MOST_BLOCKS);
}

/** How the lanes of a block belong to kept points (reduce.rs, `Fold`). */
function foldFields(
  encoder: Encoder,
  { shape, axis, inner, steps }: Blocks,
  kept: readonly (number | null)[],
): Field[] {
  const isKept = kept[axis] !== null;
  // Which axis is the block axis may depend on the number of samples, and the order of sums with it.
  const stepsFirst = !isKept && inner > 1 && !encoder.batchInvariant;
  const axes = [stepsFirst ? 1 : steps, ...shape.slice(axis + 1)];
  const strides = contiguousStrides(axes);
  /** Row-major list of sum(index * strides) over the kept, or the reduced, axes of the block. */
  const list = (wantKept: boolean, of: (i: number) => number): number[] =>
    axes.reduce<number[]>((sums, size, i) => {
      if ((kept[axis + i] !== null) !== wantKept) return sums;
      return sums.flatMap((sum) => Array.from({ length: size }, (_, j) => sum + j * of(i)));
    }, [0]);
  const firsts = list(true, (i) => strides[i]);
  const points = list(true, (i) => kept[axis + i]!);
  const lanes = list(false, (i) => strides[i]);
  const flag = (condition: boolean) => condition ? 1 : 0;
  return [
    encoder.words.add(firsts.flatMap((lane, i) => [lane, points[i]])),
    isKept ? 0 : firsts.length,
    isKept ? firsts.length / steps : 0,
    encoder.words.add(lanes),
    lanes.length,
    flag(lanes.every((lane, i) => lane === i)),
    flag(firsts.every((lane, i) => lane === i && points[i] === i) && inner > 0),
    stepsFirst ? inner : 0,
  ];
}
