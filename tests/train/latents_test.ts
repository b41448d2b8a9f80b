/** Training on latents of an autoencoder: from files to a run that can be resumed. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { openDevice } from "../../lib/device/open.ts";
import { InterruptedError } from "../../lib/base/errors.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { decodePng } from "../../lib/formats/image/png.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { loadModel } from "../../lib/models/model_file.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { type ConfigSource, TrainingRun } from "../../lib/train/run/run.ts";
import { decoderModel } from "../support/examples/decoder.ts";
import { exists, withTempFolder } from "../support/files.ts";
import {
  edm2Files,
  LABELS,
  LATENTS,
  MEANS,
  WIDTHS,
  withSecond,
  writeZip,
} from "../support/examples/latents.ts";
import { checkpointsIn, imm, logOf } from "../support/examples/runs.ts";

const BATCH = 8;

/** Makes of a preset of ImageNet a run of six steps on the latents of the tests. */
const TINY = [
  "network.imgResolution=4",
  "network.hiddenSize=16",
  "network.depth=1",
  "network.numHeads=2",
  "network.labelDim=3",
  "optimizer.lr=1e-3",
  `train.batch=${BATCH}`,
  `train.images=${6 * BATCH}`,
  "train.ema.decay=0.9",
  `report.status=${2 * BATCH}`,
  `report.samples=${6 * BATCH}`,
  `report.checkpoint=${3 * BATCH}`,
  "report.grid=4",
  "report.steps=[1]",
];

const settingArguments = (settings: readonly string[]) =>
  settings.flatMap((setting) => ["--set", setting]);

Deno.test("a transformer trains on latents as EDM2's tool encodes them, stops and goes on bit for bit", async () => {
  await withTempFolder(async (folder) => {
    const data = join(folder, "latents.zip");
    await writeZip(data, await edm2Files());
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const source: ConfigSource = { preset: "imagenet256-s", data, settings: TINY };
    const device = await openDevice({ device: "wasm", threads: 1 });
    try {
      {
        await using run = await TrainingRun.start(device, source, whole);
        assert.deepEqual(run.warnings, []);
        assert.equal((await run.train()).images, 6 * BATCH);
      }
      {
        await using run = await TrainingRun.start(device, source, parts);
        const stop = new AbortController();
        const observer = { step: (images: number) => images === 2 * BATCH && stop.abort() };
        await assert.rejects(run.train({ signal: stop.signal, observer }), InterruptedError);
      }
      await using run = await TrainingRun.resume(device, parts);
      assert.equal((await run.train()).images, 6 * BATCH);
    } finally {
      device.close();
    }
    const newest = `checkpoint-${String(6 * BATCH).padStart(9, "0")}.safetensors`;
    assert.equal((await checkpointsIn(whole)).at(-1), newest);
    const [one, other] = await Promise.all(
      [whole, parts].map((run) => loadCheckpoint(join(run, newest))),
    );
    assert.deepEqual(other.state, one.state);
    assert.deepEqual(await logOf(parts), await logOf(whole));
    assert((await logOf(whole) as { loss: number }[]).every(({ loss }) => loss > 0));

    const [picture] = [...Deno.readDirSync(join(whole, "samples"))];
    const { channels, data: pixels } = decodePng(
      await Deno.readFile(join(whole, "samples", picture.name)),
      picture.name,
    );
    assert.equal(channels, 3);
    assert(new Set(pixels).size > 8, "an empty picture");
    const { network, notes } = await loadModel(join(whole, "model.safetensors"));
    assert(network.type === "dit");
    assert.deepEqual([network.imgChannels, network.labelDim], [4, 3]);
    assert.deepEqual(JSON.parse(notes.latents), {
      mean: [0.86488, -0.27787343, 0.21616915, 0.3738409],
      std: [4.85503674, 5.31922414, 3.93725398, 3.9870003],
      finalStd: 0.5,
    });
  });
});

