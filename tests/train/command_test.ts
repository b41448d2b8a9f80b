/** `imm train`: what it writes and prints, and what it says when something is not as it should be. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { decodePng, encodePng } from "../../lib/formats/image/png.ts";
import { IMM_DEFAULTS } from "../../lib/imm/mod.ts";
import { loadModel } from "../../lib/models/model_file.ts";
import { parseTrainConfig } from "../../lib/train/config/config.ts";
import { preset } from "../../lib/train/config/presets.ts";
import { applySettings } from "../../lib/train/config/settings.ts";
import { withTempFolder } from "../support/files.ts";
import { imm as childImm } from "../support/cli/imm.ts";
import { needing } from "../support/needs.ts";
import {
  BATCH,
  checkpointsIn,
  type Ended,
  imm,
  logOf,
  snapshot,
  startArguments,
} from "../support/examples/runs.ts";

/** Changes a file as text. */
async function edit(path: string, change: (text: string) => string): Promise<void> {
  await Deno.writeTextFile(path, change(await Deno.readTextFile(path)));
}

function resume(run: string): Promise<Ended> {
  return imm("train", "--resume", run, "--device", "wasm");
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("a run leaves its configuration, log, pictures, checkpoints and model", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "deep", "run");
    const { code, stdout, stderr } = await imm(
      ...startArguments(out, ["report.steps=[1,2]", `report.samples=${8 * BATCH}`]),
      ...["--data", "dataset:digits", "--json", "--quiet"],
    );
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^\{.*\}\n$/);
    const result = JSON.parse(stdout);
    assert.deepEqual([result.path, result.images, result.last.step], [out, 20 * BATCH, 20]);

    const names = await Array.fromAsync(Deno.readDir(join(out, "samples")), ({ name }) => name);
    assert.deepEqual(names.sort(), [
      "000000128-1-step.png",
      "000000128-2-steps.png",
      "000000256-1-step.png",
      "000000256-2-steps.png",
      "000000320-1-step.png",
      "000000320-2-steps.png",
    ]);
    for (const name of names) {
      const { data } = decodePng(await Deno.readFile(join(out, "samples", name)), name);
      assert(new Set(data).size > 8, `${name} is all but empty`);
    }
    const log = await logOf(out) as { images: number; loss: number; lr: number }[];
    assert.deepEqual(
      log.map(({ images }) => images / BATCH),
      [3, 6, 9, 12, 15, 18, 20],
    );
    assert(log.every(({ loss, lr }) => Number.isFinite(loss) && lr === 2e-3));
    assert.deepEqual(log.at(-1), {
      ...log.at(-1),
      loss: result.last.loss,
      gradientNorm: result.last.gradientNorm,
    });
    assert.equal((await checkpointsIn(out)).length, 2);
    const model = await loadModel(join(out, "model.safetensors"));
    assert.equal(model.network.type, "song_unet");
    assert.equal(model.notes.images, String(20 * BATCH));
    // The configuration in the folder makes the same run.
    const again = join(folder, "again");
    const config = join(out, "config.json");
    const repeated = await imm("train", "--config", config, "--out", again, "--device", "wasm");
    assert.equal(repeated.code, 0, repeated.stderr);
    assert.deepEqual(await logOf(again), log);
  });
});

Deno.test("intervals of 0 mean only at the end, which may lie inside of a batch", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const { code, stdout, stderr } = await imm(...startArguments(out, [
      "report.samples=0",
      "report.checkpoint=0",
      `report.status=${50 * BATCH}`,
      `train.images=${3 * BATCH + 5}`,
    ]));
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^trained on 64 images, loss [\d.]+; the model is .*model\.safetensors\n$/,
    );
    assert.deepEqual(await checkpointsIn(out), ["checkpoint-000000064.safetensors"]);
    const names = await Array.fromAsync(Deno.readDir(join(out, "samples")), ({ name }) => name);
    assert.deepEqual(names, ["000000064-1-step.png"]);
    assert.equal((await logOf(out)).length, 1);
  });
});

Deno.test("a folder with fewer pictures than a batch is gone through again and again", async () => {
  await withTempFolder(async (folder) => {
    const data = join(folder, "data");
    for (const [label, name] of ["cat", "dog"].entries()) {
      await Deno.mkdir(join(data, name), { recursive: true });
      for (const i of [0, 1, 2]) {
        const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, p) => (40 * label + p * i) % 256);
        const png = encodePng({ width: 8, height: 8, channels: 3, data: pixels });
        await Deno.writeFile(join(data, name, `${i}.png`), png);
      }
    }
    const out = join(folder, "run");
    const { code, stderr } = await imm(
      ...startArguments(out, [`train.images=${4 * BATCH}`]),
      "--data",
      data,
    );
    assert.equal(code, 0, stderr);
    const { network } = await loadModel(join(out, "model.safetensors"));
    assert(network.type === "song_unet");
    assert.deepEqual([network.imgChannels, network.imgResolution], [3, 8]);
  });
});

