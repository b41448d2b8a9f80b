/** The log of a run: loss by time, norms by layers, TensorBoard, and which checkpoints stay. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { readMessage } from "../../lib/formats/onnx/protobuf.ts";
import { immConfig, sampleTimes } from "../../lib/imm/mod.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { Learner, timeBin } from "../../lib/train/step/learner.ts";
import { layerGroup } from "../../lib/train/step/norms.ts";
import { TIME_BINS } from "../../lib/train/step/programs.ts";
import type { StatsLine } from "../../lib/train/run/folder.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { withTempFolder } from "../support/files.ts";
import { BATCH, checkpointsIn, imm, startArguments } from "../support/examples/runs.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

Deno.test("parameters are grouped by where they are in the network", () => {
  const cases = {
    "model.enc.32x32_block0.conv0.weight": "enc.32x32",
    "model.dec.8x8_in0.norm0.bias": "dec.8x8",
    "model.blocks.11.attn.qkv.weight": "blocks.11",
    "model.map_layer0.weight": "map",
    "model.map_layer1_s.weight": "map_s",
    "model.final_layer.linear.weight": "final_layer",
    "model.t_embedder.mlp.0.weight": "t_embedder",
  };
  for (const [name, group] of Object.entries(cases)) assert.equal(layerGroup(name), group, name);
});

for (const [name, weightDecay] of [["radam", 0], ["adamw", 0.1]] as const) {
  deviceTest(`norms and losses by time are those of the step itself, ${name}`, async (device) => {
    const config = immConfig({ M: 4, k: 4 });
    const network = createNetwork({ type: "mlp", hidden: 8, depth: 2 });
    const [batch, microBatch] = [32, 16];
    const learner = await Learner.create(device, network, {
      objective: immObjective(config),
      optimizer: { name, lr: 0.01, betas: [0.9, 0.999], eps: 1e-8, weightDecay },
      batch,
      microBatch,
      clip: false,
    });
    learner.initialize(network.parameters.initial(0));
    const step = async (number: number) => {
      const before = await learner.save();
      const times = sampleTimes(config, trainingKey(0, "times", number), batch / config.M);
      learner.run(
        immStep(config, {
          x: hostNormal([1, number], [batch, 2], 0),
          times,
          noiseKey: trainingKey(0, "noise", number),
          dropoutKey: trainingKey(0, "dropout", number),
        }),
        { lr: 0.01, emaDecay: 0.9 },
      );
      return { before, times };
    };
    for (let i = 0; i < 7; i++) await step(i);
    learner.resetSums();
    const { before, times } = await step(7);
    const [after, norms] = [await learner.save(), await learner.layerNorms()];
    const gradients = await learner.readGradients();
    const expected = new Map<string, [number, number, number]>();
    for (const [parameter, { data }] of after.parts.parameters) {
      const sums = expected.get(layerGroup(parameter)) ?? [0, 0, 0];
      const old = before.parts.parameters.get(parameter)!.data;
      data.forEach((value, i) => {
        sums[0] += gradients.get(parameter)!.data[i] ** 2;
        sums[1] += (value - old[i]) ** 2;
        sums[2] += value ** 2;
      });
      expected.set(layerGroup(parameter), sums);
    }
    assert.deepEqual(Object.keys(norms).sort(), [...expected.keys()].sort());
    for (const [group, sums] of expected) {
      const { gradient, update, weight } = norms[group];
      // The weights that the update is measured with are rounded to float32.
      assertClose([gradient, weight], [sums[0], sums[2]].map(Math.sqrt), { rel: 1e-5 }, group);
      assertClose([update], [Math.sqrt(sums[1])], { rel: 1e-3 }, group);
    }
    const { loss, lossBins } = await learner.sums();
    const total = lossBins!.reduce((sum, value) => sum + value, 0);
    assertClose([total / (batch / config.M)], [loss], { rel: 1e-5 }, "loss");
    for (let bin = 0; bin < TIME_BINS; bin++) {
      const groups = times.t.filter((t) => timeBin(config, t) === bin).length;
      assert.equal(lossBins![bin] !== 0, groups > 0, `bin ${bin}`);
    }
    assert.deepEqual([0, 0.993].map((t) => timeBin(config, t)), [0, TIME_BINS - 1]);
    learner.free();
  });
}

Deno.test("a log has losses by time, norms, the times of its parts, and TensorBoard has the same", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const args = startArguments(out, ["report.tensorboard=true", `report.keepEvery=${8 * BATCH}`]);
    const { code, stderr } = await imm(...args);
    assert.equal(code, 0, stderr);
    // Every eighth step for good, and the newest two.
    assert.deepEqual(
      (await checkpointsIn(out)).map((name) => Number(/\d+/.exec(name)![0]) / BATCH),
      [8, 16, 20],
    );
    const lines: StatsLine[] = (await Deno.readTextFile(join(out, "stats.jsonl"))).trimEnd()
      .split("\n").map((line) => JSON.parse(line));
    for (const { lossByTime, layers, time, loss } of lines) {
      assert.equal(lossByTime.length, TIME_BINS);
      const known = lossByTime.filter((value) => value !== null);
      assert(Math.min(...known) < loss && Math.max(...known) > loss);
      assert(
        Object.values(layers).every(({ gradient, update, weight }) =>
          gradient > 0 && update > 0 && weight >= 0
        ),
      );
      assert(["enc.8x8", "dec.8x8", "map"].every((group) => group in layers));
      assert(time.data > 0 && time.device > 0 && time.host > 0);
    }
    const names = await Array.fromAsync(Deno.readDir(join(out, "tensorboard")), (e) => e.name);
    assert.equal(names.length, 1);
    const bytes = await Deno.readFile(join(out, "tensorboard", names[0]));
    const view = new DataView(bytes.buffer);
    const steps: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = Number(view.getBigUint64(at, true));
      const event = [...readMessage(bytes.subarray(at + 12, at + 12 + length), "event")];
      const step = event.find(({ field }) => field === 2);
      if (step) steps.push(Number(step.value));
      at += length + 16;
    }
    assert.deepEqual(steps, lines.map(({ images }) => images));
  });
});