Deno.test("report.decoder makes pictures of the grids, and changes nothing else", async () => {
  await withTempFolder(async (folder) => {
    const data = join(folder, "latents.zip");
    await writeZip(data, await edm2Files());
    const decoder = join(folder, "vae.onnx");
    await Deno.writeFile(decoder, decoderModel());
    const train = async (name: string, ...settings: string[]) => {
      const out = join(folder, name);
      const ended = await imm(
        ...["train", "--preset", "imagenet256-s", "--data", data, "--out", out],
        ...["--device", "wasm", ...settingArguments([...TINY, ...settings])],
      );
      return { ...ended, out };
    };
    const grid = (run: string) => {
      const [{ name }] = [...Deno.readDirSync(join(run, "samples"))];
      return decodePng(Deno.readFileSync(join(run, "samples", name)), name);
    };
    const plain = await train("plain");
    const shown = await train("shown", `report.decoder=${decoder}`);
    assert.deepEqual([plain.code, shown.code], [0, 0], plain.stderr + shown.stderr);
    assert.match(plain.stderr, /first channels of the latents; --set report\.decoder/);
    assert.doesNotMatch(shown.stderr, /first channels of the latents/);
    assert.deepEqual(await logOf(shown.out), await logOf(plain.out));

    // What imm sample makes of the model, which are the averaged weights of the end.
    const picture = join(folder, "grid.png");
    const made = await imm(
      ...["sample", "--checkpoint", shown.out, "--decoder", decoder, "--steps", "1"],
      ...["--seeds", "0-3", "--device", "wasm", "--out", picture],
    );
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(grid(shown.out), decodePng(await Deno.readFile(picture), picture));
    const unit = await train("unit", `report.decoder=${decoder}`, "report.decoderRange=unit");
    assert.equal(unit.code, 0, unit.stderr);
    assert.notDeepEqual(grid(unit.out).data, grid(shown.out).data);

    await Deno.writeFile(decoder, decoderModel({ outputs: 2 }));
    const wrong = await train("wrong", `report.decoder=${decoder}`);
    assert.deepEqual([wrong.code, /no decoder/.test(wrong.stderr)], [1, true], wrong.stderr);
    assert(!await exists(wrong.out), "a folder of a run that cannot be");
  });
});

Deno.test("a configuration file trains on log variances, with latents of mirrored pictures", async () => {
  await withTempFolder(async (folder) => {
    const { count, channels, side } = LATENTS;
    const data = join(folder, "latents.safetensors");
    const shape = [count, 2 * channels, side, side];
    const logs = WIDTHS.map((width) => 2 * Math.log(width));
    await writeSafetensors(data, [
      ["moments", { dtype: "F32", shape, data: withSecond(logs) }],
      ["moments_flip", { dtype: "F32", shape, data: withSecond(logs).map((x) => -x / 2) }],
      ["labels", {
        dtype: "I64",
        shape: [count],
        data: BigInt64Array.from(LABELS, BigInt),
      }],
    ]);
    const config = join(folder, "config.json");
    await Deno.writeTextFile(
      config,
      JSON.stringify({
        data: { source: data, mirror: true, latents: { moments: "mean-logvar" } },
        network: { type: "dit", patchSize: 2, hiddenSize: 16, depth: 1, numHeads: 2 },
        imm: { parameterization: "euler_fm", M: 4 },
        train: { batch: BATCH, images: 3 * BATCH },
        report: { status: BATCH, samples: 0, checkpoint: 0, grid: 4 },
      }),
    );
    const train = async (name: string, ...settings: string[]) => {
      const out = join(folder, name);
      const { code, stderr } = await imm(
        ...["train", "--config", config, "--out", out, "--device", "wasm"],
        ...settingArguments(settings),
      );
      assert.equal(code, 0, stderr);
      assert.match(stderr, /first channels of the latents/);
      return await logOf(out);
    };
    const log = await train("run");
    assert.deepEqual(await train("again"), log);
    assert.notDeepEqual(await train("plain", "data.mirror=false"), log);
    assert.notDeepEqual(await train("scaled", "data.latents.finalStd=0.25"), log);
  });
});

