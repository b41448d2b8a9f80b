import { LAYER_CASES } from "../support/layer_cases.ts";
import { evaluateGraph } from "../support/reference.ts";

for (const { name, run } of LAYER_CASES) {
  Deno.test(`reference, ${name}`, async () => {
    await run((outputs, data) => Promise.resolve(evaluateGraph(outputs, data)));
  });
}
