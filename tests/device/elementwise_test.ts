/** Element-wise kernels: shapes, strides, types, functions, random numbers. */

import assert from "node:assert/strict";
import { contiguousStrides } from "../../lib/base/arrays.ts";
import type { Instr } from "../../lib/compile/kernels/kernel.ts";
import { Arena } from "../../lib/tensor/state.ts";
import type { MapFn } from "../../lib/tensor/tensor.ts";
import { hostNormal, hostUniform } from "../../lib/random/threefry.ts";
import { assertClose } from "../support/close.ts";
import { hashedValues } from "../support/golden/hash.ts";
import { expression, PlanBuilder, strided } from "../support/devices/plan_builder.ts";
import { FUNCTIONS } from "../support/reference/graph.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { assertLikeInterpreter, runPlan } from "../support/devices/run_plan.ts";

const load = (operand: number): Instr => ({ op: "load", operand });
const map = (fn: MapFn, ...args: number[]): Instr => ({ op: "map", fn, args });

for (const size of [1, 3, 4, 63, 256, 1000, 1001, 65_536 * 4]) {
  deviceTest(`two arrays of ${size} elements are added`, async (device) => {
    const p = new PlanBuilder();
    const [a, b, y] = [p.input("a", [size]), p.input("b", [size]), p.output("y", [size])];
    p.kernel({
      kind: "elementwise",
      body: expression([size], [a, b], [load(0), load(1), map("add", 0, 1)]),
      stores: [{ value: 2, target: y }],
      label: "add",
    });
    await assertLikeInterpreter(device, p.build());
  });
}

deviceTest("operands are broadcast, transposed and offset", async (device) => {
  for (const [rows, columns] of [[5, 7], [6, 8], [3, 64]]) {
    const p = new PlanBuilder();
    const shape = [rows, columns];
    const a = p.input("a", shape);
    const row = p.input("row", [columns]);
    const column = p.input("column", [rows]);
    const transposed = p.input("transposed", [columns, rows]);
    const offset = p.input("offset", [rows * columns + 100]);
    const y = p.output("y", shape);
    p.kernel({
      kind: "elementwise",
      body: expression(shape, [
        a,
        strided(row, [0, 1]),
        strided(column, [1, 0]),
        strided(transposed, [1, rows]),
        strided(offset, contiguousStrides(shape), 67),
        strided(offset, contiguousStrides(shape), 64),
      ], [
        ...[0, 1, 2, 3, 4, 5].map(load),
        map("add", 0, 1),
        map("mul", 6, 2),
        map("sub", 7, 3),
        map("add", 8, 4),
        map("mul", 9, 5),
      ]),
      stores: [{ value: 10, target: y }],
      label: "mixture",
    });
    await assertLikeInterpreter(device, p.build());
  }
});

deviceTest(
  "one kernel stores several values, one of them inside a larger array",
  async (device) => {
    const p = new PlanBuilder();
    const x = p.input("x", [6, 8]);
    const double = p.output("double", [6, 8]);
    const inside = p.output("inside", [6, 20]);
    p.kernel({
      kind: "elementwise",
      body: expression([6, 20], [], [{ op: "const", value: -1, dtype: "f32" }]),
      stores: [{ value: 0, target: inside }],
      label: "fill",
    }).kernel({
      kind: "elementwise",
      body: expression([6, 8], [x], [load(0), map("add", 0, 0), map("mul", 1, 0)]),
      stores: [{ value: 1, target: double }, { value: 2, target: strided(inside, [20, 1], 9) }],
      label: "two stores",
    });
    await assertLikeInterpreter(device, p.build());
  },
);