Deno.test("what does not go together is told before anything is written", async () => {
  await withTempFolder(async (folder) => {
    const latents = join(folder, "latents.npz");
    const { count, channels, side } = LATENTS;
    await writeNpz(latents, [
      ["latents", { type: "f32", shape: [count, channels, side, side], data: MEANS }],
    ]);
    const out = join(folder, "run");
    const start = (preset: string, data: string, ...settings: string[]) =>
      imm(
        ...["train", "--preset", preset, "--data", data, "--out", out, "--device", "wasm"],
        ...settingArguments(settings),
      );
    const small = TINY.filter((setting) => !setting.includes("labelDim"));
    for (
      const [run, pattern] of [
        [start("digits", latents), /holds latents of 4 x 4 with 4 channels.*data\.latents=\{\}/],
        [start("imagenet256-s", "digits", ...TINY), /data\.latents is set, but digits holds pict/],
        [start("imagenet256-s", latents, ...TINY), /labelDim is 3, but .*latents\.npz has 0/],
        [
          start("imagenet256-s", latents, ...small, "data.mirror=true"),
          /no latents of the mirrored pictures/,
        ],
        [start("digits", "digits", "report.decoder=x.onnx"), /report\.decoder is for latents/],
        [start("imagenet256-s", latents, "data.padTo=8"), /data\.padTo is for pictures/],
        [start("imagenet256-s", latents, "report.scores.every=64"), /report\.scores is for pict/],
        [
          start("imagenet256-s", latents, "data.latents.normalize=edm"),
          /data\.latents\.normalize: expected/,
        ],
        [start("imagenet256-s", latents, "data.latents.moment=x"), /did you mean.*moments/],
      ] as const
    ) {
      const { code, stderr } = await run;
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["latents.npz"]);
    const odd = join(folder, "odd.npz");
    await writeNpz(odd, [
      ["latents", {
        type: "f32",
        shape: [count, channels, side, side],
        data: MEANS.map((x) => x * 0.18215),
      }],
    ]);
    const { code, stderr } = await start("imagenet256-s", odd, ...small, "network.labelDim=0");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: .*odd\.npz: .*imm dataset info prints the setting/);
  });
});

Deno.test("imm dataset info says what latents are, and the setting that normalises them", async () => {
  await withTempFolder(async (folder) => {
    const data = join(folder, "latents.zip");
    await writeZip(data, await edm2Files());
    const grid = join(folder, "grid.png");
    const { code, stdout, stderr } = await imm("dataset", "info", data, "--grid", grid);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^latents: {3}6 of 4 x 4 x 8: mean-std\nclasses: {3}3 classes from dataset\.json: 0: 2, 1: 2, 2: 2\n/,
    );
    const setting = /--set 'data\.latents\.normalize=(\{.*\})'/.exec(stdout)!;
    const { mean, std } = JSON.parse(setting[1]);
    assert.deepEqual([mean.length, std.length], [4, 4]);
    assert.equal(decodePng(await Deno.readFile(grid), grid).channels, 3);

    const unnamed = join(folder, "moments.npz");
    const { count, channels, side } = LATENTS;
    await writeNpz(unnamed, [
      ["moments", {
        type: "f32",
        shape: [count, 2 * channels, side, side],
        data: withSecond(WIDTHS),
      }],
    ]);
    assert.match((await imm("dataset", "info", unnamed)).stdout, /--moments mean-std or mean-log/);
    const told = await imm("dataset", "info", unnamed, "--moments", "mean-std", "--json");
    const { statistics, moments } = JSON.parse(told.stdout);
    assert.equal(moments, "mean-std");
    statistics.mean.forEach((x: number, c: number) => assert(Math.abs(x - mean[c]) < 1e-5));
    const wrong = await imm("dataset", "info", "digits", "--moments", "mean-std");
    assert.deepEqual([wrong.code, /holds pictures/.test(wrong.stderr)], [2, true]);
  });
});
