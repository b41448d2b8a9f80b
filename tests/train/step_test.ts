/** What a training step is made from: passes, masks, labels, averages, rates, memory. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import type { Device } from "../../lib/device/device.ts";
import { InterruptedError } from "../../lib/base/errors.ts";
import { type ImmConfig, immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import type { MlpConfig } from "../../lib/models/networks/mlp.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { parseTrainConfig, type TrainConfig } from "../../lib/train/config/config.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { RunFolder } from "../../lib/train/run/folder.ts";
import { train, type TrainOptions } from "../../lib/train/trainer.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { withTempFolder } from "../support/files.ts";
import { checkpointsIn, logOf } from "../support/examples/runs.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";
import type { ImmObjectiveConfig } from "../../lib/objectives/imm.ts";
import type { BatchSource } from "../../lib/objectives/objective.ts";

const [BATCH, CLASSES] = [8, 3];
const NETWORK = { type: "mlp", hidden: 8, depth: 1, labelDim: CLASSES } as const;
const INSPECTED = ["studentOutput", "targetOutput"] as const;

async function createLearner(
  device: Device,
  { imm = {}, network = {} }: { imm?: Partial<ImmConfig>; network?: Partial<MlpConfig> } = {},
): Promise<Learner> {
  const built = createNetwork({ ...NETWORK, ...network });
  const learner = await Learner.create(device, built, {
    objective: immObjective(immConfig(imm)),
    optimizer: { name: "adam", lr: 0.1, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    batch: BATCH,
    microBatch: BATCH,
    clip: false,
    inspect: true,
  });
  learner.initialize(built.parameters.initial(1));
  return learner;
}

type Given = Parameters<typeof immStep>[1];

/** The method of a learner. */
function methodOf(learner: Learner): ImmConfig {
  return learner.config.objective.config as ImmObjectiveConfig;
}

function stepBatch(imm: ImmConfig, step = 0): Given {
  const labels = Array.from({ length: BATCH }, (_, i) => i % CLASSES);
  return {
    x: hostNormal([7, step], [BATCH, 2], 0),
    times: sampleTimes(imm, trainingKey(0, "times", step), BATCH / imm.M),
    labels: { student: labels, target: labels },
    noiseKey: trainingKey(0, "noise", step),
    dropoutKey: trainingKey(0, "dropout", step),
  };
}

/** Outputs of both passes in a step, which changes the learner. */
async function passes(learner: Learner, batch: Given) {
  learner.run(immStep(methodOf(learner), batch), { lr: 0.1, emaDecay: 0.5 });
  const { studentOutput, targetOutput } = await learner.inspect(INSPECTED);
  return { student: studentOutput, target: targetOutput };
}

deviceTest(
  "a dropped label changes the pass that it is dropped in, and no other",
  async (device) => {
    const learner = await createLearner(device);
    const start = await learner.save();
    const batch = stepBatch(methodOf(learner));
    const { student: labels, target } = batch.labels!;
    const dropped = labels.map((label, i) => i === 2 ? null : label);
    const whole = await passes(learner, batch);
    learner.restore(start, "the start");
    const found = await passes(learner, { ...batch, labels: { student: dropped, target } });
    assert.deepEqual(found.target, whole.target);
    const rows = (F: Float32Array) =>
      Array.from({ length: BATCH }, (_, i) => [F[2 * i], F[2 * i + 1]]);
    const [before, after] = [rows(whole.student), rows(found.student)];
    for (let i = 0; i < BATCH; i++) {
      if (i === 2) assert.notDeepEqual(after[i], before[i]);
      else assert.deepEqual(after[i], before[i], `row ${i}`);
    }
    learner.free();
  },
);

deviceTest("student and target have one dropout mask, another in every step", async (device) => {
  const learner = await createLearner(device, { network: { dropout: 0.5 } });
  const start = await learner.save();
  const batch = stepBatch(methodOf(learner));
  // With r = t both passes see the same sample at the same times: only masks could differ.
  const same = { ...batch, times: { ...batch.times, r: batch.times.t } };
  const found = await passes(learner, same);
  assert.deepEqual(found.student, found.target);
  learner.restore(start, "the start");
  const other = await passes(learner, { ...same, dropoutKey: trainingKey(0, "dropout", 1) });
  assert.notDeepEqual(other.student, found.student);
  learner.free();
});

deviceTest("the target can be the averaged network, and the student never is", async (device) => {
  const averaged = await createLearner(device, { imm: { target: "ema" } });
  const current = await createLearner(device);
  await passes(averaged, stepBatch(methodOf(averaged)));
  const state = await averaged.save();
  const batch = stepBatch(methodOf(averaged), 1);
  const found = await passes(averaged, batch);

  current.restore(state, "the state");
  const now = await passes(current, batch);
  const { ema } = state.parts;
  current.restore({ ...state, parts: { ...state.parts, parameters: ema } }, "the average");
  const average = await passes(current, batch);
  assertClose(found.student, now.student, { rel: 1e-6 }, "student");
  assertClose(found.target, average.target, { rel: 1e-6 }, "target");
  const apart = now.target.map((value, i) => Math.abs(value - average.target[i]));
  assert(Math.max(...apart) > 1e-3, "average and parameters are the same: nothing was tested");
  averaged.free();
  current.free();
});

