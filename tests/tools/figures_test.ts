/** The figures of the documentation are those that the tool draws. */

import assert from "node:assert/strict";
import { ringFigure, timesFigure } from "../../tools/figures.ts";

Deno.test("docs/pictures/times.svg is what the code of lib/imm gives today", async () => {
  const drawn = await Deno.readTextFile(
    new URL("../../docs/pictures/times.svg", import.meta.url),
  );
  assert.equal(timesFigure(), drawn, "run deno task figures");
});

Deno.test("the ring is drawn with data, noise and the paths of the samples", async () => {
  const figure = await ringFigure(3, 20);
  const dots = [...figure.matchAll(/<path d="([^"]*)"/g)].map(([, d]) => d.split("h0").length - 1);
  assert.deepEqual(dots, [20, 20, 20, 20]);
  // Of each sample a line, of two points after one step and of three after two.
  const points = [...figure.matchAll(/<polyline points="([^"]*)"/g)]
    .map(([, list]) => list.split(" ").length);
  assert.deepEqual(points, [...Array(20).fill(2), ...Array(20).fill(3)]);
});
