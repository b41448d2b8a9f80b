/** Training in float16: near float32, with a scale of the loss that finds its way, bit for bit. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { WebGpuDevice } from "../../lib/device/webgpu/device.ts";
import { InterruptedError } from "../../lib/base/errors.ts";
import { immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import type { StateDict } from "../../lib/nn/parameters.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { sizeOf } from "../../lib/tensor/tensor.ts";
import { loadCheckpoint, saveCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { parseTrainConfig } from "../../lib/train/config/config.ts";
import { Learner, type LearnerConfig, type LearnerState } from "../../lib/train/step/learner.ts";
import { describeRun } from "../../lib/train/config/planner.ts";
import { preset, presetShape } from "../../lib/train/config/presets.ts";
import { TrainingRun } from "../../lib/train/run/run.ts";
import { applySettings } from "../../lib/train/config/settings.ts";
import { needingFloat16 } from "../support/devices/devices.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { InterpreterDevice } from "../support/reference/device.ts";
import {
  BATCH,
  checkpointsIn,
  imm,
  logOf,
  startArguments,
  TINY_RUN,
} from "../support/examples/runs.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

const IMM = immConfig({ M: 4, k: 8, parameterization: "euler_fm" });
const MLP = { type: "mlp", hidden: 32, depth: 2, dropout: 0.1 } as const;

/** A learner of a network and a function that takes a step. */
async function learnerOf(
  device: Device,
  networkConfig: Parameters<typeof createNetwork>[0],
  config: Partial<LearnerConfig>,
) {
  const network = createNetwork(networkConfig);
  const learner = await Learner.create(device, network, {
    objective: immObjective(IMM),
    optimizer: { name: "radam", lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    batch: BATCH,
    microBatch: BATCH,
    clip: false,
    precision: "float16",
    ...config,
  });
  learner.initialize(network.parameters.initial(7));
  const step = (number: number, scale = 0.5) =>
    learner.run(
      immStep(IMM, {
        x: hostNormal([3, number], [BATCH * sizeOf(network.sampleShape)], 0).map((v) => scale * v),
        times: sampleTimes(IMM, trainingKey(1, "times", number), BATCH / IMM.M),
        noiseKey: trainingKey(1, "noise", number),
        dropoutKey: trainingKey(1, "dropout", number),
      }),
      {
        lr: 2e-3,
        emaDecay: 0.9,
        averageWeights: new Array(config.averages ?? 0).fill(0.05),
        maxNorm: 0.1,
      },
    );
  return { learner, network, step };
}

/** Norm of the difference of two sets of weights. */
function distance(a: StateDict, b: StateDict): number {
  let sum = 0;
  for (const [name, { data }] of a) {
    const other = b.get(name)!.data;
    data.forEach((value, i) => sum += (value - other[i]) ** 2);
  }
  return Math.sqrt(sum);
}

/** A state with another scale of the loss. */
function withScale(state: LearnerState, scale: number, goodSteps = 0): LearnerState {
  return { ...state, scaling: { ...state.scaling!, scale, goodSteps } };
}

function float16Test(name: string, body: (device: Device) => Promise<void>): void {
  Deno.test(needingFloat16({
    name,
    fn: async () => {
      const device = await WebGpuDevice.open();
      try {
        await body(device);
      } finally {
        device.close();
      }
    },
  }));
}

/** With attention, both ways of resampling, dropout: everything that the U-Nets do. */
const UNET = {
  type: "song_unet",
  imgResolution: 8,
  imgChannels: 1,
  modelChannels: 8,
  channelMult: [1, 1],
  numBlocks: 1,
  attnResolutions: [4],
  dropout: 0.1,
} as const;

const NETWORKS = { "a U-Net": UNET, "an MLP": MLP };

for (const [name, network] of Object.entries(NETWORKS)) {
  float16Test(`30 steps of ${name} in float16 stay near those in float32`, async (device) => {
    const steps = 30;
    const follow = async (device: Device, precision: "float16" | "float32") => {
      const { learner, step, network: { parameters } } = await learnerOf(device, network, {
        precision,
        optimizer: { name: "adam", lr: 2e-3, betas: [0.9, 0.999], eps: 1e-6, weightDecay: 0 },
      });
      const [losses, norms]: number[][] = [[], []];
      let first: StateDict | null = null;
      for (let n = 0; n < steps; n++) {
        learner.resetSums();
        step(n);
        losses.push((await learner.sums()).loss);
        norms.push(await learner.gradientNorm());
        first ??= await learner.readGradients();
      }
      const { parts, scaling } = await learner.save();
      learner.free();
      return { losses, norms, first: first!, parts, scaling, initial: parameters.initial(7) };
    };
    const half = await follow(device, "float16");
    // The other device is float32 for certain, and compiles no shaders.
    const wasm = await openDevice({ device: "wasm", threads: 1 });
    const single = await follow(wasm, "float32");
    wasm.close();
    assert.deepEqual(half.scaling, { scale: 65536, goodSteps: steps, skipped: 0 });
    assert.equal(single.scaling, undefined);
    // A value is rounded by 2^-11 = 5e-4 of itself at most, and independently of others: what is left
    // in a gradient, a sum of many, is of that size. Later the weights differ too, and where a
    // gradient is near zero, Adam's first steps go by its sign: ten times as much, or more.
    const zero = new Map(
      [...single.first].map(([name, each]) => [name, { ...each, data: each.data.map(() => 0) }]),
    );
    const error = distance(half.first, single.first) / distance(single.first, zero);
    assert(error < 5e-4, `the first gradient is ${error} off`);
    half.losses.forEach((loss, n) => {
      assert(Math.abs(loss / single.losses[n] - 1) < 1e-3, `loss ${n}: ${loss}`);
      assert(Math.abs(half.norms[n] / single.norms[n] - 1) < 3e-2, `norm ${n}: ${half.norms[n]}`);
    });
    const way = distance(single.parts.parameters, single.initial);
    const apart = distance(half.parts.parameters, single.parts.parameters);
    assert(apart < 0.05 * way, `${apart} of ${way}`);
    assert(apart > 1e-5 * way, `${apart} of ${way}: this was not float16`);
  });
}

Deno.test("micro-batches, clipping and more averages work in float16", async () => {
  // The interpreter rounds as a device does and has no shaders to compile.
  const device = new InterpreterDevice();
  const take = async (config: Partial<LearnerConfig>) => {
    const { learner, step } = await learnerOf(device, { ...MLP, hidden: 8 }, config);
    for (let n = 0; n < 3; n++) step(n);
    const gradients = await learner.readGradients();
    const state = await learner.save();
    const norms = await learner.layerNorms();
    learner.free();
    return { gradients, state, norms };
  };
  const whole = await take({ averages: 2, clip: true });
  const parts = await take({ averages: 2, clip: true, microBatch: BATCH / 2 });
  const single = await take({ averages: 2, clip: true, precision: "float32" });
  assert.equal(device.live, 0);
  for (const other of [parts, single]) {
    const size = distance(
      whole.gradients,
      new Map(
        [...whole.gradients].map((
          [name, t],
        ) => [name, { ...t, data: new Float32Array(t.data.length) }]),
      ),
    );
    assert(size > 0.01);
    assert(distance(whole.gradients, other.gradients) < 5e-3 * size);
    for (const part of ["ema", "parameters", "m", "v"] as const) {
      assert(distance(whole.state.parts[part], other.state.parts[part]) < 5e-4, part);
    }
    assert(distance(whole.state.averages[1], other.state.averages[1]) < 5e-4);
    for (const [group, { gradient, update, weight }] of Object.entries(whole.norms)) {
      const expected = other.norms[group];
      const near = (a: number, b: number) => Math.abs(a - b) <= 0.05 * b + 1e-7;
      assert(near(gradient, expected.gradient), `${group}: ${gradient} ${expected.gradient}`);
      assert(near(update, expected.update), `${group}: ${update} ${expected.update}`);
      assert(near(weight, expected.weight), `${group}: ${weight} ${expected.weight}`);
    }
  }
});

float16Test("a step whose gradient overflows is skipped and halves the scale", async (device) => {
  const { learner, step } = await learnerOf(device, MLP, {
    averages: 1,
    // What overflowed is in the arena of gradients, to which micro-batches add: it must not stay.
    microBatch: BATCH / 2,
  });
  const before = await learner.save();
  assert.deepEqual(before.scaling, { scale: 65536, goodSteps: 0, skipped: 0 });
  const high = 2 ** 48;
  learner.restore(withScale(before, high, 5), "test");
  step(0);
  const after = await learner.save();
  assert.deepEqual(after.scaling, { scale: high / 2, goodSteps: 0, skipped: 1 });
  assert.deepEqual(after.parts, before.parts);
  assert.deepEqual(after.averages, before.averages);
  assert.equal(after.step, 1);
  assert.equal(after.sums.skipped, 1);
  assert.equal(after.sums.gradientNorm, 0);
  assert(after.sums.loss > 0);
  assert(!Number.isFinite(await learner.gradientNorm()));
  for (const { gradient, update, weight } of Object.values(await learner.layerNorms())) {
    assert.equal(gradient, 0);
    assert.equal(update, 0);
    assert(Number.isFinite(weight));
  }

  // It goes on until the gradient fits, without anyone looking, and then the optimiser takes the
  // step that it would have taken first.
  let skips = 1;
  let scaling = after.scaling!;
  while (scaling.goodSteps === 0) {
    step(0);
    scaling = (await learner.scaling())!;
    skips++;
    assert(skips < 60, "no step is ever taken again");
  }
  assert(skips > 3, `${skips}`);
  assert.deepEqual(scaling, {
    scale: high / 2 ** (skips - 1),
    goodSteps: 1,
    skipped: skips - 1,
  });
  const late = await learner.save();
  learner.restore(withScale(before, high, 5), "test");
  for (let n = 0; n < skips; n++) step(0);
  assert.deepEqual(await learner.save(), late);
  learner.restore(withScale(before, scaling.scale), "test");
  step(0);
  const straight = await learner.save();
  assert.deepEqual(late.parts, straight.parts);
  assert.notDeepEqual(late.parts, before.parts);
  learner.free();
});

float16Test("the scale doubles after 2000 good steps", async (device) => {
  const { learner, step } = await learnerOf(device, MLP, {});
  const state = await learner.save();
  learner.restore(withScale(state, 1024, 1998), "test");
  step(0);
  assert.deepEqual(await learner.scaling(), { scale: 1024, goodSteps: 1999, skipped: 0 });
  step(1);
  assert.deepEqual(await learner.scaling(), { scale: 2048, goodSteps: 0, skipped: 0 });
  step(2);
  assert.deepEqual(await learner.scaling(), { scale: 2048, goodSteps: 1, skipped: 0 });
  learner.free();
});

float16Test(
  "a run in float16 that is stopped, and one that overflows, go on bit for bit",
  async (device) => {
    await withTempFolder(async (folder) => {
      const source = {
        preset: "digits",
        settings: [...TINY_RUN, `train.images=${12 * BATCH}`, "train.precision=float16"],
      };
      const paths = ["whole", "parts"].map((name) => join(folder, name));
      const [whole, parts] = paths;
      {
        await using run = await TrainingRun.start(device, source, whole);
        await run.train();
      }
      const lines = await logOf(whole) as Record<string, unknown>[];
      for (const { lossScale, skippedSteps } of lines) {
        assert.deepEqual([lossScale, skippedSteps], [65536, 0]);
      }
      {
        await using run = await TrainingRun.start(device, source, parts);
        const stop = new AbortController();
        const observer = { step: (images: number) => images === 5 * BATCH && stop.abort() };
        await assert.rejects(run.train({ signal: stop.signal, observer }), InterruptedError);
      }
      // Both continue from five steps, with a scale that the gradient will not bear.
      const stopped = await loadCheckpoint(join(parts, (await checkpointsIn(parts)).at(-1)!));
      assert.deepEqual(stopped.state.scaling, { scale: 65536, goodSteps: 5, skipped: 0 });
      {
        await using run = await TrainingRun.resume(device, parts);
        await run.train();
      }
      const last = (await checkpointsIn(whole)).at(-1)!;
      const [a, b] = await Promise.all(paths.map((path) => loadCheckpoint(join(path, last))));
      assert.deepEqual(b.state, a.state);
      assert.deepEqual(await logOf(parts), lines);

      // The same five steps, and then a scale that the gradient does not bear.
      const config = parseTrainConfig(
        applySettings(preset("digits"), source.settings),
        presetShape("digits"),
      );
      const { images, sumsSince, binCounts, seconds } = stopped.progress;
      const high = withScale(stopped.state, 2 ** 46);
      const progress = { images, sumsSince, binCounts, seconds };
      const results = [];
      for (const stopAt of [null, 8 * BATCH]) {
        for (const name of await checkpointsIn(parts)) await Deno.remove(join(parts, name));
        await saveCheckpoint(
          join(parts, "checkpoint-000000080.safetensors"),
          { config },
          progress,
          high,
        );
        if (stopAt !== null) {
          await using run = await TrainingRun.resume(device, parts);
          const stop = new AbortController();
          const observer = { step: (images: number) => images === stopAt && stop.abort() };
          await assert.rejects(run.train({ signal: stop.signal, observer }), InterruptedError);
        }
        await using run = await TrainingRun.resume(device, parts);
        await run.train();
        results.push({
          state: (await loadCheckpoint(join(parts, last))).state,
          log: await logOf(parts) as { skippedSteps: number; gradientNorm: number }[],
        });
      }
      const [straight, resumed] = results;
      assert.deepEqual(resumed, straight);
      const skipped = straight.log.reduce((sum, line) => sum + line.skippedSteps, 0);
      assert(skipped >= 3, `${skipped}`);
      assert.deepEqual(straight.state.scaling!.skipped, skipped);
      for (const { gradientNorm } of straight.log) assert(Number.isFinite(gradientNorm));
    });
  },
);

Deno.test("imm train refuses float16 where it does not exist, before anything is written", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const { code, stderr } = await imm(...startArguments(out), "--precision", "float16");
    assert.equal(code, 1);
    assert.match(stderr, /float16 needs a WebGPU device .*--device webgpu or --precision float32/);
    assert.equal(await exists(out), false);
    const wrong = await imm(...startArguments(out), "--set", "train.precision=bfloat16");
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /train\.precision/);
  });
});

