/** What a run may be resumed with, and what it refuses: lost checkpoints, other data, other settings. */

import assert from "node:assert/strict";
import { dirname, join } from "jsr:@std/path@1.0.8";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { loadModel } from "../../lib/models/model_file.ts";
import {
  describeCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
} from "../../lib/train/run/checkpoint.ts";
import type { HistoryLine } from "../../lib/train/run/history.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { edm2Files, writeZip } from "../support/examples/latents.ts";
import { hashPicture } from "../support/examples/pictures.ts";
import {
  BATCH,
  checkpointsIn,
  type Ended,
  ended,
  imm,
  logOf,
  snapshot,
  spawnImm,
  startArguments,
} from "../support/examples/runs.ts";

const IMAGES = 8 * BATCH;
/** Short runs: 8 steps, a checkpoint every 4. */
const SHORT = [`train.images=${IMAGES}`];

function resume(run: string, ...more: string[]): Promise<Ended> {
  return imm("train", "--resume", run, "--device", "wasm", ...more);
}

async function trained(out: string, settings: readonly string[] = [], ...more: string[]) {
  const { code, stderr } = await imm(...startArguments(out, [...SHORT, ...settings]), ...more);
  assert.equal(code, 0, stderr);
  return out;
}

async function removeCheckpoints(run: string): Promise<void> {
  for (const name of await checkpointsIn(run)) await Deno.remove(join(run, name));
}

async function history(run: string): Promise<HistoryLine[]> {
  const text = await Deno.readTextFile(join(run, "history.jsonl"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Asserts that resuming is refused, and that nothing in the folder changes. */
async function refused(run: string, code: number, message: RegExp, ...more: string[]) {
  const before = await snapshot(run);
  const result = await resume(run, ...more);
  assert.match(result.stderr, message);
  assert.equal(result.code, code, result.stderr);
  assert.deepEqual(await snapshot(run), before);
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const before = await Deno.readTextFile(path);
  assert.notEqual(change(before), before);
  await Deno.writeTextFile(path, change(before));
}

/** Four pictures of 8 x 8 in folders of classes. */
async function writePets(root: string, classes = ["cat", "dog"]): Promise<string> {
  for (const [i, name] of [...classes, ...classes].entries()) {
    const path = join(root, name, `${i}.png`);
    await Deno.mkdir(dirname(path), { recursive: true });
    const picture = hashPicture(8, 8, 1);
    const data = picture.data.map((value) => value + i);
    await Deno.writeFile(path, await encodePng({ ...picture, data }));
  }
  return root;
}

Deno.test("a run whose checkpoints are gone does not begin again over what it has", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"));
    await removeCheckpoints(run);
    const more = ["--set", `train.images=${2 * IMAGES}`];
    const message = new RegExp(
      `error: \\S+ has no checkpoint to continue from, only model\\.safetensors of image ${IMAGES} ` +
        `and stats\\.jsonl up to image ${IMAGES}, which would be overwritten\\. Nothing was ` +
        `changed\\..*imm train --init \\S+run --out DIR begins one`,
    );
    await refused(run, 1, message, ...more);
    await refused(run, 1, message);
    // The log alone tells as well.
    await Deno.remove(join(run, "model.safetensors"));
    await refused(run, 1, /only stats\.jsonl up to image 128/, ...more);
    // A new run does not begin over the remains either.
    await Deno.remove(join(run, "config.json"));
    const before = await snapshot(run);
    const again = await imm(...startArguments(run));
    assert.match(again.stderr, /error: \S+ holds (stats|history)\.jsonl of a training run/);
    assert.equal(again.code, 2);
    assert.deepEqual(await snapshot(run), before);
  }));

Deno.test("a run that was killed before its first checkpoint begins again, and says so", () =>
  withTempFolder(async (folder) => {
    const [whole, killed] = [join(folder, "whole"), join(folder, "killed")];
    for (const run of [whole, killed]) await trained(run, [`report.status=${BATCH}`]);
    await removeCheckpoints(killed);
    await Deno.remove(join(killed, "model.safetensors"));
    await edit(
      join(killed, "stats.jsonl"),
      (text) => text.split("\n").slice(0, 4).join("\n").slice(0, -30),
    );
    const { code, stderr } = await resume(killed);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /stopped before its first checkpoint: it begins again at image 0/);
    assert.deepEqual(await logOf(killed), await logOf(whole));
    const [a, b] = await Promise.all(
      [whole, killed].map((run) => Deno.readFile(join(run, "model.safetensors"))),
    );
    assert.deepEqual(a, b);
  }));