/** The points of a run: a pure function of their number. */
const points: BatchSource = {
  batch: (position, count) => ({
    images: hostNormal([3, position], [count, 2], 0),
    labels: Int32Array.from({ length: count }, (_, i) => (position + i) % CLASSES),
  }),
};

/** A run of 20 steps that uses everything: portions, clipping, warm-up, dropout, the average. */
function runConfig(changes: { optimizer?: object; images?: number } = {}): TrainConfig {
  return parseTrainConfig({
    data: { source: "points" },
    network: { ...NETWORK, dropout: 0.2 },
    imm: { labelDropout: 0.25, target: "ema" },
    optimizer: { name: "radam", lr: 0.01, warmup: 5 * BATCH, clip: 0.05, ...changes.optimizer },
    train: {
      batch: BATCH,
      microBatch: BATCH / 2,
      images: changes.images ?? 20 * BATCH,
      ema: { decay: 0.9, ramp: true },
    },
    report: { status: 3 * BATCH, samples: 0, checkpoint: 7 * BATCH },
  }, null);
}

async function trainIn(
  path: string,
  options: Pick<TrainOptions, "device" | "config"> & Partial<TrainOptions>,
) {
  await using folder = options.resume
    ? await RunFolder.open(path)
    : await RunFolder.create(path, options.config);
  return await train({ source: points, folder, resume: false, ...options });
}

deviceTest(
  "a run that is stopped twice between two lines of its log ends the same",
  async (device) => {
    await withTempFolder(async (folder) => {
      const config = runConfig();
      const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
      await trainIn(whole, { device, config });
      for (const [i, stopAt] of [10, 11].entries()) {
        const stop = new AbortController();
        const observer = { step: (images: number) => images === stopAt * BATCH && stop.abort() };
        await assert.rejects(
          trainIn(parts, { device, config, resume: i > 0, signal: stop.signal, observer }),
          InterruptedError,
        );
      }
      const { last } = await trainIn(parts, { device, config, resume: true });
      assert.equal(last?.step, 20);
      assert.deepEqual(await logOf(parts), await logOf(whole));
      const newest = (await checkpointsIn(whole)).at(-1)!;
      const [ours, theirs] = await Promise.all(
        [parts, whole].map((run) => loadCheckpoint(join(run, newest))),
      );
      assert.deepEqual(ours.state, theirs.state);
    });
  },
);

deviceTest(
  "the learning rate rises over the warm-up, in the log and in the update",
  async (device) => {
    await withTempFolder(async (folder) => {
      const config = runConfig({
        optimizer: { name: "adam", warmup: 4 * BATCH, clip: null },
        images: 6 * BATCH,
      });
      const slow = {
        ...config,
        report: { ...config.report, status: BATCH, checkpoint: BATCH, keep: 9 },
      };
      await trainIn(folder, { device, config: slow });
      const rates = (await logOf(folder)).map((line) => (line as { lr: number }).lr);
      assertClose(rates, [0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01], { rel: 1e-12 }, "lr");
      // The first step of Adam moves what has a gradient by the learning rate.
      const { state } = await loadCheckpoint(join(folder, (await checkpointsIn(folder))[0]));
      const name = "model.out.bias";
      const before = createNetwork(config.network).parameters.initial(0).get(name)!.data;
      const moved = state.parts.parameters.get(name)!.data.map((x, i) => Math.abs(x - before[i]));
      assertClose(moved, before.map(() => 0.0025), { rel: 1e-3 }, name);
    });
  },
);

deviceTest("thousands of steps take no more memory than hundreds", async (device) => {
  const learner = await createLearner(device);
  const imm = methodOf(learner);
  const megabytes: number[] = [];
  for (let step = 0; step < 3000; step++) {
    learner.run(immStep(imm, stepBatch(imm, step)), { lr: 1e-3, emaDecay: 0.9 });
    if (step % 20 === 0) await learner.finish();
    if (step % 500 === 499) {
      await learner.sums();
      megabytes.push(Math.round(Deno.memoryUsage().rss / 2 ** 20));
    }
  }
  console.log(`resident after each 500 steps on ${device.kind}: ${megabytes.join(", ")} MiB`);
  learner.free();
  // 100 bytes a step would be a third of a megabyte, a lost buffer of this network's 16 times that.
  assert(megabytes.at(-1)! - megabytes[1] < 24, `${megabytes} MiB`);
});
