/** The operators and layers of PyTorch, and the objective, compiled, on devices. */

import { compile } from "../../lib/compile/compile.ts";
import { assertClose } from "../support/close.ts";
import { type DeviceCase, sharedDeviceTests } from "../support/devices/devices.ts";
import { evaluateOn } from "../support/devices/evaluators.ts";
import { immCases } from "../support/golden/objective_cases.ts";
import { LAYER_CASES } from "../support/golden/layer_cases.ts";
import { opCases } from "../support/golden/operator_cases.ts";
import { runPlan } from "../support/devices/run_plan.ts";

const operators = opCases.map(({ name, build }): DeviceCase => ({
  name: `${name} agrees with PyTorch`,
  async run(device) {
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
  },
}));

const objectives = immCases.map(({ name, build }): DeviceCase => ({
  name: `${name}: the objective and its gradients agree with the official code`,
  async run(device) {
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
  },
}));

const layers = LAYER_CASES.map(({ name, run }): DeviceCase => ({
  name,
  run: (device) => run(evaluateOn(device)),
}));

sharedDeviceTests([...operators, ...objectives, ...layers]);