Deno.test("data.mirror changes the data, and a seed everything", async () => {
  await withTempFolder(async (folder) => {
    const logs = new Map<string, unknown[]>();
    for (const setting of ["train.seed=0", "data.mirror=true", "train.seed=1"]) {
      const out = join(folder, setting);
      const { code } = await imm(...startArguments(out, [`train.images=${3 * BATCH}`, setting]));
      assert.equal(code, 0);
      logs.set(setting, await logOf(out));
    }
    assert.equal(new Set([...logs.values()].map((log) => JSON.stringify(log))).size, 3);
  });
});

Deno.test("--dry-run needs no device and writes nothing", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const env = { DENO_WEBGPU_BACKEND: "none", VK_DRIVER_FILES: "/no/such.json" };
    const args = [...startArguments(out), "--device", "webgpu"];
    const { code, stdout, stderr } = await childImm([...args, "--dry-run"], { env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^parameters: [\d,]+$/m);
    assert.match(stdout, /^state on the device: [\d.]+ KiB$/m);
    assert.match(
      stdout,
      /^gradients: \d+ kernels \(\d+ without fusion\), [\d.]+ \wi?B of scratch memory$/m,
    );
    const json = await imm(...startArguments(out), "--dry-run", "--json");
    const { config, parameters, plans } = JSON.parse(json.stdout);
    assert.equal(config.network.modelChannels, 4);
    assert(parameters > 1000 && plans.length === 2);
    assert.equal(await exists(out), false);

    const real = await childImm(args, { env });
    assert.equal(real.code, 1, real.stderr);
    assert.match(real.stderr, /^error: .*adapter/m);
    assert.equal(await exists(out), false);
  });
});

Deno.test("settings that do not exist or do not fit are named, with what was meant", () => {
  const cases: readonly [string, RegExp][] = [
    ["network.modelChanels=8", /^network\.modelChanels is not .*"network\.modelChannels"/],
    ["imm.labelDropuot=0.2", /^imm\.labelDropuot is not .*"imm\.labelDropout"/],
    ["imm.mapping=etta", /^imm\.mapping must be one of eta, .* but it is "etta"/],
    ["imm.timeScale=1e999", /^imm\.timeScale must be a finite number, but it is Infinity/],
    ["batch=64", /^batch is not a setting; did you mean "train\.batch"\?/],
    ["numBlocks=64", /^numBlocks is not a setting; did you mean "network\.numBlocks"\?/],
    ["train.batch=many", /^train\.batch: expected a number, but it is "many"/],
    ["train.batch=2.5", /^train\.batch: expected a whole number, but it is 2\.5/],
    ["train.batch=0", /^train\.batch: expected a number from 1 up, but it is 0/],
    ["train.ema.decay=1", /^train\.ema\.decay: expected a number below 1, but it is 1/],
    ["optimizer.name=sgd", /^optimizer\.name: expected one of adam, adamw, radam, but it is "sgd"/],
    ["optimizer.betas=[0.9]", /^optimizer\.betas\.1: expected a number, but it is missing/],
    ["report.steps=[]", /^report\.steps: expected at least 1 of them, but it is \[\]/],
    ["network.type=unet", /^network\.type: expected one of mlp, song_unet, .* but it is "unet"/],
    ["data.mirror=yes", /^data\.mirror: expected true or false, but it is "yes"/],
    ["train=8", /^train: expected an object with keys, but it is 8/],
    ["train.batch.size=8", /^train\.batch\.size=8: batch has no keys of its own/],
    ["__proto__.batch=8", /__proto__ is not a setting/],
    ["imm.k", /^a setting has the form key=value, as in imm\.k=14, but got imm\.k$/],
  ];
  const data = { resolution: 8, channels: 1, classes: 10 };
  for (const [setting, message] of cases) {
    assert.throws(
      () => parseTrainConfig(applySettings(preset("digits"), [setting]), data),
      { name: "UsageError", message },
      setting,
    );
  }
  const settings = ["train.images=8Mi", "imm.k=14", "optimizer.clip=null", "data.source=8 x 8"];
  const config = parseTrainConfig(applySettings(preset("digits"), settings), data);
  assert.deepEqual(
    [config.train.images, config.imm!.k, config.optimizer.clip, config.data.source],
    [2 ** 23, 14, null, "8 x 8"],
  );
  assert.equal(IMM_DEFAULTS.k, 12);
});

