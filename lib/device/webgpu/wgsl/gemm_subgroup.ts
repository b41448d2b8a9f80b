/**
 * The inner part of a product whose threads next to each other are the lanes of one subgroup.
 *
 * All lanes need the same block of A and different columns of B. Each loads a different part of the
 * block of A, which is then broadcast number by number from the lane that has it. That pays where a
 * load costs many times what a broadcast does: on software rasterisers, which load every lane by
 * itself and for which workgroup memory is no faster than any other.
 *
 * @module
 */

import { InternalError } from "../../../base/errors.ts";
import type { Tile } from "../tiles.ts";
import { addProduct, blockRegisters, type LoadLanes, threadsAcross } from "./gemm_tile.ts";
import { LANES, numbers } from "./text.ts";

/** Steps of k per slice: one vector of four. */
const STEPS = 4;

/** Adds the product of the four steps from `k0` on to the accumulators. */
export function multiplyInSubgroup(
  a: LoadLanes,
  b: LoadLanes,
  tile: Tile,
  fused: boolean,
): string {
  const lanes = threadsAcross(tile);
  const vectors = tile.threadColumns / 4;
  if (tile.depth !== STEPS || tile.threadRows % lanes !== 0) {
    throw new InternalError(`a tile of ${tile.threadRows} rows and ${lanes} lanes`);
  }
  const left = blockOfA(a, tile.threadRows, lanes);
  const steps = numbers(STEPS).map((step) => {
    const columns = numbers(vectors).map((j) => `let b${j} = ${vectorOfB(b, j, step, lanes)};`);
    const products = numbers(tile.threadRows).map((row) => {
      const sums = blockRegisters(tile).slice(row * vectors, (row + 1) * vectors);
      const added = sums.map((sum, j) => addProduct(sum, "a", `b${j}`, fused));
      return `{ let a = ${left.number(row, step)}; ${added.join(" ")} }`;
    });
    return `{\n${columns.join("\n")}\n${products.join("\n")}\n}`;
  });
  return [...left.loads, ...wholeVectorsOfB(b, vectors, lanes), ...steps].join("\n");
}

/** The loads of a block of A, spread over the lanes, and how to get a number of it. */
function blockOfA(
  along: LoadLanes,
  rows: number,
  lanes: number,
): { loads: string[]; number: (row: number, step: number) => string } {
  const row0 = `row0 + ty * ${rows}u`;
  const loads = numbers(rows / lanes).map((i) => {
    if (along === "line") {
      // Vector v of the block is quad v % (rows / 4) of step v / (rows / 4).
      const v = `(tx + ${i * lanes}u)`;
      const quads = rows / 4;
      return `let a${i} = loadA(batch, ${row0} + ${v} % ${quads}u * 4u, k0 + ${v} / ${quads}u);`;
    }
    const line = `${row0} + tx + ${i * lanes}u`;
    if (along === "k") return `let a${i} = loadA(batch, ${line}, k0);`;
    const parts = numbers(STEPS).map((step) => `loadA(batch, ${line}, k0 + ${step}u)`);
    return `let a${i} = vec4<f32>(${parts.join(", ")});`;
  });
  return {
    loads,
    number(row, step) {
      const vector = along === "line" ? step * (rows / 4) + Math.floor(row / 4) : row;
      const part = LANES[along === "line" ? row % 4 : step];
      return `subgroupBroadcast(a${Math.floor(vector / lanes)}.${part}, ${vector % lanes}u)`;
    },
  };
}

/** Where B's vectors run along k: those of this lane's columns, all four steps of each. */
function wholeVectorsOfB(along: LoadLanes, vectors: number, lanes: number): string[] {
  if (along !== "k") return [];
  return numbers(vectors).flatMap((j) =>
    LANES.map((_, l) =>
      `let w${j}_${l} = loadB(batch, column0 + (tx + ${j * lanes}u) * 4u + ${l}u, k0);`
    )
  );
}

/** Four columns of B, number `j` of this lane, in one step of k. */
function vectorOfB(along: LoadLanes, j: number, step: number, lanes: number): string {
  const column = `column0 + (tx + ${j * lanes}u) * 4u`;
  switch (along) {
    case "line":
      return `loadB(batch, ${column}, k0 + ${step}u)`;
    case "k":
      return `vec4<f32>(${LANES.map((_, l) => `w${j}_${l}.${LANES[step]}`).join(", ")})`;
    case "scalar": {
      const parts = LANES.map((_, l) => `loadB(batch, ${column} + ${l}u, k0 + ${step}u)`);
      return `vec4<f32>(${parts.join(", ")})`;
    }
  }
}