Deno.test("a checkpoint in which one bit flipped is passed over, and pushes out no good one", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"), ["report.keep=2"]);
    const [first, last] = await checkpointsIn(run);
    const flip = async (name: string) => {
      const bytes = await Deno.readFile(join(run, name));
      bytes[bytes.length - 1234] ^= 16;
      await Deno.writeFile(join(run, name), bytes);
    };
    const whole = await loadCheckpoint(join(run, last));
    const model = await Deno.readFile(join(run, "model.safetensors"));
    await flip(last);
    const { code, stderr } = await resume(
      run,
      ...["--set", `report.checkpoint=${5 * BATCH}`, "--set", "report.keep=1"],
    );
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /warning: \S+128\.safetensors: tensor "training\.\S+" does not match its checksum: .*Continuing from the checkpoint before it/,
    );
    assert.match(stderr, /^training: 128 images .*; continued at image 64$/m);
    // Its model would have been overwritten by an older one.
    assert.match(stderr, /warning: \S+ is of image 128, whose checkpoint is lost; it is kept as/);
    assert.deepEqual(await Deno.readFile(join(run, "model-at-000000128.safetensors")), model);
    assert.deepEqual(await Deno.readFile(join(run, "model.safetensors")), model);
    // One of image 80 was written while the damaged one of image 128 was there.
    assert.deepEqual(await checkpointsIn(run), [last]);
    assert.deepEqual((await loadCheckpoint(join(run, last))).state, whole.state);
    assert.notEqual(first, last);
    await flip(last);
    await refused(run, 1, /no checkpoint of \S+ can be read: .*checksum.* Nothing was changed\./);
  }));

Deno.test("a damaged checkpoint that is newer than the one of now is not counted among the kept", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"), ["report.keep=1"]);
    const [last] = await checkpointsIn(run);
    const beyond = join(run, "checkpoint-000009999.safetensors");
    await Deno.writeTextFile(beyond, "not a checkpoint");
    const { code, stderr } = await resume(run, "--set", `train.images=${IMAGES + BATCH}`);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: .*9999.*Continuing from the checkpoint before/);
    assert.deepEqual(await checkpointsIn(run), [
      "checkpoint-000000144.safetensors",
      "checkpoint-000009999.safetensors",
    ]);
    assert.notEqual(last, "checkpoint-000000144.safetensors");
  }));

Deno.test("a model that is missing beside its checkpoint is written again, a newer one is kept", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"), ['train.ema.profiles=[{"decay":0.9}]']);
    const models = ["model.safetensors", "model-decay0.9.safetensors"].map((name) =>
      join(run, name)
    );
    const before = await Promise.all(models.map((path) => Deno.readFile(path)));
    for (const path of models) await Deno.remove(path);
    assert.equal((await resume(run)).code, 0);
    assert.deepEqual(await Promise.all(models.map((path) => Deno.readFile(path))), before);
    // Its checkpoint is lost, the one before it is not.
    await Deno.remove(join(run, (await checkpointsIn(run)).at(-1)!));
    await Deno.remove(models[1]);
    const result = await resume(run, "--set", `train.images=${4 * BATCH}`);
    assert.match(result.stderr, /nothing is left to do: the run has seen 64 images/);
    assert.deepEqual(await Deno.readFile(models[0]), before[0]);
    assert.equal((await loadModel(models[1])).notes.images, "64");
  }));

Deno.test("other data are refused by what differs, and moved data are not other data", () =>
  withTempFolder(async (folder) => {
    const pets = await writePets(join(folder, "pets"));
    const run = await trained(join(folder, "run"), [], "--data", pets);
    const more = ["--set", `train.images=${IMAGES + BATCH}`];
    await Deno.rename(join(pets, "cat"), join(pets, "swap"));
    await Deno.rename(join(pets, "dog"), join(pets, "cat"));
    await Deno.rename(join(pets, "swap"), join(pets, "dog"));
    const message =
      /error: \S+pets is not what \S+run has been trained on: images have other .*Give the data of the run with --data/;
    await refused(run, 1, message, ...more);
    await refused(run, 1, message);
    await Deno.rename(join(pets, "cat"), join(pets, "wolf"));
    await refused(run, 1, /trained on: class 0 was cat, now dog; class 1 was dog, now wolf\./);
    await Deno.remove(pets, { recursive: true });
    await refused(run, 1, /There is no data set "\S+pets"/);

    const moved = await writePets(join(folder, "other", "animals"));
    const { code, stderr } = await resume(run, "--data", moved, ...more);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^changed: data\.source from "\S+pets" to "\S+animals"$/m);
    assert.doesNotMatch(stderr, /warning/);
    const { config, beginning } = await describeCheckpoint(
      join(run, (await checkpointsIn(run)).at(-1)!),
    );
    assert.equal(config.data.source, moved);
    assert.deepEqual(beginning?.data?.classNames, ["cat", "dog"]);
    const [started, resumed] = await history(run);
    assert.deepEqual(started.beginning, beginning);
    assert.deepEqual(resumed.changes?.["data.source"], [pets, moved]);
    // From now on it is found there.
    assert.equal((await resume(run)).code, 0);
  }));

