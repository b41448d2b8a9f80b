import assert from "node:assert/strict";
import {
  grad,
  input,
  mul,
  resampleDown,
  resampleTaps,
  resampleUp,
  sum,
} from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { sampleValues } from "../support/reference/finite_differences.ts";
import { evaluateGraph } from "../support/reference/graph.ts";

const FILTERS = [[1, 1], [1, 3, 3, 1], [1, 2, 3, 4, 5, 6]];

for (const direction of ["up", "down"] as const) {
  Deno.test(`the taps listed for an output position are what resampling ${direction} does`, () => {
    for (const filter of FILTERS) {
      for (const size of [6, 7]) {
        const x = input("x", [1, size, 2, 1]);
        const y = direction === "up" ? resampleUp(x, filter) : resampleDown(x, filter);
        const { op } = y.node;
        assert(op.kind === "resample");
        const data = sampleValues("x", x.size);
        const [, rows, columns] = y.shape;
        const expected = Float64Array.from({ length: y.size }, (_, i) => {
          let total = 0;
          const vertical = resampleTaps(direction, op.filter, Math.floor(i / columns), size);
          for (const row of vertical) {
            for (const column of resampleTaps(direction, op.filter, i % columns, 2)) {
              total += row.weight * column.weight * data[row.position * 2 + column.position];
            }
          }
          return total;
        });
        const [found] = evaluateGraph([y], { inputs: { x: data } });
        assert.equal(rows, direction === "up" ? 2 * size : Math.floor(size / 2));
        assertClose(found, expected, { abs: 1e-12 }, `${direction} [${filter}] from ${size}`);
      }
    }
  });
}

Deno.test("taps are sorted, inside the input, and sum to 1 away from the border", () => {
  const taps = [0.125, 0.375, 0.375, 0.125];
  assert.deepEqual(resampleTaps("down", taps, 1, 8), [
    { position: 1, weight: 0.125 },
    { position: 2, weight: 0.375 },
    { position: 3, weight: 0.375 },
    { position: 4, weight: 0.125 },
  ]);
  assert.deepEqual(resampleTaps("up", [0.25, 0.75, 0.75, 0.25], 3, 8), [
    { position: 1, weight: 0.75 },
    { position: 2, weight: 0.25 },
  ]);
  assert.deepEqual(resampleTaps("down", taps, 0, 8).map((tap) => tap.position), [0, 1, 2]);
});

Deno.test("up is four times the transpose of down", () => {
  const filter = [1, 3, 3, 1];
  const x = input("x", [1, 4, 6, 2]);
  const g = input("g", [1, 2, 3, 2]);
  const [transposed] = grad(sum(mul(resampleDown(x, filter), g)), [x]);
  const data = { inputs: { g: sampleValues("g", g.size) } };
  const [found, expected] = evaluateGraph([mul(transposed, 4), resampleUp(g, filter)], data);
  assertClose(found, expected, { abs: 1e-12 });
});

Deno.test("a constant image stays constant inside, and everywhere with the filter [1, 1]", () => {
  const x = input("x", [1, 4, 4, 1]);
  const inputs = { x: new Float64Array(16).fill(3) };
  const [up, down, smooth] = evaluateGraph(
    [resampleUp(x, [1, 1]), resampleDown(x, [1, 1]), resampleUp(x, [1, 3, 3, 1])],
    { inputs },
  );
  assertClose(up, up.map(() => 3), { abs: 1e-12 });
  assertClose(down, down.map(() => 3), { abs: 1e-12 });
  assertClose([smooth[3 * 8 + 3], smooth[0]], [3, 3 * 0.75 ** 2], { abs: 1e-12 });
});
