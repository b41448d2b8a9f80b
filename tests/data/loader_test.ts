import assert from "node:assert/strict";
import { ArrayDataset } from "../../lib/data/dataset.ts";
import { Loader } from "../../lib/data/stream/loader.ts";
import { permutation } from "../../lib/data/stream/order.ts";

/** Images of 1 x 2 pixels whose left pixel is their index and whose right one is 200. */
function numbered(length: number, labels = true): ArrayDataset {
  const pixels = new Uint8Array(length * 2).fill(200);
  for (let i = 0; i < length; i++) pixels[2 * i] = i;
  const classes = labels ? Int32Array.from({ length }, (_, i) => i % 3) : null;
  return new ArrayDataset("numbered", [1, 2, 1], pixels, classes);
}

const indices = (loader: Loader, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => loader.item(from + i).index);

Deno.test("every epoch shows each image once, in an order of its own", () => {
  const loader = new Loader(numbered(50), { seed: 1 });
  const epochs = [0, 1, 2].map((epoch) => indices(loader, 50 * epoch, 50));
  const all = Array.from({ length: 50 }, (_, i) => i);
  for (const epoch of epochs) {
    assert.deepEqual([...epoch].sort((a, b) => a - b), all);
    assert.notDeepEqual(epoch, all);
  }
  assert.notDeepEqual(epochs[0], epochs[1]);
  assert.notDeepEqual(epochs[1], epochs[2]);
  assert.notDeepEqual(epochs[0], indices(new Loader(numbered(50), { seed: 2 }), 0, 50));
});

Deno.test("the stream depends on the position alone: resumed, in any batch size, in any order", () => {
  const options = { seed: 7n, mirror: true };
  const whole = new Loader(numbered(10), options).batch(0, 40);
  const other = new Loader(numbered(10), options);
  for (const [from, count] of [[33, 7], [0, 5], [5, 28]]) { // across epochs and backwards
    const part = other.batch(from, count);
    assert.deepEqual(part.images, whole.images.slice(from * 2, (from + count) * 2));
    assert.deepEqual(part.labels, whole.labels.slice(from, from + count));
  }
});

Deno.test("the order is fixed for good: these numbers may never change", () => {
  const order = indices(new Loader(numbered(10), { seed: 0 }), 0, 20);
  assert.equal(order.join(" "), "9 1 3 6 8 4 5 7 0 2 5 7 1 6 4 0 9 8 2 3");
  const mirrored = new Loader(numbered(10), { seed: 0, mirror: true });
  const flags = Array.from({ length: 16 }, (_, i) => Number(mirrored.item(i).mirrored));
  assert.equal(flags.join(""), "1100100111100111");
});

Deno.test("pixels go from -1 to 1 and labels come along", () => {
  const dataset = new ArrayDataset(
    "three",
    [1, 1, 3],
    Uint8Array.of(0, 255, 51),
    Int32Array.of(4),
  );
  const { images, labels } = new Loader(dataset, { seed: 0 }).batch(0, 2);
  const expected = [-1, 1, Math.fround(51 / 127.5 - 1)];
  assert.deepEqual([...images], [...expected, ...expected]);
  assert.deepEqual([...labels], [4, 4]);
  assert.equal(dataset.labelCount, 5);
  assert.deepEqual([...new Loader(numbered(3, false), { seed: 0 }).batch(0, 3).labels], [0, 0, 0]);
});

Deno.test("mirroring swaps columns, keeps channels, and happens to about half of the images", () => {
  const dataset = new ArrayDataset(
    "rgb",
    [2, 2, 3],
    Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    null,
  );
  const plain = new Loader(dataset, { seed: 0 }).batch(0, 1).images;
  const swapped = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8].map((i) => plain[i]);
  const loader = new Loader(dataset, { seed: 0, mirror: true });
  let mirrored = 0;
  for (let i = 0; i < 1000; i++) {
    const isMirrored = loader.item(i).mirrored;
    mirrored += Number(isMirrored);
    assert.deepEqual([...loader.batch(i, 1).images], isMirrored ? swapped : [...plain]);
  }
  assert(Math.abs(mirrored - 500) < 80, `${mirrored} of 1000`);
});

Deno.test("a batch can be filled into memory that is there already", () => {
  const loader = new Loader(numbered(5), { seed: 3 });
  const into = { images: new Float32Array(8), labels: new Int32Array(4) };
  assert.equal(loader.batch(2, 4, into), into);
  assert.deepEqual(into, loader.batch(2, 4));
});

Deno.test("permutations are uniform: every image comes first about equally often", () => {
  const counts = new Array(6).fill(0);
  for (let key = 0; key < 6000; key++) counts[permutation(6, [key, 1])[0]]++;
  for (const count of counts) assert(Math.abs(count - 1000) < 150, counts.join(" "));
});