Deno.test("arrays and latents that were replaced are noticed; without labels names do not matter", () =>
  withTempFolder(async (folder) => {
    const images = join(folder, "images.npz");
    const write = (add: number) =>
      writeNpz(images, [[
        "arr_0",
        {
          type: "u8",
          shape: [4, 8, 8, 1],
          data: Uint8Array.from({ length: 256 }, (_, i) => i + add),
        },
      ]]);
    await write(0);
    const run = await trained(join(folder, "run"), [], "--data", images);
    await write(1);
    await refused(run, 1, /images\.npz is not what \S+ has been trained on: images have other con/);

    const latents = join(folder, "latents.zip");
    await writeZip(latents, await edm2Files());
    const settings = ["data.latents={}", "network.imgChannels=4"];
    const second = await trained(join(folder, "second"), settings, "--data", latents);
    assert.equal((await resume(second)).code, 0);
    const other = join(folder, "other.zip");
    const files = await edm2Files();
    files.get("00000/img-mean-std-00000003.npy")![300] ^= 1;
    await writeZip(other, files);
    await refused(second, 1, /other\.zip is not what \S+ has been trained on/, "--data", other);

    const pets = await writePets(join(folder, "pets"));
    const plain = await trained(join(folder, "plain"), ["data.labels=false"], "--data", pets);
    await Deno.rename(join(pets, "cat"), join(pets, "bat"));
    const { code, stderr } = await resume(plain);
    assert.equal(code, 0, stderr);
  }));

Deno.test("relative paths begin where the run was begun, and given ones where one is now", () =>
  withTempFolder(async (folder) => {
    const home = join(folder, "home");
    await writePets(join(home, "data", "pets"));
    const child = spawnImm(
      { cwd: home },
      ...startArguments("runs/pets", SHORT),
      ...["--data", "data/pets"],
    );
    const started = await ended(child);
    assert.equal(started.code, 0, started.stderr);
    const run = join(home, "runs", "pets");
    // This process works in another folder.
    const { code, stderr } = await resume(run, "--set", `train.images=${IMAGES + BATCH}`);
    assert.equal(code, 0, stderr);
    const pets = join(await Deno.realPath(home), "data", "pets");
    assert.deepEqual((await history(run)).at(-1)?.changes, {
      "data.source": ["data/pets", pets],
      "train.images": [IMAGES, IMAGES + BATCH],
    });
    await refused(run, 1, /There is no data set "\S+nowhere"/, "--data", "nowhere");
  }));

Deno.test("a run that began with other weights is resumed from anywhere, and began with them", () =>
  withTempFolder(async (folder) => {
    const home = join(folder, "home");
    await Deno.mkdir(home);
    await trained(join(home, "first"));
    const child = spawnImm(
      { cwd: home },
      ...startArguments("second", [...SHORT, "train.init=first"]),
    );
    const started = await ended(child);
    assert.equal(started.code, 0, started.stderr);
    const run = join(home, "second");
    await refused(run, 2, /cannot change train\.init .*: the run began with/, "--set=train.init=x");
    const before = await loadModel(join(run, "model.safetensors"));
    const { code, stderr } = await resume(run, "--set", `train.images=${IMAGES + BATCH}`);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /continued at image 128$/m);
    // Begun again before its first checkpoint, it begins with them again.
    await removeCheckpoints(run);
    for (const name of ["model.safetensors", "stats.jsonl"]) await Deno.remove(join(run, name));
    const again = await resume(run, "--set", `train.images=${IMAGES}`);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual((await loadModel(join(run, "model.safetensors"))).weights, before.weights);
  }));

Deno.test("what cannot harm may change, is said, and stands in the history and the checkpoint", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"));
    const done = await resume(run);
    assert.match(
      done.stderr,
      /nothing is left to do: the run has seen 128 images, and train\.images is 128; --set train\.images=N/,
    );
    assert.equal(done.code, 0);
    assert.equal((await history(run)).length, 1);
    const settings = [
      ...["train.images=192", "optimizer.lr=1e-3", "optimizer.warmup=32", "optimizer.clip=1"],
      ...["report.status=16", "report.tensorboard=true", "train.recompute=true"],
    ];
    const { code, stderr } = await resume(
      run,
      ...settings.flatMap((each) => ["--set", each]),
      ...["--micro-batch", "8"],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^training: 192 images .*; continued at image 128$/m);
    assert.match(stderr, /^changed: train\.images from 128 to 192$/m);
    assert.match(stderr, /^changed: train\.microBatch from null to 8$/m);
    const config = JSON.parse(await Deno.readTextFile(join(run, "config.json")));
    const newest = join(run, (await checkpointsIn(run)).at(-1)!);
    assert.deepEqual((await describeCheckpoint(newest)).config, config);
    assert.deepEqual(
      [config.train.images, config.train.microBatch, config.optimizer.lr, config.report.status],
      [192, 8, 1e-3, 16],
    );
    const [, resumed] = await history(run);
    assert.equal(resumed.images, 128);
    assert.deepEqual(resumed.changes?.["optimizer.clip"], [null, 1]);
    assert.equal(Object.keys(resumed.changes!).length, 8);
    const last = (await logOf(run)).at(-1) as { images: number; lr: number };
    assert.deepEqual([last.images, last.lr], [192, 1e-3]);
    assert(await exists(join(run, "tensorboard")));
  }));

