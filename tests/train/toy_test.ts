/** The whole method on a distribution in the plane that is known exactly. */

import assert from "node:assert/strict";
import { openDevice } from "../../lib/device/open.ts";
import { immConfig, pushforwardSteps, sampleTimes, scheduleTimes } from "../../lib/imm/mod.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { Generator } from "../../lib/sample/generator.ts";
import { deriveKey, hostNormal, hostUniform } from "../../lib/random/threefry.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

/** Points that are compared, and steps of training. */
const [POINTS, STEPS, BATCH] = [1000, 1500, 256];

/** [count, 2]: eight Gaussians of width 0.05 on a ring; each coordinate has a deviation of 0.5. */
function ring(seed: number, count: number): Float32Array {
  const noise = hostNormal(deriveKey(seed, "points"), [count, 2], 0);
  const modes = hostUniform(deriveKey(seed, "modes"), [count], 0);
  return Float32Array.from(noise, (value, i) => {
    const angle = Math.floor(8 * modes[i >> 1]) * Math.PI / 4;
    return 0.7 * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) + 0.05 * value;
  });
}

/** Squared maximum mean discrepancy with a Gaussian kernel, diagonals left out: 0 in the mean. */
function mmd2(a: Float32Array, b: Float32Array, width = 0.2): number {
  const mean = (a: Float32Array, b: Float32Array) => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < a.length; i += 2) {
      for (let j = 0; j < b.length; j += 2) {
        if (a === b && i === j) continue;
        const distance2 = (a[i] - b[j]) ** 2 + (a[i + 1] - b[j + 1]) ** 2;
        sum += Math.exp(-distance2 / (2 * width ** 2));
        count++;
      }
    }
    return sum / count;
  };
  return mean(a, a) + mean(b, b) - 2 * mean(a, b);
}

Deno.test("a small trained network draws eight Gaussians on a ring in one step and in two", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    const imm = immConfig({ k: 8, M: 4, a: 1, b: 4, eps: 0.006, parameterization: "euler_fm" });
    const network = createNetwork({ type: "mlp", hidden: 64, depth: 2, dropout: 0 });
    const learner = await Learner.create(device, network, {
      objective: immObjective(imm),
      optimizer: { name: "adam", lr: 3e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      batch: BATCH,
      microBatch: BATCH,
      clip: false,
    });
    learner.initialize(network.parameters.initial(0));
    const generator = await Generator.create(device, {
      network,
      objective: immObjective(imm),
      ...learner.averaged,
    }, {
      batch: POINTS,
    });
    const draw = (steps: number) =>
      generator.generate({
        seeds: Array.from({ length: POINTS }, (_, i) => i),
        steps: pushforwardSteps(imm, scheduleTimes(imm, { kind: "uniform", steps })),
      });
    const untrained = await draw(2);
    for (let step = 0; step < STEPS; step++) {
      learner.run(
        immStep(imm, {
          x: ring(step, BATCH),
          times: sampleTimes(imm, trainingKey(0, "times", step), BATCH / imm.M),
          noiseKey: trainingKey(0, "noise", step),
          dropoutKey: trainingKey(0, "dropout", step),
        }),
        { lr: 3e-3 * (1 - step / STEPS), emaDecay: Math.min(0.99, (1 + step) / (10 + step)) },
      );
      if (step % 100 === 0) await learner.finish();
    }
    const [one, two] = [await draw(1), await draw(2)];
    generator.free();
    learner.free();

    const target = ring(STEPS, POINTS);
    const distance = (points: Float32Array) => mmd2(points, target);
    const scores = {
      real: distance(ring(STEPS + 1, POINTS)),
      noise: distance(hostNormal(deriveKey(0, "noise"), [POINTS, 2], 0).map((x) => 0.5 * x)),
      untrained: distance(untrained),
      one: distance(one),
      two: distance(two),
    };
    const found = JSON.stringify(scores);
    assert(Math.abs(scores.real) < 0.01 * scores.noise, found);
    assert(scores.untrained > 0.5 * scores.noise, found);
    assert(scores.one < 0.1 * scores.noise, found);
    assert(scores.two < 0.03 * scores.noise, found);
  } finally {
    device.close();
  }
});
