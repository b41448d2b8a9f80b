/** Threads that decode while training change nothing but the time. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import { openDevice } from "../../lib/device/open.ts";
import { InterruptedError } from "../../lib/base/errors.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { TrainingRun } from "../../lib/train/run/run.ts";
import { withTempFolder } from "../support/files.ts";
import {
  BATCH,
  checkpointsIn,
  imm,
  logOf,
  startArguments,
  TINY_RUN,
} from "../support/examples/runs.ts";

Deno.test("a run is the same with any number of threads for the data, also resumed with others", async () => {
  await withTempFolder(async (folder) => {
    const data = join(folder, "digits.zip");
    await prepareDataset("digits", data, { limit: 100, workers: 1 });
    const settings = [...TINY_RUN, "data.mirror=true", "data.augment={}"];
    const source = { preset: "digits", data, settings };
    const device = await openDevice({ device: "wasm", threads: 1 });
    const runs = [0, 1, 3].map((dataWorkers) => ({
      dataWorkers,
      out: join(folder, `run${dataWorkers}`),
    }));
    const parts = join(folder, "parts");
    try {
      for (const { out, dataWorkers } of runs) {
        await using run = await TrainingRun.start(device, source, out);
        assert.equal((await run.train({ dataWorkers })).images, 20 * BATCH);
      }
      {
        await using run = await TrainingRun.start(device, source, parts);
        const stop = new AbortController();
        const observer = { step: (images: number) => images === 9 * BATCH && stop.abort() };
        await assert.rejects(
          run.train({ signal: stop.signal, observer, dataWorkers: 2 }),
          InterruptedError,
        );
      }
      await using run = await TrainingRun.resume(device, parts);
      await run.train({ dataWorkers: 1 });
    } finally {
      device.close();
    }
    const states = await Promise.all([...runs.map(({ out }) => out), parts].map(async (out) => {
      const newest = (await checkpointsIn(out)).at(-1)!;
      return { ...(await loadCheckpoint(join(out, newest))).state, log: await logOf(out) };
    }));
    for (const state of states) assert.deepEqual(state, states[0]);
  });
});

Deno.test("--data-workers is taken by new and by resumed runs, and by data without pictures", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const start = await imm(...startArguments(out), "--data-workers", "2");
    assert.equal(start.code, 0, start.stderr);
    const resumed = await imm(
      ...["train", "--resume", out, "--device", "wasm", "--data-workers", "0"],
    );
    assert.equal(resumed.code, 0, resumed.stderr);
    const wrong = await imm(...startArguments(out), "--data-workers", "-1");
    assert.equal(wrong.code, 2);
    const [line] = await Deno.readTextFile(join(out, "stats.jsonl")).then((text) =>
      text.split("\n").map((line) => line && JSON.parse(line))
    );
    assert(line.time.data >= 0);
  });
});
