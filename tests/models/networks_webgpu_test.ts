/** Layers and networks against the official ones, on the GPU where there is one. */

import { DeviceError } from "../../lib/base/errors.ts";
import { WebGpuDevice } from "../../lib/device/webgpu/device.ts";
import { evaluateOn } from "../support/evaluators.ts";
import { FULL_CASES } from "../support/full_cases.ts";
import { LAYER_CASES } from "../support/layer_cases.ts";
import { NET_CASES } from "../support/net_cases.ts";

const device = await WebGpuDevice.open().catch((error) => {
  if (error instanceof DeviceError) return null;
  throw error;
});

for (const { name, run } of [...LAYER_CASES, ...NET_CASES]) {
  Deno.test({
    name: `webgpu: ${name}`,
    ignore: device === null,
    fn: () => run(evaluateOn(device!)),
  });
}

// Full-size networks take minutes on a processor that acts as a GPU; IMM_TEST_FULL=1 runs them there.
const full = device !== null &&
  (!device.summary.software || Deno.env.get("IMM_TEST_FULL") === "1");

for (const { name, run } of FULL_CASES) {
  Deno.test({ name: `webgpu: ${name}`, ignore: !full, fn: () => run(evaluateOn(device!)) });
}

Deno.test({
  name: "webgpu: nothing went wrong on the device that no call has reported",
  ignore: device === null,
  fn: async () => {
    await device!.finish();
    device!.close();
  },
});
