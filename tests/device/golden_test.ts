/** The operators and layers of PyTorch, whole networks and the objective, compiled and on WebGPU. */

import { compile } from "../../lib/compile/compile.ts";
import { assertClose } from "../support/close.ts";
import { evaluateOn } from "../support/evaluators.ts";
import { immCases } from "../support/imm_cases.ts";
import { LAYER_CASES } from "../support/layer_cases.ts";
import { NET_CASES } from "../support/net_cases.ts";
import { opCases } from "../support/op_cases.ts";
import { deviceTest } from "../support/devices.ts";
import { runPlan } from "../support/run_plan.ts";

deviceTest("operators agree with PyTorch, forward and backward", async (device) => {
  for (const { name, build } of opCases) {
    const { inputs, outputs, expected, tolerance } = build();
    const plan = compile({
      label: name,
      inputs: inputs.map(({ tensor }) => tensor),
      outputs,
      updates: [],
    });
    const names = [...plan.inputs.keys()];
    const data = Object.fromEntries(inputs.map(({ data }, i) => [names[i], data]));
    const found = await runPlan(device, plan, data);
    for (const output of Object.keys(outputs)) {
      assertClose(found[output], expected[output], tolerance[output], `${name} ${output}`);
    }
  }
});

deviceTest("the objective and its gradients agree with the official code", async (device) => {
  for (const { name, build } of immCases) {
    const { inputs, outputs, check } = build();
    const plan = compile({
      label: name,
      inputs: inputs.map(({ tensor }) => tensor),
      outputs,
      updates: [],
    });
    const data = Object.fromEntries(
      inputs.map(({ name, data }) => [name, Float32Array.from(data)]),
    );
    check(await runPlan(device, plan, data), "float32");
  }
});

deviceTest("layers agree with the official networks", async (device) => {
  for (const { run } of LAYER_CASES) await run(evaluateOn(device));
});

// One device for each family, which shares the code of its layers.
for (const family of new Set(NET_CASES.map(({ name }) => name.split(":")[0]))) {
  deviceTest(`${family} agrees with the official network`, async (device) => {
    for (const { name, run } of NET_CASES) {
      if (name.startsWith(`${family}:`)) await run(evaluateOn(device));
    }
  });
}
