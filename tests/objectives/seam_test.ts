/** What the seam must carry of objectives to come, shown with small ones of their kinds. */

import assert from "node:assert/strict";
import { createNetwork } from "../../lib/models/registry.ts";
import type { Objective, StepGraph } from "../../lib/objectives/objective.ts";
import { trainingKey, type TrainingPurpose } from "../../lib/random/keys.ts";
import {
  add,
  customGradient,
  mul,
  reshape,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "../../lib/tensor/mod.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { InterpreterDevice } from "../support/reference/device.ts";

const [BATCH, STEPS] = [4, 3];
const CONFIG = { type: "probe", interpolant: "fm", sigmaData: 0.5, T: 1, eps: 0 } as const;
const source = {
  batch: (_position: number, count: number) => ({
    images: Float32Array.from({ length: 2 * count }, (_, i) => i / 10),
    labels: new Int32Array(count),
  }),
};

/** An objective of one pass, `student`, with times of 1. */
function probe(
  build: Objective["build"],
  rest: Partial<Omit<Objective, "build">> = {},
): Objective {
  const one = (first: number, end: number) => new Float64Array(end - first).fill(1);
  return {
    config: CONFIG,
    groupSize: 1,
    passes: { student: { weights: "current", trained: true } },
    async draw({ source, position, batch }) {
      const { images } = await source.batch(position, batch);
      return {
        x: images,
        times: one(0, batch),
        values: () => ({}),
        conditioning: (_pass, first, end) => ({
          cNoiseT: one(first, end),
          cNoiseS: one(first, end),
        }),
      };
    },
    build,
    samplers: {},
    ...rest,
  };
}

/** The loss of each step of a few. */
async function losses(objective: Objective): Promise<number[]> {
  const device = new InterpreterDevice();
  const network = createNetwork({ type: "mlp", hidden: 4, depth: 1, timeChannels: 4 });
  const learner = await Learner.create(device, network, {
    objective,
    optimizer: { name: "adam", lr: 0.02, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    batch: BATCH,
    microBatch: BATCH,
    clip: false,
  });
  learner.initialize(network.parameters.initial(0));
  const found: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const key = (purpose: TrainingPurpose) => trainingKey(0, purpose, step);
    const draw = await objective.draw({
      ...{ source, position: 0, batch: BATCH, step, steps: STEPS, hasLabels: false, key },
    });
    learner.resetSums();
    learner.run({ draw, noiseKey: key("noise"), dropoutKey: key("dropout") }, {
      lr: 0.02,
      emaDecay: 0.9,
    });
    found.push((await learner.sums()).loss);
  }
  learner.free();
  assert.equal(device.live, 0);
  return found;
}

/** [b] */
function perSample(x: Tensor): Tensor {
  return reshape(sum(x, [1]), [x.shape[0]]);
}

/** The loss of samples, averaged. */
function averaged({ batch }: StepGraph, lossGroup: Tensor) {
  return { loss: mul(sum(lossGroup), 1 / batch), lossGroup, inspect: {} };
}

Deno.test("an objective can do without noise", async () => {
  const [first, , last] = await losses(probe((graph) => {
    const { x, network } = graph;
    return averaged(graph, perSample(square(sub(network(x, "student"), x))));
  }));
  assert.ok(last < first, `${first} ${last}`);
});

Deno.test("an objective can learn from noise alone, with images in inputs of its own", async () => {
  const PER_STEP = 3;
  const objective = probe((graph) => {
    const { noise, network, input } = graph;
    const images = input("positives", [PER_STEP, 2]);
    const mean = mul(sum(images, [0]), 1 / PER_STEP);
    return averaged(graph, perSample(square(sub(network(noise, "student"), mean))));
  });
  const [first, , last] = await losses({
    ...objective,
    draw: async (context) => {
      const { images } = await source.batch(0, PER_STEP);
      return { ...await objective.draw(context), values: () => ({ positives: images.slice() }) };
    },
  });
  assert.ok(last < first, `${first} ${last}`);
});

Deno.test("one network can be passed several times with the same weights, trained or not", async () => {
  const trained = { weights: "current", trained: true } as const;
  const objective = probe((graph) => {
    const { x, noise, network } = graph;
    const velocity = network(noise, "velocity");
    const jump = network(x, "jump");
    const later = stopGradient(network(add(x, 0.1), "later"));
    const q = sub(jump, later);
    // A weight that depends on the outputs, and is a constant for the gradient.
    const weight = stopGradient(perSample(square(q)));
    return averaged(graph, add(perSample(square(sub(velocity, x))), mul(weight, perSample(q))));
  }, {
    passes: {
      velocity: trained,
      jump: trained,
      later: { weights: "current", trained: false },
    },
  });
  assert.ok((await losses(objective)).every(Number.isFinite));
});

Deno.test("what is logged can be another number than what gives the gradient", async () => {
  const objective = probe((graph) => {
    const { x, network } = graph;
    const F = network(x, "student");
    const shown = perSample(mul(stopGradient(F), 0));
    return averaged(graph, customGradient(add(shown, 7), [F], () => [sub(F, x)]));
  });
  assert.deepEqual(await losses(objective), [7, 7, 7]);
});

Deno.test("what is drawn can depend on how far the run has come", async () => {
  const objective = probe((graph) => {
    const { x, network, input } = graph;
    const ratio = input("ratio", [1]);
    return averaged(graph, add(mul(perSample(network(x, "student")), 0), ratio));
  });
  const found = await losses({
    ...objective,
    draw: async (context) => ({
      ...await objective.draw(context),
      values: () => ({ ratio: Float32Array.of(context.step / context.steps) }),
    }),
  });
  assert.deepEqual(found, [0, 1 / 3, 2 / 3].map(Math.fround));
});
