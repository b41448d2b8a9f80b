import assert from "node:assert/strict";
import { scoreTable } from "../../cli/quickstart.ts";

Deno.test("the table of the quick start has its columns below each other", () => {
  const score = (scale: number) => ({
    pixelFd: scale,
    classifierFd: 12 * scale,
    nearestAccuracy: Math.min(1, scale),
    classifierAccuracy: scale / 100,
  });
  const table = scoreTable({ scores: [score(1), score(99.5)], baseline: score(0.25) });
  assert.equal(table.length, 4);
  // Everything is aligned at its right end, and two spaces at least are between columns.
  const ends = table.map((line) => [...line.matchAll(/\S+(?: %)?(?= {2}|$)/g)].slice(-4))
    .map((cells) => cells.map((cell) => cell.index + cell[0].length));
  for (const end of ends) assert.deepEqual(end, ends[0], table.join("\n"));
  assert.match(table[3], /^real, half against half {3,}\S/);
});
