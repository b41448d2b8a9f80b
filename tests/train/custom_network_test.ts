/** A network that no registry knows stays itself in every pass of a step. */

import assert from "node:assert/strict";
import { immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import {
  type Conditioning,
  type ConditioningSpec,
  Network,
  type RebuildChanges,
} from "../../lib/models/network.ts";
import { parseNetworkConfig } from "../../lib/models/registry.ts";
import { trainingKey } from "../../lib/random/keys.ts";
import { add, mul, type Tensor } from "../../lib/tensor/mod.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { passNetworks } from "../../lib/train/step/programs.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { InterpreterDevice } from "../support/reference/device.ts";

const BATCH = 8;

/** F = the same point whatever the input; its settings are those of another network. */
class Constant extends Network {
  readonly config = parseNetworkConfig({ type: "mlp" });
  readonly sampleShape = [2];
  readonly conditioning: ConditioningSpec = {
    timeChannels: 2,
    secondTime: false,
    labels: null,
    augmentDim: 0,
  };
  readonly #point = this.parameters.parameter("model.point", [2], { kind: "constant", value: 0 });

  override rebuild(_changes?: RebuildChanges): Constant {
    return new Constant();
  }

  forward(x: Tensor, _conditioning: Conditioning): Tensor {
    return add(mul(x, 0), this.#point);
  }

  protected override embedTimes(cNoise: ArrayLike<number>): Float32Array {
    return new Float32Array(2 * cNoise.length);
  }
}

const IMM = immConfig({ target: "ema", M: 4 });

for (const precision of ["float32", "float16"] as const) {
  Deno.test(`a network outside the registry stays itself with target ema in ${precision}`, async () => {
    const network = new Constant();
    const objective = immObjective(IMM);
    for (const [pass, other] of passNetworks(network, objective, precision)) {
      assert.ok(other instanceof Constant, pass);
    }
    const device = new InterpreterDevice();
    const learner = await Learner.create(device, network, {
      objective,
      optimizer: { name: "adam", lr: 0.5, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      batch: BATCH,
      microBatch: BATCH,
      clip: false,
      inspect: true,
      precision,
    });
    learner.initialize(new Map([["model.point", { shape: [2], data: Float32Array.of(1, -2) }]]));
    for (let step = 0; step < 2; step++) {
      const before = await learner.save();
      const draw = {
        x: new Float32Array(BATCH * 2).fill(0.5),
        times: sampleTimes(IMM, trainingKey(0, "times", step), BATCH / IMM.M),
        noiseKey: trainingKey(0, "noise", step),
        dropoutKey: trainingKey(0, "dropout", step),
      };
      learner.run(immStep(IMM, draw), { lr: 0.5, emaDecay: 0.75 });
      const outputs = await learner.inspect(["studentOutput", "targetOutput"]);
      const { parameters, ema } = before.parts;
      const rows = (point: ArrayLike<number>) =>
        Array.from({ length: BATCH * 2 }, (_, i) => point[i % 2]);
      const near = (found: Float32Array, expected: number[], bound: number) =>
        found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= bound));
      const bound = precision === "float16" ? 2 ** -9 : 0;
      near(outputs.studentOutput, rows(parameters.get("model.point")!.data), bound);
      near(outputs.targetOutput, rows(ema.get("model.point")!.data), 0);
    }
    learner.free();
    assert.equal(device.live, 0);
  });
}
