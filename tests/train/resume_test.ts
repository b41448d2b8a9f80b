/** Runs that are stopped, killed or damaged, and continued as if nothing had happened. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { openDevice } from "../../lib/device/open.ts";
import { DeviceError, InterruptedError, UsageError } from "../../lib/base/errors.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { TrainingRun } from "../../lib/train/run/run.ts";
import { failingAfter } from "../support/devices/failing_device.ts";
import { withTempFolder } from "../support/files.ts";
import {
  BATCH,
  checkpointsIn,
  ended,
  imm,
  logOf,
  snapshot,
  spawnImm,
  startArguments,
  TINY_RUN,
  until,
} from "../support/examples/runs.ts";

const IMAGES = 20 * BATCH;
/** Long enough that a child is still training when it is stopped after its first checkpoint. */
const LONG = [`train.images=${2_000 * BATCH}`, `report.checkpoint=${100 * BATCH}`];

/** Asserts that two folders hold the same run, bit for bit. */
async function assertSameRun(actual: string, expected: string): Promise<void> {
  const names = await checkpointsIn(expected);
  assert.deepEqual(await checkpointsIn(actual), names);
  assert.notEqual(names.length, 0);
  for (const name of names) {
    const [ours, theirs] = await Promise.all(
      [actual, expected].map((folder) => loadCheckpoint(join(folder, name))),
    );
    assert.deepEqual(ours.state, theirs.state, name);
    assert.equal(ours.progress.sumsSince, theirs.progress.sumsSince);
  }
  assert.deepEqual(await logOf(actual), await logOf(expected));
  const [ours, theirs] = await Promise.all(
    [actual, expected].map((folder) => Deno.readFile(join(folder, "model.safetensors"))),
  );
  assert(ours.every((byte, i) => byte === theirs[i]) && ours.length === theirs.length, "model");
}

for (const dropout of [0, 0.25]) {
  Deno.test(`10 steps, a stop and 10 more are 20 steps, bit for bit, with dropout ${dropout}`, async () => {
    await withTempFolder(async (folder) => {
      const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
      const settings = [
        ...TINY_RUN,
        `network.dropout=${dropout}`,
        "data.mirror=true",
        "data.augment={}",
      ];
      const source = { preset: "digits", settings };
      const device = await openDevice({ device: "wasm", threads: 1 });
      try {
        {
          await using run = await TrainingRun.start(device, source, whole);
          assert.equal((await run.train()).images, IMAGES);
        }
        {
          await using run = await TrainingRun.start(device, source, parts);
          const stop = new AbortController();
          const observer = {
            step: (images: number) => images === 10 * BATCH && stop.abort(),
          };
          await assert.rejects(run.train({ signal: stop.signal, observer }), (error) => {
            assert(error instanceof InterruptedError);
            assert.match(
              error.message,
              /^stopped after 160 of 320 images; continue with: imm train/,
            );
            return true;
          });
        }
        assert.equal((await checkpointsIn(parts)).at(-1), "checkpoint-000000160.safetensors");
        // Between two lines of the log: the sums continue too.
        assert.equal((await logOf(parts)).length, 3);
        await using run = await TrainingRun.resume(device, parts);
        const steps: number[] = [];
        const { images, last } = await run.train({
          observer: { step: (images) => void steps.push(images) },
        });
        assert.deepEqual([steps[0], steps.length, images], [11 * BATCH, 10, IMAGES]);
        assert.equal(last?.step, 20);
      } finally {
        device.close();
      }
      await assertSameRun(parts, whole);
    });
  });
}

Deno.test("a run killed at any moment, again and again, ends as if it had not been", async () => {
  await withTempFolder(async (folder) => {
    const [whole, killed] = [join(folder, "whole"), join(folder, "killed")];
    // A checkpoint every step: many chances to be killed while one is written.
    const settings = [
      `train.images=${150 * BATCH}`,
      `report.status=${7 * BATCH}`,
      `report.checkpoint=${BATCH}`,
      'train.ema.profiles=[{"sigmaRel":0.1},{"decay":0.9}]',
      `train.ema.snapshots=${20 * BATCH}`,
      "data.augment={}",
    ];
    assert.equal((await imm(...startArguments(whole, settings))).code, 0);
    const images = async () => Number(/\d+/.exec((await checkpointsIn(killed)).at(-1) ?? "0")![0]);
    let kills = 0;
    for (const from of [1, 30, 60]) {
      const resumed = await images() > 0;
      const child = resumed
        ? spawnImm("train", "--resume", killed, "--device", "wasm")
        : spawnImm(...startArguments(killed, settings));
      await until(async () => await images() >= from * BATCH, `${from} steps`);
      await new Promise((resolve) => setTimeout(resolve, 40 * Math.random()));
      child.kill("SIGKILL");
      const { code, stderr } = await ended(child);
      if (code === 0) break; // a fast machine: it was done before the kill
      assert.equal(code, 128 + 9, stderr);
      kills++;
    }
    assert(kills > 0, "the run was over before it could be killed");
    const { code, stderr } = await imm("train", "--resume", killed, "--device", "wasm");
    assert.equal(code, 0, stderr);
    await assertSameRun(killed, whole);
    const left = (await Array.fromAsync(Deno.readDir(killed))).map(({ name }) => name);
    assert.deepEqual(left.filter((name) => name.endsWith(".tmp")), []);
  });
});

