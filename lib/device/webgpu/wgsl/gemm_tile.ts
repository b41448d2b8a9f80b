/**
 * The text of the parts of a tiled product: copying slices of the operands to workgroup memory,
 * multiplying them, and handing the block of each thread to the epilogue.
 *
 * Tiles lie in workgroup memory as [k][line / 4], where the lines are rows of A or columns of B.
 * They are copied in squares of four lines by four k, which turns vectors along k into vectors
 * along the lines in registers.
 *
 * @module
 */

import type { Tile } from "../tiles.ts";
import { LANES, numbers } from "./text.ts";

/**
 * What four lanes of a load run along: k, the lines (rows of A, columns of B), or nothing, where a
 * load gives one number.
 */
export type LoadLanes = "k" | "line" | "scalar";

/** Threads of a workgroup next to each other, and all. */
export function threadsAcross({ columns, threadColumns }: Tile): number {
  return columns / threadColumns;
}

export function threadsOf(tile: Tile): number {
  return threadsAcross(tile) * (tile.rows / tile.threadRows);
}

/** Names of the accumulators of a thread: `c${row}_${vector of four columns}`. */
export function blockRegisters({ threadRows, threadColumns }: Tile): string[] {
  return numbers(threadRows).flatMap((i) => numbers(threadColumns / 4).map((j) => `c${i}_${j}`));
}

/** Declares tileA and tileB. */
export function declareTiles({ rows, columns, depth }: Tile): string {
  return `var<workgroup> tileA: array<vec4<f32>, ${depth * rows / 4}>;
var<workgroup> tileB: array<vec4<f32>, ${depth * columns / 4}>;`;
}

/**
 * Copies a slice of an operand, from `k0` on, with the function loadA or loadB. Neighbouring
 * threads read neighbouring memory.
 */
function stageTile(operand: "A" | "B", lanes: LoadLanes, tile: Tile): string {
  const quads = (operand === "A" ? tile.rows : tile.columns) / 4;
  const slices = tile.depth / 4;
  const squares = quads * slices;
  const threads = threadsOf(tile);
  const copy = (square: string): string => {
    const [q, s] = lanes === "k"
      ? [`${square} / ${slices}u`, `${square} % ${slices}u`]
      : [`${square} % ${quads}u`, `${square} / ${quads}u`];
    return `let q = ${q}; let s = ${s};
let line = ${operand === "A" ? "row0" : "column0"} + q * 4u; let k = k0 + s * 4u;
${copySquare(operand, lanes, quads)}`;
  };
  if (tile.rolled) {
    return `for (var square = local; square < ${squares}u; square += ${threads}u) {
${copy("square")}
}`;
  }
  const out: string[] = [];
  for (let first = 0; first < squares; first += threads) {
    const square = first === 0 ? "local" : `(local + ${first}u)`;
    const guard = first + threads > squares ? `if (${square} < ${squares}u) ` : "";
    out.push(`${guard}{\n${copy(square)}\n}`);
  }
  return out.join("\n");
}

/** Copies four lines from `line` on by four k from `k` on to vectors q, 4 s ... 4 s + 3. */
function copySquare(operand: "A" | "B", lanes: LoadLanes, quads: number): string {
  const load = `load${operand}`;
  const at = (i: number) => `tile${operand}[(s * 4u + ${i}u) * ${quads}u + q]`;
  const four = numbers(4);
  switch (lanes) {
    case "line":
      return four.map((i) => `${at(i)} = ${load}(batch, line, k + ${i}u);`).join("\n");
    case "k":
      return [
        ...four.map((i) => `let v${i} = ${load}(batch, line + ${i}u, k);`),
        ...LANES.map((lane, i) =>
          `${at(i)} = vec4<f32>(${four.map((j) => `v${j}.${lane}`).join(", ")});`
        ),
      ].join("\n");
    case "scalar":
      return four.map((i) => {
        const loads = four.map((j) => `${load}(batch, line + ${j}u, k + ${i}u)`);
        return `${at(i)} = vec4<f32>(${loads.join(", ")});`;
      }).join("\n");
  }
}

