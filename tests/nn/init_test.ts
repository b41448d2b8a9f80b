import assert from "node:assert/strict";
import { initialValues, type LayerInit, layerInitializer } from "../../lib/nn/init.ts";
import { assertClose } from "../support/close.ts";

const SIZE = 40_000;
const [FAN_IN, FAN_OUT] = [60, 90];

/** Mean and standard deviation. */
function statistics(data: Float32Array): [number, number] {
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  return [mean, Math.sqrt(data.reduce((a, b) => a + (b - mean) ** 2, 0) / data.length)];
}

const STANDARD_DEVIATIONS: readonly [LayerInit["mode"], number][] = [
  ["xavier_uniform", Math.sqrt(2 / (FAN_IN + FAN_OUT))],
  ["kaiming_uniform", Math.sqrt(1 / FAN_IN)],
  ["kaiming_normal", Math.sqrt(1 / FAN_IN)],
  ["normal", 1],
];

for (const [mode, std] of STANDARD_DEVIATIONS) {
  Deno.test(`${mode} gives weights of mean zero and the stated deviation, times the factor`, () => {
    const init = layerInitializer({ mode, weight: 0.3 }, "weight", FAN_IN, FAN_OUT);
    const values = initialValues(init, SIZE, 1, "w");
    const [mean, found] = statistics(values);
    assertClose([mean], [0], { abs: 4 * 0.3 * std / Math.sqrt(SIZE) });
    assertClose([found], [0.3 * std], { rel: 0.015 });
    if (mode.endsWith("uniform")) {
      const bound = 0.3 * std * Math.sqrt(3);
      assert.ok(values.every((value) => Math.abs(value) <= bound * (1 + 1e-6)));
    }
  });
}

Deno.test("a bias is zero unless its factor is given", () => {
  const init: LayerInit = { mode: "kaiming_uniform", weight: 1 };
  const none = initialValues(layerInitializer(init, "bias", FAN_IN, FAN_OUT), 50, 1, "b");
  assert.ok(none.every((value) => value === 0));
  const given = layerInitializer({ ...init, bias: 0.5 }, "bias", FAN_IN, FAN_OUT);
  assert.deepEqual(given, { kind: "uniform", bound: 0.5 * Math.sqrt(3 / FAN_IN) });
});

Deno.test("initial values depend on the seed and on the name, and on nothing else", () => {
  const init = { kind: "normal", std: 1 } as const;
  const values = initialValues(init, 8, 1, "a.weight");
  assert.deepEqual(initialValues(init, 8, 1, "a.weight"), values);
  assert.notDeepEqual(initialValues(init, 8, 2, "a.weight"), values);
  assert.notDeepEqual(initialValues(init, 8, 1, "b.weight"), values);
  assert.deepEqual(initialValues(init, 4, 1, "a.weight"), values.subarray(0, 4));
});

Deno.test("given values are copied, and their number is checked", () => {
  const values = Float32Array.of(1, 2);
  const found = initialValues({ kind: "values", values }, 2, 1, "table");
  found[0] = 9;
  assert.equal(values[0], 1);
  assert.throws(() => initialValues({ kind: "values", values }, 3, 1, "table"), /3 elements but 2/);
});
