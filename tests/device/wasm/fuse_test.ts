/** Functions that are computed in one pass have the bits of those that they are made of. */

import assert from "node:assert/strict";
import { compile } from "../../../lib/compile/compile.ts";
import { fuse } from "../../../lib/device/wasm/fuse.ts";
import * as t from "../../../lib/tensor/mod.ts";
import { runPlan } from "../../support/devices/run_plan.ts";
import { withDevice } from "./support.ts";

const SIZE = 1003;
const NAMES = ["a", "b", "c"];

/** For each function: its value, and the steps on the way there. */
const FUNCTIONS: Record<string, (a: t.Tensor, b: t.Tensor, c: t.Tensor) => t.Tensor[]> = {
  mulAdd: (a, b, c) => {
    const product = t.mul(a, b);
    return [t.add(product, c), product];
  },
  mulSubFrom: (a, b, c) => {
    const product = t.mul(a, b);
    return [t.sub(c, product), product];
  },
  subMul: (a, b, c) => {
    const difference = t.sub(a, b);
    return [t.mul(difference, c), difference];
  },
  silu: (a) => {
    const gate = t.sigmoid(a);
    return [t.mul(a, gate), gate];
  },
  siluGrad: (a) => {
    const gate = t.sigmoid(a);
    const rest = t.mul(a, t.sub(1, gate));
    const sum = t.add(rest, 1);
    return [t.mul(gate, sum), sum, rest, gate];
  },
};

for (const [name, make] of Object.entries(FUNCTIONS)) {
  for (const simd of ["relaxed", "plain"] as const) {
    Deno.test(`${name} has the bits of its steps, ${simd} SIMD`, async () => {
      const all = NAMES.map((input) => t.input(input, [SIZE]));
      const [y, ...steps] = make(all[0], all[1], all[2]);
      const inputs = all.slice(0, make.length);
      const plan = (outputs: Record<string, t.Tensor>) =>
        compile({ label: name, inputs, outputs, updates: [] });
      const [fused, apart] = [
        plan({ y }),
        plan({ y, ...Object.fromEntries(steps.map((step, i) => [`step${i}`, step])) }),
      ];
      const names = [fused, apart].map(({ kernels: [kernel] }) => {
        assert.equal(kernel.kind, "elementwise");
        return fuse(kernel.body, kernel.stores.map((store) => store.value))
          .map((instr) => instr?.op === "map" ? instr.fn : null);
      });
      assert.deepEqual(names.map((list) => list.includes(name as never)), [true, false]);
      const data = Object.fromEntries(inputs.map((_, i) => [
        NAMES[i],
        Float32Array.from({ length: SIZE }, (_, n) => 20 * Math.sin(n * (i + 1.37) + i)),
      ]));
      await withDevice({ threads: 1, simd }, async (device) => {
        const [one, other] = [
          await runPlan(device, fused, data),
          await runPlan(device, apart, data),
        ];
        assert.deepEqual(one.y, other.y);
      });
    });
  }
}
