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

/** Tile of a workgroup, and block of a thread, in rows and columns; `depth` is the slice of k. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
}

const tile = (
  rows: number,
  columns: number,
  depth: number,
  threadRows: number,
  threadColumns: number,
): Tile => ({ rows, columns, depth, threadRows, threadColumns });

/**
 * The menu. Graphics processors hide latency with many threads and like square blocks; software
 * rasterisers pay for every line of text and for every barrier.
 */
const HARDWARE_TILES = [
  tile(64, 64, 16, 8, 4),
  tile(64, 32, 16, 4, 4),
  tile(32, 64, 16, 4, 4),
  tile(32, 32, 16, 4, 4),
  tile(64, 16, 16, 4, 4),
  tile(16, 64, 16, 4, 4),
  tile(16, 16, 16, 4, 4),
];
const SOFTWARE_TILES = HARDWARE_TILES;

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
  const menu = target.software ? SOFTWARE_TILES : HARDWARE_TILES;
  let best = menu[0];
  let bestCost = Infinity;
  for (const candidate of menu) {
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
${stage("tileA", "loadA", a.lanes, "row0", tile.rows, tile.depth, threads)}
${stage("tileB", "loadB", b.lanes, "column0", tile.columns, tile.depth, threads)}
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
  depth: number,
  threads: number,
): string {
  const quads = lines / 4;
  const slices = depth / 4;
  const blocks = quads * slices;
  const out: string[] = [];
  for (let first = 0; first < blocks; first += threads) {
    // Neighbouring threads read neighbouring memory.
    const block = first === 0 ? "local" : `(local + ${first}u)`;
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
        ...["x", "y", "z", "w"].map((lane, i) =>
          `${at(i)} = vec4<f32>(${four.map((j) => `v${j}.${lane}`).join(", ")});`
        ),
      ]
      : four.map((i) =>
        `${at(i)} = vec4<f32>(${
          four.map((j) => `${load}(batch, line + ${j}u, k + ${i}u)`).join(", ")
        });`
      );
    const guard = first + threads > blocks ? `if (${block} < ${blocks}u) ` : "";
    out.push(`${guard}{
let q = ${q}; let s = ${s};
let line = ${line0} + q * 4u; let k = k0 + s * 4u;
${copy.join("\n")}
}`);
  }
  return out.join("\n");
}

/** One slice of k times the other, unrolled. */
function multiply(tile: Tile): string {
  const rowQuads = tile.rows / 4;
  const columnQuads = tile.columns / 4;
  const threadQuads = tile.threadRows / 4;
  const across = tile.columns / tile.threadColumns;
  const out: string[] = [];
  for (let k = 0; k < tile.depth; k++) {
    const statements: string[] = [];
    for (let q = 0; q < threadQuads; q++) {
      statements.push(`let a${q} = tileA[ty * ${threadQuads}u + ${k * rowQuads + q}u];`);
    }
    for (let j = 0; j < tile.threadColumns / 4; j++) {
      statements.push(`let b${j} = tileB[tx + ${k * columnQuads + j * across}u];`);
    }
    for (let i = 0; i < tile.threadRows; i++) {
      for (let j = 0; j < tile.threadColumns / 4; j++) {
        const name = `c${i}_${j}`;
        statements.push(`${name} += a${Math.floor(i / 4)}.${"xyzw"[i % 4]} * b${j};`);
      }
    }
    out.push(`{ ${statements.join(" ")} }`);
  }
  return out.join("\n");
}

/** Hands the block of a thread to `finish`. */
function finishTile({ rows, columns }: Gemm, tile: Tile, vector: boolean): string {
  const across = tile.columns / tile.threadColumns;
  const out = [`let row = row0 + ty * ${tile.threadRows}u;`];
  for (let j = 0; j < tile.threadColumns / 4; j++) {
    out.push(`let column${j + 1} = column0 + (tx + ${j * across}u) * 4u;`);
  }
  for (let i = 0; i < tile.threadRows; i++) {
    for (let j = 0; j < tile.threadColumns / 4; j++) {
      const conditions: string[] = [];
      if (rows % tile.rows !== 0) conditions.push(`row + ${i}u < ${rows}u`);
      const column = `column${j + 1}`;
      const point = `(batch * ${rows}u + row + ${i}u) * ${columns}u + ${column}`;
      if (vector) {
        if (columns % tile.columns !== 0) conditions.push(`${column} < ${columns}u`);
        const guard = conditions.length > 0 ? `if (${conditions.join(" && ")}) ` : "";
        out.push(`${guard}{ finish(${point}, split, c${i}_${j}); }`);
      } else {
        ["x", "y", "z", "w"].forEach((lane, l) => {
          const guards = [...conditions, `${column} + ${l}u < ${columns}u`];
          out.push(
            `if (${guards.join(" && ")}) { finish(${point} + ${l}u, split, c${i}_${j}.${lane}); }`,
          );
        });
      }
    }
  }
  return out.join("\n");
}
