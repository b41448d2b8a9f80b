/** The pictures of a report: which samples are shown beside their nearest real images. */

import assert from "node:assert/strict";
import { makeGallery, queryRows } from "../../lib/eval/reports/gallery.ts";
import { memoryImages } from "../../lib/eval/images.ts";
import type { MetricSet } from "../../lib/eval/metrics/metric.ts";

/** Labels of samples that a model makes in turn. */
const inTurn = (rows: number, classes: number) =>
  Array.from({ length: rows }, (_, i) => i % classes);

Deno.test("every class has a row, a few classes have several, of very many some are shown", () => {
  for (
    const [rows, classes, shown] of [[1000, 10, 10], [1000, 3, 9], [40, 8, 8], [500, 100, 100]]
  ) {
    const labels = inTurn(rows, classes);
    const chosen = queryRows(rows, labels);
    const counts = new Map<number, number>();
    for (const row of chosen.rows) counts.set(labels[row], (counts.get(labels[row]) ?? 0) + 1);
    assert.equal(new Set(chosen.rows).size, shown);
    assert.equal(counts.size, classes, `${classes} classes`);
    assert.equal(new Set(counts.values()).size, 1, "each as often");
    assert.deepEqual([...counts.keys()], [...counts.keys()].sort((a, b) => a - b));
    assert.deepEqual([chosen.shown, chosen.all], [classes, classes]);
  }
  const many = queryRows(5000, inTurn(5000, 1000));
  assert.deepEqual([many.rows.length, many.shown, many.all], [24, 24, 1000]);
  // Sorted labels, as folders have them, and a class of one sample.
  assert.deepEqual(queryRows(7, [0, 0, 0, 0, 0, 0, 1]).rows, [0, 1, 3, 4, 6]);
  assert.deepEqual(queryRows(16, null).rows, [0, 2, 4, 6, 8, 10, 12, 14]);
  assert.deepEqual(queryRows(2, null).rows, [0, 1]);
});

/** One picture of a pixel per value, whose feature is the value. */
function side(
  values: readonly number[],
  labels: readonly number[],
  names: readonly string[] | null,
) {
  const count = values.length;
  const data = Uint8Array.from(values);
  const size = { height: 1, width: 1, channels: 1 };
  const own = Int32Array.from(labels);
  const set: Pick<MetricSet, "features" | "labels" | "classes"> = {
    features: { rows: count, dimension: 1, data: Float32Array.from(values) },
    labels: own,
    classes: { count: 3, names },
  };
  return {
    source: memoryImages("pixels", { count, ...size, data, labels: own }),
    set: set as MetricSet,
  };
}

Deno.test("neighbours have the names of their classes, each side its own", async () => {
  const samples = side([10, 20, 30], [0, 1, 2], ["cat", "dog", "fox"]);
  const real = side([31, 11, 19], [2, 0, 1], null);
  const { neighbours, classesLeftOut } = await makeGallery(samples, real);
  assert.equal(classesLeftOut, undefined);
  assert.deepEqual(neighbours.map(({ sample }) => sample.className), ["cat", "dog", "fox"]);
  assert.deepEqual(neighbours.map(({ nearest }) => nearest[0].label), [0, 1, 2]);
  assert.equal(neighbours[0].nearest[0].className, undefined);
});
