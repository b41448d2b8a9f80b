import assert from "node:assert/strict";
import { ImmError } from "../../lib/base/errors.ts";
import { deriveKey, hostNormal, hostUniform, threefry2x32 } from "../../lib/random/threefry.ts";
import {
  constant,
  dropout,
  grad,
  input,
  randomNormal,
  randomUniform,
  sum,
  type Tensor,
} from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { evaluateGraph } from "../support/reference/graph.ts";

const KEY = deriveKey(7, "test");

/** Evaluates a graph that uses the given key, for samples from `first` on. */
function draw(build: (key: Tensor) => Tensor, first = 0, key = KEY): Float64Array {
  return evaluateGraph([build(input("key", [3], "i32"))], { inputs: { key: [...key, first] } })[0];
}

Deno.test("threefry2x32 gives the known answers of Random123", () => {
  const answers = [
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
  ];
  for (const [key, counter, expected] of answers) {
    assert.deepEqual(threefry2x32(key[0], key[1], counter[0], counter[1]), expected);
  }
});

Deno.test("keys differ by seed, by purpose and by the order and kind of purposes", () => {
  const keys = [
    deriveKey(0),
    deriveKey(1),
    deriveKey(2 ** 32),
    deriveKey(1, "noise"),
    deriveKey(1, "times"),
    deriveKey(1, "noise", 0),
    deriveKey(1, "noise", 1),
    deriveKey(1, 1, "noise"),
    deriveKey(1, "1"),
    deriveKey(1, 1),
    deriveKey(1, ""),
    deriveKey(1, 0),
  ];
  assert.equal(new Set(keys.map(String)).size, keys.length);
  assert.deepEqual(deriveKey(5n, "noise"), deriveKey(5, "noise"));
  assert.deepEqual(deriveKey(-1n), [0xffffffff, 0xffffffff]);
});

Deno.test("a seed that is not a whole number is refused", () => {
  assert.throws(() => deriveKey(0.5), ImmError);
  assert.throws(() => deriveKey(-1), ImmError);
  assert.throws(() => deriveKey(1, 2 ** 60), ImmError);
});

Deno.test("uniform numbers fill [0, 1) evenly", () => {
  const n = 100_000;
  const values = hostUniform(KEY, [100, n / 100], 3);
  const mean = values.reduce((total, u) => total + u, 0) / n;
  const square = values.reduce((total, u) => total + u * u, 0) / n;
  assert(values.every((u) => u >= 0 && u < 1));
  assertClose([mean, square], [1 / 2, 1 / 3], { abs: 4 / Math.sqrt(n) * 0.3 });
  const bins = new Array<number>(10).fill(0);
  for (const u of values) bins[Math.floor(u * 10)]++;
  assertClose(bins, bins.map(() => n / 10), { abs: 4 * Math.sqrt(n * 0.09) });
});

Deno.test("normal numbers have the moments of the standard normal distribution", () => {
  const n = 200_000;
  const values = hostNormal(KEY, [200, n / 200], 0);
  const moment = (p: number) => values.reduce((total, z) => total + z ** p, 0) / n;
  // Standard errors of the first four moments: sqrt(1, 2, 15, 96) / sqrt(n); four of them.
  assertClose([moment(1)], [0], { abs: 4 * Math.sqrt(1 / n) });
  assertClose([moment(2)], [1], { abs: 4 * Math.sqrt(2 / n) });
  assertClose([moment(3)], [0], { abs: 4 * Math.sqrt(15 / n) });
  assertClose([moment(4)], [3], { abs: 4 * Math.sqrt(96 / n) });
  assert(values.every((z) => Math.abs(z) < 5.78));
});

Deno.test("neighbouring numbers, samples and streams are not correlated", () => {
  const shape = [100, 500];
  const a = hostNormal(KEY, shape, 0);
  const b = hostNormal(KEY, shape, 1);
  const correlation = (x: Float32Array, y: Float32Array) =>
    x.reduce((total, value, i) => total + value * (y[i] ?? 0), 0) / x.length;
  const limit = 4 / Math.sqrt(a.length);
  assertClose([correlation(a, b)], [0], { abs: limit });
  assertClose([correlation(a.subarray(1), a)], [0], { abs: limit });
  assertClose([correlation(a.subarray(500), a)], [0], { abs: limit });
});

Deno.test("the host's numbers are those of the operation", () => {
  const shape = [3, 2, 5];
  const uniform = draw((key) => randomUniform(key, shape, 4), 10);
  const normal = draw((key) => randomNormal(key, shape, 4), 10);
  assert.deepEqual([...uniform], [...hostUniform(KEY, shape, 4, 10)]);
  assertClose(hostNormal(KEY, shape, 4, 10), normal, { abs: 1e-6 });
});

Deno.test("a sample does not depend on the batch it is drawn in", () => {
  const whole = draw((key) => randomNormal(key, [6, 4], 1));
  const shard = draw((key) => randomNormal(key, [2, 4], 1), 3);
  assert.deepEqual(shard, whole.slice(12, 20));
});

Deno.test("dropout keeps 1 - p of the elements, scaled, and its gradient has the same mask", () => {
  const n = 20_000;
  const x = input("x", [20, n / 20]);
  const key = input("key", [3], "i32");
  const y = dropout(x, 0.3, key, 2);
  const inputs = { x: new Float64Array(n).fill(7), key: [...KEY, 0] };
  const [value, slope] = evaluateGraph([y, ...grad(sum(y), [x])], { inputs });
  const kept = value.filter((v) => v !== 0);
  assertClose([kept.length / n], [0.7], { abs: 4 * Math.sqrt(0.21 / n) });
  assertClose(kept, kept.map(() => 10), { rel: 1e-12 });
  assertClose(slope, value.map((v) => v / 7), { rel: 1e-12 });
  assert.equal(dropout(x, 0, key, 2), x);
});

Deno.test("a random tensor needs a key of three integers and an axis of samples", () => {
  const key = input("key", [3], "i32");
  assert.throws(() => randomNormal(input("key", [2], "i32"), [4], 0), /random expects key/);
  assert.throws(() => randomNormal(input("key", [3]), [4], 0), /of type i32/);
  assert.throws(() => randomNormal(key, [], 0), /first axis counts samples/);
  assert.throws(() => randomNormal(key, [4], -1), /stream/);
  assert.throws(() => dropout(constant(1), 1, key, 0), /probability in \[0, 1\)/);
});