Deno.test("networks that are not for the data are refused before anything is written", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const cases: [string, RegExp][] = [
      ["network.imgResolution=16", /network\.imgResolution is 16, but .* has 8/],
      ["network.labelDim=3", /network\.labelDim is 3, but .* has 10/],
      ['network={"type":"mlp"}', /network\.type=mlp is for points, but the data are pictures/],
    ];
    for (const [setting, message] of cases) {
      const { code, stderr } = await imm(...startArguments(out).slice(0, 7), "--set", setting);
      assert.match(stderr, message);
      assert.equal(code, 2);
      assert.equal(await exists(out), false);
    }
    await Deno.writeTextFile(out, "something");
    const { code, stderr } = await imm(...startArguments(out));
    assert.match(stderr, /error: .*run is a file; --out expects a folder/);
    assert.equal(code, 2);
  });
});

Deno.test("damaged folders are named, and stay as they are", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    assert.equal((await imm(...startArguments(out, [`train.images=${4 * BATCH}`]))).code, 0);
    const file = join(out, "config.json");
    const good = await Deno.readTextFile(file);
    const cases: [(text: string) => string, RegExp][] = [
      [(text) => text.slice(0, -20), /config\.json is damaged .*every checkpoint holds a copy/],
      [() => "7", /config\.json: expected the keys of a configuration, found 7/],
      [
        (text) => text.replace('"batch": 16', '"batch": "x"'),
        /config\.json: train\.batch: expected a number, but it is "x"/,
      ],
      [(text) => text.replace('"digits"', '"/gone"'), /There is no data set "\/gone"/],
      [
        (text) => text.replace('"modelChannels": 4', '"modelChannels": 8'),
        /config\.json has network\.modelChannels=8, but \S+064\.safetensors was trained with 4: the weights are/,
      ],
      [
        (text) => text.replace('"numBlocks": 1', '"numBlocks": 2'),
        /config\.json has network\.numBlocks=2, but \S+064\.safetensors was trained with 1: the weights are/,
      ],
    ];
    const before = await snapshot(out);
    for (const [change, message] of cases) {
      await edit(file, change);
      assert.notEqual(await Deno.readTextFile(file), good, String(message));
      const { code, stderr } = await resume(out);
      assert.match(stderr, message);
      assert.match(stderr, /^error: /m);
      assert.equal(code, 1);
      await Deno.writeTextFile(file, good);
      const [contents, expected] = [await snapshot(out), before].map((files) =>
        [...files].map(([name, [bytes]]) => [name, bytes])
      );
      assert.deepEqual(contents, expected);
    }
    const { code, stderr } = await resume(folder);
    assert.match(stderr, /error: there is no training run in .*config\.json does not exist/);
    assert.equal(code, 1);
    const mixed = await imm("train", "--resume", out, "--preset", "digits");
    assert.match(mixed.stderr, /own configuration; leave out --preset/);
    assert.equal(mixed.code, 2);
  });
});

/** A file system of some bytes in a folder, or null where that is not allowed. */
async function mountSmall(folder: string, bytes: number): Promise<AsyncDisposable | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return null;
  const run = async (...command: string[]) =>
    (await new Deno.Command(command[0], { args: command.slice(1), stderr: "null" }).output())
      .success;
  await Deno.mkdir(folder);
  if (!await run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder)) return null;
  return { [Symbol.asyncDispose]: async () => void await run("umount", folder) };
}

/** Whether this process may mount file systems. */
async function canMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    await using mounted = await mountSmall(join(folder, "disk"), 2 ** 20);
    return mounted !== null;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(needing("mounting", await canMount(), {
  name: "a full disk ends the run with a sentence and leaves the checkpoint from before",
  fn: () =>
    withTempFolder(async (folder) => {
      const disk = join(folder, "disk");
      await using _mounted = await mountSmall(disk, 2 ** 20);
      const out = join(disk, "run");
      const settings = ["report.keep=100", `report.checkpoint=${BATCH}`, "report.status=5000"];
      const full = await imm(...startArguments(out, settings));
      assert.equal(full.code, 1, full.stderr);
      assert.match(
        full.stderr,
        /^error: \S+ could not be written: No space left on device.*; when that is mended, continue with: imm train --resume/m,
      );
      const before = await checkpointsIn(out);
      assert(before.length > 0 && before.length < 20, `${before.length} checkpoints`);
      assert.deepEqual(
        (await Array.fromAsync(Deno.readDir(out))).filter(({ name }) => name.endsWith(".tmp")),
        [],
      );
      // Room is made by removing all but the newest.
      for (const name of before.slice(0, -1)) await Deno.remove(join(out, name));
      await edit(join(out, "config.json"), (text) => text.replace('"keep": 100', '"keep": 2'));
      const { code, stderr } = await resume(out);
      assert.equal(code, 0, stderr);
      const whole = join(folder, "whole");
      assert.equal((await imm(...startArguments(whole, settings))).code, 0);
      assert.deepEqual(await logOf(out), await logOf(whole));
    }),
}));
