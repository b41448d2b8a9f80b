/** What is said, and left behind, when training cannot go on; and steps in portions. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { BATCH, checkpointsIn, imm, startArguments } from "../support/examples/runs.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

Deno.test("an absurd learning rate stops with advice, and without a folder nobody needs", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const { code, stderr } = await imm(...startArguments(out, ["optimizer.lr=1e30"]));
    assert.equal(code, 1);
    assert.match(
      stderr,
      /error: \S+ \S+ stopped being finite between image 0 and \d+; no checkpoint had been written yet\. Try a lower optimizer\.lr/,
    );
    assert.equal(await exists(out), false);
  });
});

Deno.test("a run that breaks down keeps the checkpoint from before", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    // Two harmless steps; then the rate in the folder is changed.
    const settings = [
      "optimizer.name=adam",
      "optimizer.lr=1e-12",
      `report.checkpoint=${BATCH}`,
      `report.status=${BATCH}`,
      `train.images=${2 * BATCH}`,
    ];
    assert.equal((await imm(...startArguments(out, settings))).code, 0);
    const file = join(out, "config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    config.optimizer.lr = 1e30;
    config.train.images = 20 * BATCH;
    await Deno.writeTextFile(file, JSON.stringify(config));
    const { code, stderr } = await imm("train", "--resume", out, "--device", "wasm");
    assert.equal(code, 1);
    const good = /stopped being finite .*; the checkpoint of image (\d+) is good/.exec(stderr);
    assert(good, stderr);
    const newest = (await checkpointsIn(out)).at(-1)!;
    assert.equal(Number(/\d+/.exec(newest)![0]), Number(good[1]));
    const { state } = await loadCheckpoint(join(out, newest));
    for (const [part, tensors] of Object.entries(state.parts)) {
      for (const [name, { data }] of tensors) {
        assert(data.every(Number.isFinite), `${part} ${name}`);
      }
    }
  });
});

Deno.test("mistakes in the arguments of imm train are found before anything is written", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const cases: [string[], number, RegExp][] = [
      [
        ["--set", "optimizer.lrr=1"],
        2,
        /optimizer\.lrr is not a setting; did you mean "?(optimizer\.)?lr"?/,
      ],
      [["--set", "optimzer.lr=1"], 2, /optimzer is not a setting; did you mean "optimizer"/],
      [["--set", "train.batch=18"], 2, /train\.batch must be a multiple of imm\.M = 4/],
      [["--set", "train.microBatch=5"], 2, /train\.microBatch must divide train\.batch/],
      [["--data", join(folder, "missing.npz")], 1, /There is no data set .*missing\.npz/],
    ];
    for (const [args, expected, message] of cases) {
      const { code, stderr } = await imm(...startArguments(out), ...args);
      assert.match(stderr, message);
      assert.equal(code, expected, stderr);
      assert.equal(await exists(out), false, args.join(" "));
    }
  });
});

deviceTest("micro-batches give the gradient and the loss of the whole batch", async (device) => {
  const [batch, seed] = [16, 3];
  const config = immConfig({ M: 4 });
  const x = hostNormal([5, 6], [batch, 2], 0);
  const gradientOf = async (microBatch: number) => {
    const network = createNetwork({ type: "mlp", hidden: 8, depth: 1, dropout: 0.1 });
    const learner = await Learner.create(device, network, {
      objective: immObjective(config),
      optimizer: { name: "adam", lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      batch,
      microBatch,
      clip: false,
    });
    learner.initialize(network.parameters.initial(seed));
    // The second step finds the gradients of the first in the arena: they must not stay.
    for (const step of [0, 1]) {
      learner.resetSums();
      learner.run(
        immStep(config, {
          x,
          times: sampleTimes(config, trainingKey(seed, "times", step), batch / config.M),
          noiseKey: trainingKey(seed, "noise", step),
          dropoutKey: trainingKey(seed, "dropout", step),
        }),
        { lr: 1e-12, emaDecay: 0.9 },
      );
    }
    const found = { gradients: await learner.readGradients(), sums: await learner.sums() };
    learner.free();
    return found;
  };
  const whole = await gradientOf(batch);
  for (const microBatch of [batch / 2, batch / 4]) {
    const parts = await gradientOf(microBatch);
    assertClose([parts.sums.loss], [whole.sums.loss], { rel: 2e-6 }, "loss");
    for (const [name, { data }] of whole.gradients) {
      assert(data.some((value) => value !== 0), name);
      assertClose(parts.gradients.get(name)!.data, data, { rel: 1e-5, abs: 1e-8 }, name);
    }
  }
});
