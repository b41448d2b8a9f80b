/** Blocks that are computed again in the backward pass: the same step in less memory. */

import assert from "node:assert/strict";
import { compile } from "../../lib/compile/compile.ts";
import { planFlops } from "../../lib/compile/flops.ts";
import { summarize } from "../../lib/compile/print.ts";
import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../lib/models/registry.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { add, grad, input, matmul, mul, rematerialize, silu, sum } from "../../lib/tensor/mod.ts";
import { sizeOf } from "../../lib/tensor/tensor.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { gradientProgram, passNetworks, trainingArenas } from "../../lib/train/step/programs.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { evaluateGraph } from "../support/reference/graph.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

const IMM = immConfig({ M: 4 });

const SAME_STEP = "a step that computes blocks again has the same gradients";

/** A small one of every kind, with dropout where there is any. */
const NETWORKS: Readonly<Record<string, NetworkConfig>> = {
  mlp: parseNetworkConfig({ type: "mlp", hidden: 8, depth: 3, dropout: 0.2 }),
  song_unet: parseNetworkConfig({
    type: "song_unet",
    imgResolution: 8,
    imgChannels: 1,
    modelChannels: 8,
    channelMult: [1, 2],
    numBlocks: 2,
    attnResolutions: [4],
    dropout: 0.2,
  }),
  dhariwal_unet: parseNetworkConfig({
    type: "dhariwal_unet",
    imgResolution: 8,
    imgChannels: 1,
    modelChannels: 64,
    channelMult: [1],
    numBlocks: 1,
    attnResolutions: [],
    dropout: 0.2,
  }),
  dit: parseNetworkConfig({
    type: "dit",
    imgResolution: 8,
    imgChannels: 2,
    labelDim: 0,
    hiddenSize: 16,
    numHeads: 2,
    depth: 3,
    timeChannels: 16,
  }),
};

Deno.test("gradients of what is computed again are those of what is kept, through every way in", () => {
  const [x, w, v] = [input("x", [3, 4]), input("w", [4, 4]), input("v", [4, 4])];
  const inputs = {
    x: hostNormal([1, 1], [3, 4], 0),
    w: hostNormal([1, 2], [4, 4], 0),
    v: hostNormal([1, 3], [4, 4], 0),
  };
  const build = (block: (f: () => typeof x) => typeof x) => {
    // The second block reads w, the output of the first, and what the first was made from.
    const outer = silu(x);
    const first = block(() => silu(matmul(outer, w)));
    const second = block(() => add(matmul(silu(matmul(first, w)), v), mul(outer, first)));
    const loss = sum(mul(second, second));
    return [second, ...grad(loss, [x, w, v])];
  };
  const [kept, again] = [build((f) => f()), build(rematerialize)].map((tensors) =>
    evaluateGraph(tensors, { inputs })
  );
  kept.forEach((expected, i) => {
    assert(expected.some((value) => value !== 0));
    assertClose(again[i], expected, { rel: 1e-12 }, `tensor ${i}`);
  });
});

for (const [name, network] of Object.entries(NETWORKS)) {
  const test = (device: Device) => assertSameStep(device, network);
  // One network is enough for the slow device: plans are the same for both.
  if (name === "mlp") deviceTest(`${name}: ${SAME_STEP}`, test);
  else {
    Deno.test(`${name}: ${SAME_STEP} [wasm]`, async () => {
      const device = await openDevice({ device: "wasm", threads: 1 });
      try {
        await test(device);
      } finally {
        device.close();
      }
    });
  }
}

async function assertSameStep(device: Device, network: NetworkConfig): Promise<void> {
  const batch = 8;
  const step = async (recompute: boolean, microBatch: number) => {
    const built = createNetwork(network);
    const learner = await Learner.create(device, built, {
      objective: immObjective(IMM),
      optimizer: { name: "adam", lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      batch,
      microBatch,
      clip: false,
      recompute,
    });
    learner.initialize(built.parameters.initial(1));
    learner.run(
      immStep(IMM, {
        x: hostNormal([5, 6], [batch, sizeOf(built.sampleShape)], 0),
        times: sampleTimes(IMM, trainingKey(0, "times", 0), batch / IMM.M),
        noiseKey: trainingKey(0, "noise", 0),
        dropoutKey: trainingKey(0, "dropout", 0),
      }),
      { lr: 1e-3, emaDecay: 0.9 },
    );
    const found = { gradients: await learner.readGradients(), sums: await learner.sums() };
    learner.free();
    return found;
  };
  for (const microBatch of [batch, batch / 2]) {
    const [kept, again] = [await step(false, microBatch), await step(true, microBatch)];
    // The forward pass is the same kernels; in the backward pass sums may be fused otherwise.
    assert.equal(again.sums.loss, kept.sums.loss);
    assertClose([again.sums.gradientNorm], [kept.sums.gradientNorm], { rel: 1e-6 }, "norm");
    for (const [parameter, { data }] of kept.gradients) {
      assertClose(
        again.gradients.get(parameter)!.data,
        data,
        { rel: 2e-6, abs: 1e-10 },
        parameter,
      );
    }
  }
}

Deno.test("computing blocks again takes less than half of the memory and no more than one forward pass", () => {
  const network = parseNetworkConfig({
    type: "song_unet",
    imgResolution: 16,
    imgChannels: 3,
    modelChannels: 32,
    numBlocks: 3,
    channelMult: [2, 2],
    attnResolutions: [],
  });
  const plan = (recompute: boolean) => {
    const built = createNetwork(network);
    const objective = immObjective(IMM);
    const networks = passNetworks(built, objective);
    const options = { microBatch: 8, batch: 64, recompute };
    return compile(gradientProgram(networks, objective, trainingArenas(built), options));
  };
  const [kept, again] = [plan(false), plan(true)];
  const bytes = [kept, again].map((each) => summarize(each).slotBytes);
  assert(bytes[1] < 0.5 * bytes[0], `${bytes}`);
  // Four forward passes: the target's, the student's, and two for the gradients; now five.
  const ratio = planFlops(again) / planFlops(kept);
  assert(ratio > 1.05 && ratio <= 1.25, `${ratio}`);
});
