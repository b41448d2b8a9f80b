/** The accuracy that wasm/kernels/src/math.rs states, measured against float64. */

import assert from "node:assert/strict";
import { compile } from "../../../lib/compile/compile.ts";
import * as t from "../../../lib/tensor/mod.ts";
import { runPlan } from "../../support/devices/run_plan.ts";
import { withDevice } from "./support.ts";

/** The distance between float32 neighbours at x. */
function ulp(x: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(x))));
  return 2 ** (exponent - 23);
}

/** Numbers whose exponents are spread evenly, of both signs, within the bounds. */
function spread(least: number, most: number): Float32Array {
  const values: number[] = [];
  for (let exponent = -40; exponent <= 127; exponent += 0.003) {
    for (const x of [2 ** exponent, -(2 ** exponent)]) if (x >= least && x <= most) values.push(x);
  }
  const width = Math.min(most, 200) - Math.max(least, -200);
  for (let i = 0; i <= 20_000; i++) values.push(Math.max(least, -200) + width * i / 20_000);
  return Float32Array.from(values);
}

interface Sweep {
  readonly make: (x: t.Tensor) => t.Tensor;
  readonly exact: (x: number) => number;
  readonly least: number;
  readonly most: number;
  readonly ulps: number;
  /** Errors of sin and cos are counted in units of the last place of this, or more. */
  readonly floor?: number;
}

const SWEEPS: Record<string, Sweep> = {
  exp: { make: t.exp, exact: Math.exp, least: -87.3, most: 88.72, ulps: 2 },
  expm1: { make: t.expm1, exact: Math.expm1, least: -100, most: 88.7, ulps: 3 },
  log: { make: t.log, exact: Math.log, least: 1e-45, most: 3.4e38, ulps: 2 },
  tanh: { make: t.tanh, exact: Math.tanh, least: -3e38, most: 3e38, ulps: 4 },
  sigmoid: {
    make: t.sigmoid,
    exact: (x) => 1 / (1 + Math.exp(-x)),
    least: -87,
    most: 3e38,
    ulps: 4,
  },
  sin: { make: t.sin, exact: Math.sin, least: -(2 ** 20), most: 2 ** 20, ulps: 2, floor: 2 ** -10 },
  cos: { make: t.cos, exact: Math.cos, least: -(2 ** 20), most: 2 ** 20, ulps: 2, floor: 2 ** -10 },
};

for (const [name, { make, exact, least, most, ulps, floor = 0 }] of Object.entries(SWEEPS)) {
  for (const simd of ["relaxed", "plain"] as const) {
    Deno.test(`${name} is off by at most ${ulps} units in the last place, ${simd} SIMD`, async () => {
      const data = spread(least, most);
      const x = t.input("x", [data.length]);
      const plan = compile({ label: name, inputs: [x], outputs: { y: make(x) }, updates: [] });
      const { y } = await withDevice(
        { threads: 1, simd },
        (device) => runPlan(device, plan, { x: data }),
      );
      let worst = 0;
      let at = 0;
      data.forEach((x, i) => {
        const expected = exact(x);
        const error = Math.abs(y[i] - expected) / ulp(Math.max(floor, Math.abs(expected)));
        if (!(error <= worst)) [worst, at] = [error, x];
      });
      assert.ok(worst <= ulps, `${worst} ulp at ${at}`);
    });
  }
}

Deno.test("functions at the ends of float32", async () => {
  const { NaN: nan, Infinity: inf } = globalThis;
  const x = t.input("x", [6]);
  const outputs = {
    exp: t.exp(x),
    expm1: t.expm1(x),
    log: t.log(x),
    tanh: t.tanh(x),
    sigmoid: t.sigmoid(x),
  };
  const plan = compile({ label: "ends", inputs: [x], outputs, updates: [] });
  const found = await withDevice(
    { threads: 1 },
    (device) => runPlan(device, plan, { x: Float32Array.of(-inf, inf, nan, 0, -1e30, 1e30) }),
  );
  const expected = {
    exp: [0, inf, nan, 1, 0, inf],
    expm1: [-1, inf, nan, 0, -1, inf],
    log: [nan, inf, nan, -inf, nan, Math.fround(Math.log(1e30))],
    tanh: [-1, 1, nan, 0, -1, 1],
    sigmoid: [0, 1, nan, 0.5, 0, 1],
  };
  for (const [name, values] of Object.entries(expected)) {
    assert.deepEqual([...found[name]], values, name);
  }
});
