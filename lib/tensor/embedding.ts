/**
 * Rows of a table, chosen by index.
 *
 * @module
 */

import { requireRank, requireShape, requireType } from "./shape.ts";
import { make, type Tensor } from "./tensor.ts";

/**
 * table [V,D], index i32 [N] -> [N,D]: row index[n] of the table for every n. An index outside
 * 0..V-1 gives a row of zeros. The gradient sums the rows of each index in order of n.
 */
export function embedding(table: Tensor, index: Tensor): Tensor {
  requireRank("embedding", "table [V, D]", table, 2);
  requireRank("embedding", "index [N]", index, 1);
  requireType("embedding", "table", table, "f32");
  requireType("embedding", "index", index, "i32");
  const [rows, width] = table.shape;
  return make(
    { kind: "gather" },
    [table, index],
    [index.shape[0], width],
    (g) => [scatterAdd(index, g, rows), null],
  );
}

/** index i32 [N], rows [N,D] -> [size,D]: for each index the sum of its rows, in order of N. */
export function scatterAdd(index: Tensor, rows: Tensor, size: number): Tensor {
  requireRank("scatterAdd", "index [N]", index, 1);
  requireRank("scatterAdd", "rows [N, D]", rows, 2);
  requireType("scatterAdd", "index", index, "i32");
  requireShape("scatterAdd", "rows", rows, [index.shape[0], rows.shape[1]]);
  return make(
    { kind: "scatterAdd" },
    [index, rows],
    [size, rows.shape[1]],
    (g) => [null, embedding(g, index)],
  );
}
