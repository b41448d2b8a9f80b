/**
 * The tiled matrix product under the matrix products and the convolutions:
 * result[batch, row, column] = sum over k of A[batch, row, k] * B[batch, k, column].
 *
 * Where A and B come from is up to two WGSL functions (strided memory for matrix products, an
 * image patch for convolutions). A workgroup makes a tile of the result, slice of k by slice, and
 * every thread keeps a small block of it in named registers. The text is unrolled, because the checks
 * that come with loops and indexed arrays cannot be switched off here and cost more than the
 * arithmetic. Threads share what they load through workgroup memory (`gemm_tile.ts`) or within a
 * subgroup (`gemm_subgroup.ts`).
 *
 * Products with few tiles and a long k are cut along k; the parts go through scratch memory and are
 * added up in order.
 *
 * @module
 */

import type { Epilogue } from "../../../compile/kernels/kernel.ts";
import {
  type Dispatch,
  foldWorkgroups,
  SCRATCH,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { BoundExpression, Library } from "./expression.ts";
import { planSplits, type ProductSizes, type Tile, tilesFor } from "../tiles.ts";
import { multiplyInSubgroup } from "./gemm_subgroup.ts";
import {
  blockRegisters,
  declareTiles,
  finishBlock,
  type LoadLanes,
  multiplyAhead,
  multiplyInWorkgroup,
  threadsAcross,
  threadsOf,
} from "./gemm_tile.ts";
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
export interface Gemm extends ProductSizes {
  readonly epilogue: Epilogue;
  readonly label: string;
}

/** Code for a product whose operands `bind` registers with the memory of the shader. */
export function generateGemm(
  gemm: Gemm,
  target: Target,
  bind: (memory: Memory) => readonly [GemmOperand, GemmOperand],
  tile: Tile = target.variant?.tile ?? tilesFor(gemm, target)[0],
): Dispatch[] {
  const { batch, rows, columns, depth, epilogue, label } = gemm;
  const points = batch * rows * columns;
  if (points === 0) return [];
  const { splits, part } = planSplits(gemm, target);
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

  const inSubgroup = tile.sharing === "subgroup";
  const threads = threadsOf(tile);
  const across = threadsAcross(tile);
  const tilesDown = Math.ceil(rows / tile.rows);
  const tilesAcross = Math.ceil(columns / tile.columns);
  const count = tilesDown * tilesAcross * batch * splits;
  const workgroups = foldWorkgroups(count, target);
  const exact = depth % tile.depth === 0;
  const accumulators = blockRegisters(tile);
  const { before, body } = inSubgroup
    ? { before: "", body: multiplyInSubgroup(a.lanes, b.lanes, tile, !target.software) }
    : tile.rolled
    ? { before: "", body: multiplyInWorkgroup(a.lanes, b.lanes, tile) }
    : multiplyAhead(a.lanes, b.lanes, tile);
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

${inSubgroup ? "" : `${declareTiles(tile)}\n`}
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
let start = split * ${part}u;
let end = min(start + ${part}u, ${depth}u);
${before}
for (var k0 = start; k0 < end; k0 += ${tile.depth}u) {
${body}
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
