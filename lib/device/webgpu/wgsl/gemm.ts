/**
 * The tiled matrix product under the matrix products and the convolutions:
 * result[batch, row, column] = sum over k of A[batch, row, k] * B[batch, k, column].
 *
 * Where A and B come from is up to two WGSL functions (strided memory for matrix products, an
 * image patch for convolutions). A workgroup makes a tile of the result: it stages slices of A and B in
 * workgroup memory as vectors along rows and columns, and every thread keeps a small block of the
 * result in named registers. The text is unrolled, because the checks that come with loops and
 * indexed arrays cannot be switched off here and cost more than the arithmetic.
 *
 * Products with few tiles and a long k are cut along k; the parts go through scratch memory and are
 * added up in order.
 *
 * @module
 */

import type { Epilogue } from "../../../compile/plan.ts";
import {
  type Dispatch,
  foldWorkgroups,
  SCRATCH,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { BoundExpression, Library } from "./expression.ts";
import {
  blockRegisters,
  declareTiles,
  finishBlock,
  type LoadLanes,
  multiplyTiles,
  stageTile,
  threadsAcross,
  threadsOf,
} from "./gemm_tile.ts";
import { type Tile, tilesFor } from "../tiles.ts";
import { Memory } from "./memory.ts";
import { combinePartials } from "./reduce.ts";

/** One side of a product. */
export interface GemmOperand {
  readonly lanes: LoadLanes;
  /**
   * WGSL that declares `fn NAME(batch: u32, line: u32, k: u32) -> vec4<f32>` (f32 for scalars).
   * `line` and `k` are multiples of four along the lanes. Lines beyond the end may give anything;
   * k beyond the end, which happens unless `exact`, gives zero.
   */
  declare(name: string, exact: boolean): string;
}

/** Sizes of a product and what is done with it. */
export interface Gemm {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly epilogue: Epilogue;
  readonly label: string;
}

/** The tile for a product, the number of parts that k is cut into, and the length of a part. */
export interface GemmPlan {
  readonly tile: Tile;
  readonly splits: number;
  readonly part: number;
}

/** Chooses the tile with the least waste, and cuts k where there are too few tiles. */
export function planGemm(
  { batch, rows, columns, depth }: Pick<Gemm, "batch" | "rows" | "columns" | "depth">,
  target: Target,
): GemmPlan {
  const tiles = target.tiles ?? tilesFor(target.software, batch * rows * columns * depth);
  let best = tiles[0];
  let bestCost = Infinity;
  for (const candidate of tiles) {
    const count = Math.ceil(rows / candidate.rows) * Math.ceil(columns / candidate.columns) * batch;
    // Work per tile: arithmetic plus the loads of its two edges, which favours large tiles.
    const work = candidate.rows * candidate.columns + 8 * (candidate.rows + candidate.columns);
    const rounds = Math.max(count, target.wantedWorkgroups / 2);
    const cost = rounds * work;
    if (cost < bestCost) [best, bestCost] = [candidate, cost];
  }
  const count = Math.ceil(rows / best.rows) * Math.ceil(columns / best.columns) * batch;
  const slices = Math.ceil(depth / best.depth);
  const wanted = target.batchInvariant ? 1 : Math.min(
    64,
    Math.floor(target.wantedWorkgroups / count),
    Math.floor(slices / 4),
  );
  const perPart = wanted > 1 ? Math.ceil(slices / wanted) : Math.max(1, slices);
  return {
    tile: best,
    splits: Math.max(1, Math.ceil(slices / perPart)),
    part: perPart * best.depth,
  };
}

/** Code for a product whose operands `bind` registers with the memory of the shader. */
export function generateGemm(
  gemm: Gemm,
  target: Target,
  bind: (memory: Memory) => readonly [GemmOperand, GemmOperand],
  plan: GemmPlan = planGemm(gemm, target),
): Dispatch[] {
  const { batch, rows, columns, depth, epilogue, label } = gemm;
  const points = batch * rows * columns;
  if (points === 0) return [];
  const { tile, splits, part } = plan;
  const memory = new Memory(target, label);
  const library = new Library();
  const [a, b] = bind(memory);
  const last = epilogue.body.shape.length - 1;
  const vector = columns % 4 === 0 && (splits > 1 || epilogue.body.shape[last] % 4 === 0);
  const finish = splits === 1
    ? new BoundExpression(memory, epilogue.body, epilogue.stores, vector ? last : null, library)
    : null;
  const partial = finish ? null : memory.view(
    { buffer: SCRATCH, offset: 0, dtype: "f32" },
    splits * points,
    { write: true, vector },
  );
  memory.seal();

  const threads = threadsOf(tile);
  const across = threadsAcross(tile);
  const tilesDown = Math.ceil(rows / tile.rows);
  const tilesAcross = Math.ceil(columns / tile.columns);
  const count = tilesDown * tilesAcross * batch * splits;
  const workgroups = foldWorkgroups(count, target);
  const exact = depth % tile.depth === 0;
  const accumulators = blockRegisters(tile);
  const T = vector ? "vec4<f32>" : "f32";
  const finishCode = finish
    ? finish.computeAndStore(
      [{ variable: "point", first: 0, count: epilogue.body.shape.length }],
      ["result"],
      "e",
    )
    : vector
    ? partial!.store4(`split * ${points}u + point`, "result")
    : partial!.store(`split * ${points}u + point`, "result");

  const wgsl = `${memory.declarations}
${library.declarations}${a.declare("loadA", exact)}${b.declare("loadB", exact)}
fn finish(point: u32, split: u32, result: ${T}) {
${finishCode}
}

${declareTiles(tile)}

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = ${workgroupNumber(workgroups)};
${workgroups[0] * workgroups[1] > count ? `if (number >= ${count}u) { return; }\n` : ""}\
let column0 = number % ${tilesAcross}u * ${tile.columns}u;
let row0 = number / ${tilesAcross}u % ${tilesDown}u * ${tile.rows}u;
let batch = number / ${tilesAcross * tilesDown}u % ${batch}u;
let split = number / ${tilesAcross * tilesDown * batch}u;
let tx = local % ${across}u;
let ty = local / ${across}u;
${accumulators.map((name) => `var ${name} = vec4<f32>(0.0);`).join("\n")}
let end = min((split + 1u) * ${part}u, ${depth}u);
for (var k0 = split * ${part}u; k0 < end; k0 += ${tile.depth}u) {
${stageTile("A", a.lanes, tile)}
${stageTile("B", b.lanes, tile)}
workgroupBarrier();
${multiplyTiles(tile)}
workgroupBarrier();
}
${finishBlock(rows, columns, tile, vector)}
}
`;
  const product: Dispatch = {
    label,
    wgsl,
    bindings: memory.bindings,
    params: memory.params,
    workgroups,
  };
  if (splits === 1) return [product];
  return [product, ...combinePartials(["sum"], points, splits, epilogue, label, target)];
}