Deno.test("a run whose device is lost, twice, says how to go on and ends as if it had not been", async () => {
  await withTempFolder(async (folder) => {
    const [whole, lost] = [join(folder, "whole"), join(folder, "lost")];
    const settings = [
      ...TINY_RUN,
      "train.microBatch=8",
      "data.augment={}",
      'train.ema.profiles=[{"sigmaRel":0.1}]',
      `report.checkpoint=${3 * BATCH}`,
    ];
    const source = { preset: "digits", settings };
    const device = await openDevice({ device: "wasm", threads: 1 });
    try {
      {
        await using run = await TrainingRun.start(device, source, whole);
        await run.train();
      }
      const interrupted = async (open: () => Promise<TrainingRun>) => {
        await using run = await open();
        await assert.rejects(run.train(), (error) => {
          assert(error instanceof DeviceError);
          assert.match(
            error.message,
            /^the device was lost; continue from image \d+ with: imm train --resume \S+lost$/,
          );
          return true;
        });
      };
      await interrupted(() =>
        TrainingRun.start(
          failingAfter(device, 17, new DeviceError("the device was lost")),
          source,
          lost,
        )
      );
      await interrupted(() =>
        TrainingRun.resume(failingAfter(device, 26, new DeviceError("the device was lost")), lost)
      );
      await using run = await TrainingRun.resume(device, lost);
      assert.equal((await run.train()).images, IMAGES);
    } finally {
      device.close();
    }
    await assertSameRun(lost, whole);
  });
});

Deno.test("a truncated checkpoint is passed over with a warning for the one before", async () => {
  await withTempFolder(async (folder) => {
    const [whole, damaged] = [join(folder, "whole"), join(folder, "damaged")];
    for (const out of [whole, damaged]) assert.equal((await imm(...startArguments(out))).code, 0);
    const names = await checkpointsIn(damaged);
    assert.deepEqual(names, [
      "checkpoint-000000256.safetensors",
      "checkpoint-000000320.safetensors",
    ]);
    const truncate = async (name: string) => {
      const path = join(damaged, name);
      await Deno.truncate(path, (await Deno.stat(path)).size - 1000);
    };
    await truncate(names[1]);
    const { code, stderr } = await imm("train", "--resume", damaged, "--device", "wasm");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: .*checkpoint-000000320.*Continuing from the checkpoint before/);
    await assertSameRun(damaged, whole);

    for (const name of names) await truncate(name);
    const without = await imm("train", "--resume", damaged, "--device", "wasm");
    assert.equal(without.code, 1);
    assert.match(without.stderr, /error: no checkpoint of .* can be read/);
  });
});

Deno.test("a folder that holds a run is refused for a new one, and nothing in it changes", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    assert.equal((await imm(...startArguments(out))).code, 0);
    const before = await snapshot(out);
    const { code, stderr } = await imm(...startArguments(out, ["train.seed=1"]));
    assert.equal(code, 2);
    assert.match(stderr, /error: .*run holds a training run; continue it with --resume/);
    assert.deepEqual(await snapshot(out), before);
    const device = await openDevice({ device: "wasm", threads: 1 });
    try {
      const source = { preset: "digits", settings: TINY_RUN };
      await assert.rejects(TrainingRun.start(device, source, out), UsageError);
    } finally {
      device.close();
    }
    assert.deepEqual(await snapshot(out), before);
  });
});

Deno.test("a finished run that is resumed stays as it is", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    assert.equal((await imm(...startArguments(out))).code, 0);
    const contents = async () => [...await snapshot(out)].map(([name, [bytes]]) => [name, bytes]);
    const before = await contents();
    const { code, stderr } = await imm("train", "--resume", out, "--device", "wasm");
    assert.equal(code, 0, stderr);
    assert.deepEqual(await contents(), before);
  });
});

Deno.test("two processes cannot train in one folder, and Ctrl-C saves and says how to go on", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const child = spawnImm(...startArguments(out, LONG));
    await until(async () => (await checkpointsIn(out)).length > 0, "a checkpoint");
    const second = await imm("train", "--resume", out, "--device", "wasm");
    assert.equal(second.code, 1);
    assert.match(second.stderr, /error: another process is writing in .*run/);

    child.kill("SIGINT");
    const { code, stderr } = await ended(child);
    assert.equal(code, 130, stderr);
    const found = /stopped after (\d+) of 32000 images; continue with: imm train --resume (\S+)/
      .exec(stderr);
    assert(found, stderr);
    const newest = (await checkpointsIn(out)).at(-1)!;
    assert.equal(Number(/\d+/.exec(newest)![0]), Number(found[1]));
    const { progress } = await loadCheckpoint(join(out, newest));
    assert.equal(progress.images, Number(found[1]));
    assert.equal(found[2].replace(/\.$/, ""), out);
  });
});