deviceTest("arenas are updated in place, with other entries of the same arena", async (device) => {
  const weights = new Arena("weights");
  for (const [name, size] of [["a", 70], ["b", 128], ["c", 5]] as const) weights.add(name, [size]);
  const moments = weights.like("moments");
  const p = new PlanBuilder();
  const rate = p.input("rate", [1]);
  const [w, m] = [p.arena(weights), p.arena(moments)];
  const whole = [weights.length];
  p.kernel({
    kind: "elementwise",
    body: expression(whole, [w, m, strided(rate, [0])], [
      load(0),
      load(1),
      load(2),
      map("mul", 1, 2),
      map("sub", 0, 3),
      map("mul", 1, 1),
    ]),
    stores: [{ value: 4, target: w }, { value: 5, target: m }],
    label: "step",
  });
  // b[0..70) = a: reads and writes different ranges of one buffer.
  const [a, b] = ["a", "b"].map((name) => weights.entries.get(name)!);
  p.kernel({
    kind: "elementwise",
    body: expression([70], [strided(w, [1], a.offset)], [load(0), map("neg", 0)]),
    stores: [{ value: 1, target: strided(w, [1], b.offset) }],
    label: "copy",
  });
  const state = new Map([
    [weights, hashedValues("w", weights.length, 1, 0)],
    [moments, hashedValues("m", weights.length, 1, 0)],
  ]);
  await assertLikeInterpreter(device, p.build(), {}, { state });
});

deviceTest("every function agrees with float64 over its range", async (device) => {
  const xs = [
    ...[-100, -88.5, -30, -9.5, -2, -1, -0.6, -0.4, -1e-3, -1e-6, -1e-10, 0],
    ...[1e-10, 1e-6, 1e-3, 0.3, 0.5, 0.9999, 1, 1.0001, 2, 3.5, 10, 30, 88, 100],
  ];
  const positive = xs.filter((x) => x > 0);
  const unary: Partial<Record<MapFn, { over?: readonly number[]; rel: number }>> = {
    neg: { rel: 0 },
    abs: { rel: 0 },
    floor: { rel: 0 },
    exp: { over: xs.filter((x) => Math.abs(x) < 87), rel: 1e-5 },
    expm1: { over: xs.filter((x) => x < 87), rel: 1e-5 },
    log: { over: positive, rel: 3e-7 },
    sqrt: { over: [0, ...positive], rel: 3e-7 },
    rsqrt: { over: positive, rel: 1e-6 },
    tanh: { rel: 1e-6 },
    sigmoid: { over: xs.filter((x) => x > -87), rel: 1e-5 },
  };
  for (const [name, { over = xs, rel }] of Object.entries(unary)) {
    const fn = name as MapFn;
    for (const size of [over.length, over.length * 4]) { // scalar and vector code
      const data = Float32Array.from({ length: size }, (_, i) => over[i % over.length]);
      const p = new PlanBuilder();
      const [x, y] = [p.input("x", [size]), p.output("y", [size])];
      p.kernel({
        kind: "elementwise",
        body: expression([size], [x], [load(0), map(fn, 0)]),
        stores: [{ value: 1, target: y }],
        label: fn,
      });
      const found = (await runPlan(device, p.build(), { x: data })).y;
      data.forEach((x, i) => {
        const expected = FUNCTIONS[fn](x);
        const error = Math.abs(found[i] - expected);
        assert.ok(
          error <= rel * Math.abs(expected),
          `${fn}(${x}) is ${found[i]}, expected ${expected}`,
        );
      });
    }
  }
});

deviceTest("saturating functions stay finite, and sine and cosine absolute", async (device) => {
  const data = Float32Array.of(-3e38, -1e4, -500, -100.25, 100.25, 500, 1e4, 3e38);
  for (const [fn, over] of [["tanh", 8], ["sigmoid", 8], ["sin", 4], ["cos", 4]] as const) {
    const p = new PlanBuilder();
    const [x, y] = [p.input("x", [over]), p.output("y", [over])];
    p.kernel({
      kind: "elementwise",
      body: expression([over], [x], [load(0), map(fn, 0)]),
      stores: [{ value: 1, target: y }],
      label: fn,
    });
    const start = (data.length - over) / 2;
    const values = data.slice(start, start + over);
    const found = (await runPlan(device, p.build(), { x: values })).y;
    assertClose(found, Array.from(values, (x) => FUNCTIONS[fn](x)), { abs: 1e-6 }, fn);
  }
});

