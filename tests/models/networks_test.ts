import { NET_CASES } from "../support/net_cases.ts";
import { evaluateGraph } from "../support/reference.ts";

for (const { name, run } of NET_CASES) {
  Deno.test(`reference, ${name}`, async () => {
    await run((outputs, data) => Promise.resolve(evaluateGraph(outputs, data)));
  });
}
