/**
 * Layers and networks against the official ones, without a device. Layers are evaluated as graphs
 * and compiled, so that a failure says which of the two is wrong; whole networks only compiled.
 */

import { evaluatePlan, evaluateReference } from "../support/devices/evaluators.ts";
import { LAYER_CASES } from "../support/golden/layer_cases.ts";
import { NET_CASES } from "../support/golden/network_cases.ts";

for (const { name, run } of LAYER_CASES) {
  Deno.test(`graph: ${name}`, () => run(evaluateReference));
}

for (const { name, run } of [...LAYER_CASES, ...NET_CASES]) {
  Deno.test(`plan: ${name}`, () => run(evaluatePlan));
}
