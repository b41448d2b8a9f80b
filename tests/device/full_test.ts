/** Networks of the published sizes on both devices. */

import { openDevice } from "../../lib/device/open.ts";
import { hasGraphicsProcessor } from "../support/devices/devices.ts";
import { evaluateOn } from "../support/devices/evaluators.ts";
import { FULL_CASES } from "../support/golden/full_network_cases.ts";
import { needing } from "../support/needs.ts";

for (const { name, run } of FULL_CASES) {
  for (const kind of ["wasm", "webgpu"] as const) {
    Deno.test(needing("graphics processor", kind === "wasm" || hasGraphicsProcessor, {
      name: `${name} [${kind}]`,
      async fn() {
        const device = await openDevice({ device: kind });
        try {
          await run(evaluateOn(device));
        } finally {
          device.close();
        }
      },
    }));
  }
}