/** Adds the product of the slices from `k0` on to the accumulators. */
export function multiplyInWorkgroup(
  a: LoadLanes,
  b: LoadLanes,
  tile: Tile,
  fused: boolean,
): string {
  return `${stageTile("A", a, tile)}
${stageTile("B", b, tile)}
workgroupBarrier();
${multiplyTiles(tile, fused)}
workgroupBarrier();`;
}

/**
 * `sum += a * b` for a number a and a vector b. With `fused`, as one operation without rounding in
 * between, which graphics processors have and may also use unasked: asking makes it certain. Software
 * rasterisers take twice as long for it.
 */
export function addProduct(sum: string, a: string, b: string, fused: boolean): string {
  return fused ? `${sum} = fma(vec4<f32>(${a}), ${b}, ${sum});` : `${sum} += ${a} * ${b};`;
}

function multiplyTiles(tile: Tile, fused: boolean): string {
  const { depth, threadRows, unroll } = tile;
  const across = threadsAcross(tile);
  const rowQuads = tile.rows / 4;
  const columnQuads = tile.columns / 4;
  const vectors = tile.threadColumns / 4;
  const oneStep = (step: number): string => {
    const a = numbers(threadRows / 4).map((q) =>
      `let a${q} = tileA[atA + ${step * rowQuads + q}u];`
    );
    const b = numbers(vectors).map((j) =>
      `let b${j} = tileB[atB + ${step * columnQuads + j * across}u];`
    );
    const products = blockRegisters(tile).map((name, n) => {
      const i = Math.floor(n / vectors);
      return addProduct(name, `a${Math.floor(i / 4)}.${LANES[i % 4]}`, `b${n % vectors}`, fused);
    });
    return `{ ${[...a, ...b, ...products].join(" ")} }`;
  };
  const steps = numbers(unroll).map(oneStep).join("\n");
  const a = `ty * ${threadRows / 4}u`;
  if (unroll === depth) return `let atA = ${a}; let atB = tx;\n${steps}`;
  return `for (var step = 0u; step < ${depth}u; step += ${unroll}u) {
let atA = ${a} + step * ${rowQuads}u; let atB = tx + step * ${columnQuads}u;
${steps}
}`;
}

/** Calls finish(point, split, value) for the accumulators that are inside the result. */
export function finishBlock(rows: number, columns: number, tile: Tile, vector: boolean): string {
  const across = threadsAcross(tile);
  const vectors = tile.threadColumns / 4;
  const names = blockRegisters(tile);
  const guardRow = rows % tile.rows === 0 ? [] : [`row < ${rows}u`];
  const guardColumn = columns % tile.columns === 0 ? [] : [`column < ${columns}u`];
  const guards = [...guardRow, ...guardColumn];
  const guard = guards.length > 0 ? `if (${guards.join(" && ")}) ` : "";
  // Accumulator i of column vector j, lane l.
  const hand = (i: string, j: string, l: string, value: string): string =>
    `let row = row0 + ty * ${tile.threadRows}u + ${i};
let column = column0 + (tx + ${j} * ${across}u) * 4u${l};
${guard}{ finish((batch * ${rows}u + row) * ${columns}u + column, split, ${value}); }`;
  if (tile.rolled) {
    const per = vector ? 1 : 4;
    const values = vector ? names : names.flatMap((name) => LANES.map((lane) => `${name}.${lane}`));
    const type = vector ? "vec4<f32>" : "f32";
    return `var block = array<${type}, ${values.length}>(${values.join(", ")});
for (var i = 0u; i < ${values.length}u; i++) {
${
      hand(
        `i / ${vectors * per}u`,
        `i / ${per}u % ${vectors}u`,
        vector ? "" : " + i % 4u",
        "block[i]",
      )
    }
}`;
  }
  return names.flatMap((name, n) => {
    const [i, j] = [`${Math.floor(n / vectors)}u`, `${n % vectors}u`];
    if (vector) return [`{\n${hand(i, j, "", name)}\n}`];
    return LANES.map((lane, l) => `{\n${hand(i, j, ` + ${l}u`, `${name}.${lane}`)}\n}`);
  }).join("\n");
}
