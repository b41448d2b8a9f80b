/**
 * Networks of the published sizes on the wasm device; on WebGPU they run with
 * tests/models/networks_webgpu_test.ts.
 */

import { WasmDevice } from "../../lib/device/wasm/device.ts";
import { evaluateOn } from "../support/evaluators.ts";
import { FULL_CASES } from "../support/full_cases.ts";

for (const { name, run } of FULL_CASES) {
  Deno.test(`wasm: ${name}`, async () => {
    const device = await WasmDevice.open();
    try {
      await run(evaluateOn(device));
    } finally {
      device.close();
    }
  });
}
