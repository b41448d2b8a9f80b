import assert from "node:assert/strict";
import { assertClose } from "../support/close.ts";
import { opCases, otherCases } from "../support/golden/operator_cases.ts";
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

Deno.test("the fixture's other cases are network layers and embeddings of times", () => {
  const layers = /^(block_|dit_block|dit_final|positional_|dit_timestep_|fourier_|pos_embed_)/;
  assert.deepEqual(otherCases.filter((name) => !layers.test(name)), []);
});
