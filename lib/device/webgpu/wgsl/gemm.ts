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
import type { Tile } from "../tiles.ts";
import { BoundExpression, Library } from "./expression.ts";
import { Memory } from "./memory.ts";
import { combinePartials } from "./reduce.ts";

/** One side of a product. */
export interface GemmOperand {
  /**
   * What four lanes of a load run along: "k", the operand's other axis ("line": rows of A, columns
   * of B), or nothing (scalars).
   */
  readonly lanes: "k" | "line" | "scalar";
  /**
   * WGSL that declares `fn NAME(batch: u32, line: u32, k: u32) -> vec4<f32>` (f32 for scalars).
   * `line` and `k` are multiples of four along the lanes. Lines beyond the end may give anything,
   * k beyond the end must give zero unless `k` divides evenly.
   */
  declare(name: string): string;
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

const LANES = ["x", "y", "z", "w"];

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
  let best = target.tiles[0];
  let bestCost = Infinity;
  for (const candidate of target.tiles) {
    const tiles = Math.ceil(rows / candidate.rows) * Math.ceil(columns / candidate.columns) * batch;
    // Work per tile: arithmetic plus the loads of its two edges, which favours large tiles.
    const work = candidate.rows * candidate.columns + 8 * (candidate.rows + candidate.columns);
    const rounds = Math.max(tiles, target.wantedWorkgroups / 2);
    const cost = rounds * work;
    if (cost < bestCost) [best, bestCost] = [candidate, cost];
  }
  const tiles = Math.ceil(rows / best.rows) * Math.ceil(columns / best.columns) * batch;
  const slices = Math.ceil(depth / best.depth);
  const wanted = Math.min(
    64,
    Math.floor(target.wantedWorkgroups / tiles),
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

  const threadsAcross = tile.columns / tile.threadColumns;
  const threads = threadsAcross * (tile.rows / tile.threadRows);
  const tilesDown = Math.ceil(rows / tile.rows);
  const tilesAcross = Math.ceil(columns / tile.columns);
  const count = tilesDown * tilesAcross * batch * splits;
  const workgroups = foldWorkgroups(count, target);
  const accumulators = registers(tile);
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
${library.declarations}${a.declare("loadA")}${b.declare("loadB")}
fn finish(point: u32, split: u32, result: ${T}) {
${finishCode}
}

var<workgroup> tileA: array<vec4<f32>, ${tile.depth * tile.rows / 4}>;
var<workgroup> tileB: array<vec4<f32>, ${tile.depth * tile.columns / 4}>;

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = ${workgroupNumber(workgroups)};
${workgroups[0] * workgroups[1] > count ? `if (number >= ${count}u) { return; }\n` : ""}\
let column0 = number % ${tilesAcross}u * ${tile.columns}u;
let row0 = number / ${tilesAcross}u % ${tilesDown}u * ${tile.rows}u;
let batch = number / ${tilesAcross * tilesDown}u % ${batch}u;
let split = number / ${tilesAcross * tilesDown * batch}u;
let tx = local % ${threadsAcross}u;
let ty = local / ${threadsAcross}u;
${accumulators.map((name) => `var ${name} = vec4<f32>(0.0);`).join("\n")}
let end = min((split + 1u) * ${part}u, ${depth}u);
for (var k0 = split * ${part}u; k0 < end; k0 += ${tile.depth}u) {
${stage("tileA", "loadA", a.lanes, "row0", tile.rows, tile, threads)}
${stage("tileB", "loadB", b.lanes, "column0", tile.columns, tile, threads)}
workgroupBarrier();
${multiply(tile)}
workgroupBarrier();
}
${finishTile(gemm, tile, vector)}
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

function registers(tile: Tile): string[] {
  const names: string[] = [];
  for (let i = 0; i < tile.threadRows; i++) {
    for (let j = 0; j < tile.threadColumns / 4; j++) names.push(`c${i}_${j}`);
  }
  return names;
}

/**
 * Copies a slice of an operand to workgroup memory, four lines by four k at a time, as vectors
 * along the lines: element [k][line / 4].
 */
function stage(
  memory: string,
  load: string,
  lanes: GemmOperand["lanes"],
  line0: string,
  lines: number,
  { depth, rolled }: Tile,
  threads: number,
): string {
  const quads = lines / 4;
  const slices = depth / 4;
  const blocks = quads * slices;
  const copyBlock = (block: string): string => {
    // Neighbouring threads read neighbouring memory.
    const [q, s] = lanes === "k"
      ? [`${block} / ${slices}u`, `${block} % ${slices}u`]
      : [`${block} % ${quads}u`, `${block} / ${quads}u`];
    const at = (i: number) => `${memory}[(s * 4u + ${i}u) * ${quads}u + q]`;
    const four = [0, 1, 2, 3];
    const copy = lanes === "line"
      ? four.map((i) => `${at(i)} = ${load}(batch, line, k + ${i}u);`)
      : lanes === "k"
      ? [
        ...four.map((i) => `let v${i} = ${load}(batch, line + ${i}u, k);`),
        ...LANES.map((lane, i) =>
          `${at(i)} = vec4<f32>(${four.map((j) => `v${j}.${lane}`).join(", ")});`
        ),
      ]
      : four.map((i) =>
        `${at(i)} = vec4<f32>(${
          four.map((j) => `${load}(batch, line + ${j}u, k + ${i}u)`).join(", ")
        });`
      );
    return `let q = ${q}; let s = ${s};
let line = ${line0} + q * 4u; let k = k0 + s * 4u;
${copy.join("\n")}`;
  };
  if (rolled) {
    return `for (var block = local; block < ${blocks}u; block += ${threads}u) {
${copyBlock("block")}
}`;
  }
  const out: string[] = [];
  for (let first = 0; first < blocks; first += threads) {
    const block = first === 0 ? "local" : `(local + ${first}u)`;
    const guard = first + threads > blocks ? `if (${block} < ${blocks}u) ` : "";
    out.push(`${guard}{\n${copyBlock(block)}\n}`);
  }
  return out.join("\n");
}

/** One slice of k times the other. */
function multiply(tile: Tile): string {
  const rowQuads = tile.rows / 4;
  const columnQuads = tile.columns / 4;
  const threadQuads = tile.threadRows / 4;
  const across = tile.columns / tile.threadColumns;
  const out: string[] = [];
  for (let k = 0; k < tile.unroll; k++) {
    const statements: string[] = [];
    for (let q = 0; q < threadQuads; q++) {
      statements.push(`let a${q} = tileA[atA + ${k * rowQuads + q}u];`);
    }
    for (let j = 0; j < tile.threadColumns / 4; j++) {
      statements.push(`let b${j} = tileB[atB + ${k * columnQuads + j * across}u];`);
    }
    for (let i = 0; i < tile.threadRows; i++) {
      for (let j = 0; j < tile.threadColumns / 4; j++) {
        const name = `c${i}_${j}`;
        statements.push(`${name} += a${Math.floor(i / 4)}.${"xyzw"[i % 4]} * b${j};`);
      }
    }
    out.push(`{ ${statements.join(" ")} }`);
  }
  const a = `ty * ${threadQuads}u`;
  if (tile.unroll === tile.depth) {
    return `let atA = ${a}; let atB = tx;\n${out.join("\n")}`;
  }
  return `for (var kk = 0u; kk < ${tile.depth}u; kk += ${tile.unroll}u) {
let atA = ${a} + kk * ${rowQuads}u; let atB = tx + kk * ${columnQuads}u;
${out.join("\n")}
}`;
}

/** Hands the block of a thread to `finish`. */
function finishTile({ rows, columns }: Gemm, tile: Tile, vector: boolean): string {
  const across = tile.columns / tile.threadColumns;
  const quads = tile.threadColumns / 4;
  const hand = (i: string, j: string, value: string): string => {
    const guards: string[] = [];
    if (rows % tile.rows !== 0) guards.push(`row < ${rows}u`);
    const place = `let row = row0 + ty * ${tile.threadRows}u + ${i};
let column = column0 + (tx + ${j} * ${across}u) * 4u;
let point = (batch * ${rows}u + row) * ${columns}u + column;
`;
    if (vector) {
      if (columns % tile.columns !== 0) guards.push(`column < ${columns}u`);
      const guard = guards.length > 0 ? `if (${guards.join(" && ")}) ` : "";
      return `${place}${guard}{ finish(point, split, ${value}); }`;
    }
    const lanes = LANES.map((lane, l) =>
      `if (${[...guards, `column + ${l}u < ${columns}u`].join(" && ")}) ` +
      `{ finish(point + ${l}u, split, ${value}.${lane}); }`
    );
    return place + lanes.join("\n");
  };
  const names = registers(tile);
  if (tile.rolled) {
    return `var block = array<vec4<f32>, ${names.length}>(${names.join(", ")});
for (var i = 0u; i < ${names.length}u; i++) {
${hand(`i / ${quads}u`, `i % ${quads}u`, "block[i]")}
}`;
  }
  return names.map((name, n) => `{\n${hand(`${Math.floor(n / quads)}u`, `${n % quads}u`, name)}\n}`)
    .join("\n");
}