deviceTest("comparisons, selection and integers", async (device) => {
  for (const size of [37, 40]) {
    const p = new PlanBuilder();
    const a = p.input("a", [size]);
    const b = p.input("b", [size]);
    const n = p.input("n", [size], "i32");
    const [lt, le, eq] = ["lt", "le", "eq"].map((name) => p.output(name, [size]));
    const chosen = p.output("chosen", [size]);
    const integers = p.output("integers", [size], "i32");
    const floats = p.output("floats", [size]);
    const least = p.output("least", [size], "i32");
    p.kernel({
      kind: "elementwise",
      body: expression(
        [size],
        [a, b, n],
        [
          load(0),
          load(1),
          load(2),
          map("lt", 0, 1),
          map("le", 0, 1),
          { op: "const", value: 2, dtype: "i32" },
          map("eq", 2, 5),
        ],
      ),
      stores: [{ value: 3, target: lt }, { value: 4, target: le }, { value: 6, target: eq }],
      label: "comparisons",
    }).kernel({
      kind: "elementwise",
      body: expression([size], [a, b, n], [
        load(0),
        load(1),
        load(2),
        map("lt", 0, 1),
        map("where", 3, 0, 1),
        { op: "const", value: 10.5, dtype: "f32" },
        map("mul", 0, 5),
        map("toI32", 6),
        map("add", 7, 2),
        map("toF32", 2),
        map("min", 2, 7),
      ]),
      stores: [
        { value: 4, target: chosen },
        { value: 8, target: integers },
        { value: 9, target: floats },
        { value: 10, target: least },
      ],
      label: "selection",
    });
    const n32 = Int32Array.from({ length: size }, (_, i) => i % 5 - 2);
    const b32 = hashedValues("b", size, 1, 0);
    b32[7] = hashedValues("a", size, 1, 0)[7];
    await assertLikeInterpreter(device, p.build(), { n: n32, b: b32 });
  }
});

deviceTest("a buffer that is read as floats and written as integers", async (device) => {
  const p = new PlanBuilder();
  const x = p.input("x", [64]);
  const slot = p.slot(128);
  const y = p.output("y", [64], "i32");
  const half = strided(slot, [1], 64);
  p.kernel({
    kind: "elementwise",
    body: expression([64], [x], [load(0)]),
    stores: [{ value: 0, target: slot }],
    label: "floats",
  }).kernel({
    kind: "elementwise",
    body: expression([64], [slot], [
      load(0),
      { op: "const", value: 100, dtype: "f32" },
      map("mul", 0, 1),
      map("toI32", 2),
    ]),
    stores: [{ value: 3, target: { ...half, dtype: "i32" } }],
    label: "integers",
  }).kernel({
    kind: "elementwise",
    body: expression([64], [{ ...half, dtype: "i32" }], [load(0)]),
    stores: [{ value: 0, target: y }],
    label: "out",
  });
  await assertLikeInterpreter(device, p.build());
});

deviceTest("constants at the edges of float32", async (device) => {
  const values = [0, -0, 1e-8, -3.5, 3.4028234663852886e38, 1e-38, 16777217, 1 / 3, -Infinity];
  const p = new PlanBuilder();
  const y = p.output("y", [values.length, 1]);
  values.forEach((value, i) =>
    p.kernel({
      kind: "elementwise",
      body: expression([1], [], [{ op: "const", value, dtype: "f32" }]),
      stores: [{ value: 0, target: strided(y, [1], i) }],
      label: "constant",
    })
  );
  const found = (await runPlan(device, p.build(), {})).y;
  assert.deepEqual([...found], values.map(Math.fround));
});

deviceTest("random numbers are those of the host", async (device) => {
  for (const [samples, within] of [[3, 5], [4, 24]]) {
    const shape = [samples, within];
    const p = new PlanBuilder();
    const key = p.input("key", [3], "i32");
    const [uniform, normal] = [p.output("uniform", shape), p.output("normal", shape)];
    const random = (distribution: "uniform" | "normal", stream: number): Instr => ({
      op: "random",
      distribution,
      stream,
      key: 0,
      within: [0, 1],
      sample: [1, 0],
    });
    p.kernel({
      kind: "elementwise",
      body: expression(shape, [strided(key, [0, 0])], [random("uniform", 7), random("normal", 3)]),
      stores: [{ value: 0, target: uniform }, { value: 1, target: normal }],
      label: "random",
    });
    const [k0, k1, first] = [0x12345678, -559038737, 40];
    const found = await runPlan(device, p.build(), { key: Int32Array.of(k0, k1, first) });
    assert.deepEqual(found.uniform, hostUniform([k0 >>> 0, k1 >>> 0], shape, 7, first));
    const expected = hostNormal([k0 >>> 0, k1 >>> 0], shape, 3, first);
    assertClose(found.normal, expected, { abs: 1e-6 }, "normal");
  }
});
