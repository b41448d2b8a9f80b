import assert from "node:assert/strict";
import { assertClose } from "../support/close.ts";
import { goldenJson, withGolden } from "../support/golden/fixtures.ts";
import { isLayer } from "../support/golden/layer_cases.ts";
import { isOperator, opCases } from "../support/golden/operator_cases.ts";
import { evaluateGraph } from "../support/reference/graph.ts";

for (const { name, build } of opCases) {
  Deno.test(`${name} has the values and gradients of PyTorch`, () => {
    const { inputs, outputs, expected, tolerance } = build();
    const values = evaluateGraph(Object.values(outputs), {
      inputs: Object.fromEntries(inputs.map(({ tensor, data }) => {
        assert(tensor.node.op.kind === "input");
        return [tensor.node.op.name, data];
      })),
    });
    Object.keys(outputs).forEach((key, i) => {
      assertClose(values[i], expected[key], tolerance[key], `${name}.${key}`);
    });
  });
}

withGolden(["ops.json"], () => {
  Deno.test("every operation of the fixture is tested", () => {
    const { cases } = goldenJson<{ cases: Record<string, { op: string }> }>("ops");
    const operations = new Set(Object.values(cases).map(({ op }) => op));
    // Those of tests/nn/embedding_test.ts are computed on the host.
    const others = [...operations].filter((op) => !isOperator(op) && !isLayer(op))
      .filter((op) => !/PositionalEmbedding|timestep_embedding|FourierEmbedding|sincos/.test(op));
    assert.deepEqual(others, []);
  });
});
