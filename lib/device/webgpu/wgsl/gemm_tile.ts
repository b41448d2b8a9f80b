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

/** Squares of four lines by four k of a slice of an operand, and who copies them. */
interface Staging {
  readonly operand: "A" | "B";
  readonly lanes: LoadLanes;
  /** Vectors of four lines next to each other. */
  readonly quads: number;
  readonly squares: number;
  readonly threads: number;
}

function stagingOf(operand: "A" | "B", lanes: LoadLanes, tile: Tile): Staging {
  const quads = (operand === "A" ? tile.rows : tile.columns) / 4;
  return { operand, lanes, quads, squares: quads * tile.depth / 4, threads: threadsOf(tile) };
}

/** WGSL for the place of square number `square`, named q (of the lines) and s (of k). */
function placeOf({ lanes, quads, squares }: Staging, square: string): string {
  const slices = squares / quads;
  // Neighbouring threads read neighbouring memory.
  const [q, s] = lanes === "k"
    ? [`${square} / ${slices}u`, `${square} % ${slices}u`]
    : [`${square} % ${quads}u`, `${square} / ${quads}u`];
  return `let q = ${q}; let s = ${s};`;
}

/** WGSL for the first line and k of the square at q, s of the slice from `k0` on. */
function sourceOf({ operand }: Staging, k0: string): string {
  const line0 = operand === "A" ? "row0" : "column0";
  return `let line = ${line0} + q * 4u; let k = ${k0} + s * 4u;`;
}

/** Four WGSL vectors, each of which holds four lines of one k, as far as the lanes allow. */
function loadSquare({ operand, lanes }: Staging): string[] {
  const load = `load${operand}`;
  return numbers(4).map((i) => {
    switch (lanes) {
      case "line":
        return `${load}(batch, line, k + ${i}u)`;
      case "k":
        return `${load}(batch, line + ${i}u, k)`;
      case "scalar": {
        const loads = numbers(4).map((j) => `${load}(batch, line + ${j}u, k + ${i}u)`);
        return `vec4<f32>(${loads.join(", ")})`;
      }
    }
  });
}

/** Stores a loaded square; vectors that run along k are turned. */
function storeSquare({ operand, lanes, quads }: Staging, vectors: readonly string[]): string {
  const turned = lanes !== "k"
    ? vectors
    : LANES.map((lane) => `vec4<f32>(${vectors.map((v) => `${v}.${lane}`).join(", ")})`);
  return turned.map((value, i) => `tile${operand}[(s * 4u + ${i}u) * ${quads}u + q] = ${value};`)
    .join("\n");
}

/** Copies a slice of an operand, from `k0` on, with the function loadA or loadB. */
function stageInLoop(staging: Staging): string {
  const names = numbers(4).map((i) => `v${i}`);
  const loads = loadSquare(staging);
  return `for (var square = local; square < ${staging.squares}u; square += ${staging.threads}u) {
${placeOf(staging, "square")}
${sourceOf(staging, "k0")}
${names.map((name, i) => `let ${name} = ${loads[i]};`).join("\n")}
${storeSquare(staging, names)}
}`;
}

/** Squares that threads load at once, one each: all of one operand, or of A and then of B. */
interface Round {
  /** Which threads have a square of which operand, and its number; in the order of `local`. */
  readonly parts: readonly { staging: Staging; square: string; below: number | null }[];
  readonly registers: readonly string[];
}

/** Deals out the squares of A and B, so that as few threads as possible load more than others. */
function dealOut(a: Staging, b: Staging): Round[] {
  const { threads } = a;
  const all = a.squares + b.squares;
  return numbers(Math.ceil(all / threads)).map((n) => {
    const first = n * threads;
    const part = (staging: Staging, from: number, to: number) => {
      const shift = first - from;
      const square = shift === 0
        ? "local"
        : shift > 0
        ? `(local + ${shift}u)`
        : `(local - ${-shift}u)`;
      return { staging, square, below: to < first + threads ? to - first : null };
    };
    return {
      parts: [
        ...(first < a.squares ? [part(a, 0, a.squares)] : []),
        ...(first + threads > a.squares ? [part(b, a.squares, all)] : []),
      ],
      registers: numbers(4).map((i) => `r${n}_${i}`),
    };
  });
}

/** WGSL in which every thread does what `code` says for its square of a round. */
function eachSquare(
  rounds: readonly Round[],
  code: (staging: Staging, square: string, registers: readonly string[]) => string,
): string {
  return rounds.map(({ parts, registers }) =>
    parts.map(({ staging, square, below }) =>
      `${below === null ? "" : `if (local < ${below}u) `}{
${code(staging, square, registers)}
}`
    ).join(" else ")
  ).join("\n");
}

function loadRegisters(rounds: readonly Round[], k0: string): string {
  return eachSquare(rounds, (staging, square, registers) => {
    const loads = loadSquare(staging);
    return `${placeOf(staging, square)}
${sourceOf(staging, k0)}
${registers.map((name, i) => `${name} = ${loads[i]};`).join("\n")}`;
  });
}

function storeRegisters(rounds: readonly Round[]): string {
  return eachSquare(rounds, (staging, square, registers) =>
    `${placeOf(staging, square)}
${storeSquare(staging, registers)}`);
}

/** Adds the product of the slices from `k0` on to the accumulators. */
export function multiplyInWorkgroup(a: LoadLanes, b: LoadLanes, tile: Tile): string {
  return `${stageInLoop(stagingOf("A", a, tile))}
${stageInLoop(stagingOf("B", b, tile))}
workgroupBarrier();
${multiplyTiles(tile, false)}
workgroupBarrier();`;
}

/**
 * The parts of a loop over slices in which each slice is loaded, to registers, while the one before
 * is multiplied: what goes before the loop, with `start`, and its body, with `k0` and `end`.
 */
export function multiplyAhead(
  a: LoadLanes,
  b: LoadLanes,
  tile: Tile,
): { readonly before: string; readonly body: string } {
  const rounds = dealOut(stagingOf("A", a, tile), stagingOf("B", b, tile));
  const registers = rounds.flatMap((round) => round.registers);
  return {
    before: `${registers.map((name) => `var ${name} = vec4<f32>(0.0);`).join("\n")}
${loadRegisters(rounds, "start")}`,
    body: `${storeRegisters(rounds)}
workgroupBarrier();
let next = k0 + ${tile.depth}u;
if (next < end) {
${loadRegisters(rounds, "next")}
}
${multiplyTiles(tile, true)}
workgroupBarrier();`,
  };
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