Deno.test("a dry run knows that float16 takes less memory", async () => {
  const describe = (precision: string) =>
    describeRun(parseTrainConfig(
      applySettings(preset("cifar10"), [
        "train.microBatch=32",
        "network.channelMult=[1,1]",
        `train.precision=${precision}`,
      ]),
      presetShape("cifar10"),
    ));
  const [half, single] = [describe("float16"), describe("float32")];
  const ratio = half.plans[0].slotBytes / single.plans[0].slotBytes;
  assert(ratio > 0.5 && ratio < 0.6, `${ratio}`);
  // Two bytes for every weight that takes 20: itself, its gradient, two moments and the average.
  const more = half.stateBytes / single.stateBytes;
  assert(more > 1.09 && more < 1.11, `${more}`);
  assert.equal(half.flopsPerImage.training, single.flopsPerImage.training);
  assert.equal(preset("imagenet256-xl-fp16").train.precision, "float16");
  assert.equal(preset("imagenet256-xl").train.precision, "float32");

  const { code, stdout, stderr } = await imm(
    ...["train", "--preset", "imagenet256-s", "--dry-run", "--json", "--device", "wasm"],
    ...["--set", "network.depth=1", "--precision", "float16"],
  );
  assert.equal(code, 0, stderr);
  const { config, speed } = JSON.parse(stdout);
  assert.equal(config.train.precision, "float16");
  assert.equal(speed, null);
  assert.match(stderr, /does not know float16/);
});