Deno.test("what changes the meaning is refused by name, given or written into config.json", () =>
  withTempFolder(async (folder) => {
    const run = await trained(join(folder, "run"));
    const cases: [setting: string, key: string, from: string, to: string, reason: RegExp][] = [
      ["imm.k=3", "imm.k", '"k": 10', '"k": 3', /the weights were trained for another method/],
      ["imm.M=8", "imm.M", '"M": 4', '"M": 8', /another method/],
      ["optimizer.name=adamw", "optimizer.name", '"radam"', '"adamw"', /the optimizer's moments/],
      ["train.seed=1", "train.seed", '"seed": 0', '"seed": 1', /the order of the images/],
      ["train.batch=32", "train.batch", '"batch": 16', '"batch": 32', /batches of that size/],
      ["data.mirror=true", "data.mirror", '"mirror": false', '"mirror": true', /what the images/],
      ["network.dropout=0.5", "network.dropout", '"dropout": 0', '"dropout": 0.5', /network/],
    ];
    const file = join(run, "config.json");
    const good = await Deno.readTextFile(file);
    for (const [setting, key, from, to, reason] of cases) {
      const given = new RegExp(`cannot change ${key} from .* to .*: .*${reason.source}.*--init`);
      await refused(run, 2, given, "--set", setting, "--set", "train.images=999");
      assert(good.includes(from), from);
      await edit(file, (text) => text.replace(from, to));
      await refused(
        run,
        1,
        new RegExp(`config\\.json has ${key}=.*, but \\S+ was trained with .*${reason.source}`),
      );
      await Deno.writeTextFile(file, good);
    }
    await refused(
      run,
      2,
      /cannot change imm\.k .*\(the same holds for imm\.M, optimizer\.name\)/,
      ...["--set", "imm.k=3", "--set", "imm.M=8", "--set", "optimizer.name=adamw"],
    );
    await refused(run, 2, /optimizer\.lrr is not a setting/, "--set", "optimizer.lrr=1");
    for (const option of ["--preset=digits", "--config=x.json", "--out=elsewhere"]) {
      await refused(run, 2, /--resume continues with the run's own configuration; leave/, option);
    }
    // What may change may be written by hand, too, and is said.
    await edit(file, (text) => text.replace('"images": 128', '"images": 144'));
    const { code, stderr } = await resume(run);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^changed: train\.images from 128 to 144$/m);
    // A configuration that is lost is that of the checkpoint.
    const before = await Deno.readTextFile(file);
    await Deno.remove(file);
    const lost = await resume(run, "--set", "train.images=160");
    assert.equal(lost.code, 0, lost.stderr);
    assert.equal(await Deno.readTextFile(file), before.replace('"images": 144', '"images": 160'));
  }));

Deno.test("a run of an older version, without a fingerprint, goes on with a note, once", () =>
  withTempFolder(async (folder) => {
    const pets = await writePets(join(folder, "pets"));
    const run = await trained(join(folder, "run"), [], "--data", pets);
    for (const name of await checkpointsIn(run)) {
      const path = join(run, name);
      const { config, progress, state } = await loadCheckpoint(path);
      const { step: _step, sums: _sums, scaling: _scaling, ...rest } = progress;
      await saveCheckpoint(path, { config }, rest, state);
      assert.equal((await describeCheckpoint(path)).beginning, null);
    }
    await Deno.remove(join(run, "history.jsonl"));
    const more = ["--set", `train.images=${IMAGES + BATCH}`];
    const { code, stderr } = await resume(run, ...more);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: \S+ was begun by an older version, which kept no fingerprint/);
    assert.equal((await history(run))[0].beginning?.data?.items, 4);
    await Deno.rename(join(pets, "cat"), join(pets, "ape"));
    await refused(run, 1, /class 0 was cat, now ape/);
    await Deno.rename(join(pets, "ape"), join(pets, "cat"));
    assert.doesNotMatch((await resume(run)).stderr, /warning/);
  }));
