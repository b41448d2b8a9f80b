/** Every end of a run that is not a kill leaves a checkpoint: each is caused here. */

import assert from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { FormatError, ImmError, InterruptedError } from "../../lib/base/errors.ts";
import { NotFiniteError } from "../../lib/sample/finite.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { parseTrainConfig, type TrainConfig } from "../../lib/train/config/config.ts";
import { EightGaussians } from "../../lib/train/points.ts";
import { RunFolder } from "../../lib/train/run/folder.ts";
import { train, type TrainOptions } from "../../lib/train/trainer.ts";
import { failingAfter } from "../support/devices/failing_device.ts";
import { withTempFolder } from "../support/files.ts";
import { needing } from "../support/needs.ts";
import {
  checkpointsIn,
  type Ended,
  ended,
  spawnImm,
  startArguments,
} from "../support/examples/runs.ts";

const BATCH = 8;

/** Ten steps of a network that takes no time, and a checkpoint at the end alone. */
const CONFIG: TrainConfig = parseTrainConfig({
  data: { source: "toy2d" },
  network: { type: "mlp", hidden: 8, depth: 1 },
  train: { batch: BATCH, images: 10 * BATCH },
  report: { status: 2 * BATCH, samples: 4 * BATCH, checkpoint: 0 },
}, { dimensions: 2 });

/** Trains with something that goes wrong; returns the error and the images of each checkpoint. */
async function endOf(
  device: Device,
  path: string,
  wrong: Partial<TrainOptions>,
  config: TrainConfig = CONFIG,
) {
  await using folder = await RunFolder.create(path, config);
  const source = new EightGaussians(0);
  const error: unknown = await train({ device, config, source, folder, resume: false, ...wrong })
    .then(() => assert.fail("the run ended well"), (error) => error);
  assert(error instanceof Error);
  const saved = (await checkpointsIn(path)).map((name) => Number(/\d+/.exec(name)![0]) / BATCH);
  return { error, saved };
}

/** A resumed run from there ends well, and its log has every step once. */
async function goesOn(device: Device, path: string, config: TrainConfig = CONFIG) {
  await using folder = await RunFolder.open(path);
  const source = new EightGaussians(0);
  await train({ device, config, source, folder, resume: true });
  const lines = (await Deno.readTextFile(join(path, "stats.jsonl"))).trim().split("\n");
  const images = lines.map((line) => JSON.parse(line).images / BATCH);
  assert.equal(images.at(-1), 10);
  assert.deepEqual(images, [...new Set(images)].sort((a, b) => a - b));
}

/** Throws `error` after `calls` calls. */
function failsAfter(calls: number, error: Error) {
  let left = calls;
  return () => {
    if (left-- === 0) throw error;
  };
}

Deno.test("whatever goes wrong in mid-run, what was trained is saved and the error says so", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (folder) => {
      const points = new EightGaussians(0);
      const damaged = failsAfter(5, new FormatError("dog/7.png is damaged: no end."));
      const gone = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
      const cases: [string, Partial<TrainOptions>, number, RegExp][] = [
        [
          "a damaged picture",
          {
            source: { batch: (...args) => (damaged(), points.batch(...args)) },
          },
          5,
          /^dog\/7\.png is damaged: no end; stopped after 40 of 80 images, which are saved; /,
        ],
        [
          "a reader of the log that went away",
          {
            observer: { step: failsAfter(2, gone) },
          },
          3,
          /^Broken pipe \(os error 32\); stopped after 24 of 80 images, which are saved; /,
        ],
        [
          "pictures that cannot be drawn",
          {
            draw: () => Promise.reject(new ImmError("decoder.onnx does not run")),
          },
          4,
          /^decoder\.onnx does not run; stopped after 32 of 80 images, which are saved; /,
        ],
        [
          "a bug",
          {
            observer: { report: failsAfter(1, new TypeError("x is undefined")) },
          },
          4,
          /^x is undefined$/,
        ],
        [
          "a terminal that also fails while it saves",
          {
            observer: { step: failsAfter(2, gone), wrote: failsAfter(0, gone) },
          },
          3,
          /stopped after 24 of 80 images, which are saved; /,
        ],
      ];
      for (const [what, wrong, steps, message] of cases) {
        const path = join(folder, what);
        const { error, saved } = await endOf(device, path, wrong);
        assert.deepEqual([what, saved], [what, [steps]]);
        assert.match(error.message, message);
        if (!(error instanceof TypeError)) {
          assert(
            error.message.endsWith(`continue with: imm train --resume ${path}`),
            error.message,
          );
        }
        await goesOn(device, path);
        const log = (await Deno.readTextFile(join(path, "log.txt"))).split("\n");
        const end = log.findIndex((line) => line.endsWith(error.message));
        assert(end > 0, "log.txt tells the end");
        const again = `training: 80 images in steps of 8; continued at image ${steps * BATCH}`;
        assert(log.slice(end + 1).some((line) => line.endsWith(again)), "and what came after");
      }
    });
  } finally {
    device.close();
  }
});

Deno.test("a log that cannot be written ends the run with its name, and the next line has all", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (folder) => {
      const path = join(folder, "run");
      // A folder in its place: as good as a full disk, on any system.
      const { error, saved } = await endOf(device, path, {
        observer: {
          step: (images) => images === BATCH && Deno.mkdirSync(join(path, "stats.jsonl")),
        },
      });
      assert.match(error.message, /stats\.jsonl could not be written: .*stopped after 16 of 80/);
      assert.deepEqual(saved, [2]);
      await Deno.remove(join(path, "stats.jsonl"));
      const { progress } = await loadCheckpoint(join(path, "checkpoint-000000016.safetensors"));
      assert.deepEqual([progress.sumsSince, progress.images], [0, 2 * BATCH]);
      await goesOn(device, path);
    });
  } finally {
    device.close();
  }
});

Deno.test("nothing is saved of a step that was half taken", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (folder) => {
      const bug = new TypeError("unreachable");
      // A step is a run of the gradients and one of the update: the fourth step's update fails.
      const failing = failingAfter(device, 7, bug);
      const config = { ...CONFIG, report: { ...CONFIG.report, status: 80, checkpoint: 2 * BATCH } };
      const { error, saved } = await endOf(failing, join(folder, "run"), {}, config);
      assert.equal(error, bug);
      assert.deepEqual(saved, [2]);
    });
  } finally {
    device.close();
  }
});

Deno.test("nothing is saved of what has broken down, nor before the first step", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (folder) => {
      const broken = await endOf(device, join(folder, "broken"), {
        draw: () => Promise.reject(new NotFiniteError("3 of 64 samples hold NaN")),
      });
      assert.match(
        broken.error.message,
        /^samples stopped being finite between image 32 and 32 \(3 of 64 samples hold NaN\); no /,
      );
      assert.deepEqual(broken.saved, []);
      const early = await endOf(device, join(folder, "early"), { signal: AbortSignal.abort() });
      assert(early.error instanceof InterruptedError);
      assert.equal(early.error.message, "stopped before the first step");
      assert.deepEqual(early.saved, []);
      assert.deepEqual(
        await Array.fromAsync(Deno.readDir(join(folder, "early"))).catch(() => []),
        [],
      );
    });
  } finally {
    device.close();
  }
});

Deno.test("a run that is asked to stop while it draws stops then", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (folder) => {
      const controller = new AbortController();
      const { error, saved } = await endOf(device, join(folder, "run"), {
        signal: controller.signal,
        draw: (_, signal) => {
          controller.abort();
          signal!.throwIfAborted();
          return assert.fail();
        },
      });
      assert(error instanceof InterruptedError);
      assert.match(
        error.message,
        /^stopped after 32 of 80 images; continue with: imm train --resume /,
      );
      assert.deepEqual(saved, [4]);
    });
  } finally {
    device.close();
  }
});

/** A run of some minutes that leaves nothing by itself. */
const LONG = ["train.images=320000", "report.status=16", "report.checkpoint=0"];

/** Waits until the log of a run has a line. */
async function running(path: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await Deno.stat(join(path, "stats.jsonl")).catch(() => null))) {
    assert(performance.now() < end, "no line in the log within a minute");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether something listens at the port of Deno's debugger. */
async function debuggerListens(): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port: 9229 })).close();
    return true;
  } catch {
    return false;
  }
}

/** How a run ended in a process of its own: with a checkpoint of the image that it names. */
async function assertSaved(path: string, { code, stderr }: Ended, expected: number) {
  assert.equal(code, expected, stderr);
  const [newest] = await checkpointsIn(path);
  assert(newest, `no checkpoint: ${stderr}`);
  const images = Number(/\d+/.exec(newest)![0]);
  assert(images > 0);
  if (stderr !== "") assert.match(stderr, new RegExp(`stopped after ${images} of 320000 images`));
}

const posix = { ignore: Deno.build.os === "windows" };

Deno.test(
  "terminal, system and log reader: a process that ends saves, with a code that says why",
  posix,
  async () => {
    await withTempFolder(async (folder) => {
      const causes: [string, number, (child: Deno.ChildProcess) => Promise<Ended>][] = [
        ["SIGHUP", 75, (child) => (child.kill("SIGHUP"), ended(child))],
        ["SIGTERM", 75, (child) => (child.kill("SIGTERM"), ended(child))],
        ["closed pipe", 1, async (child) => {
          await child.stderr.cancel();
          await child.stdout.cancel();
          return { code: (await child.status).code, stdout: "", stderr: "" };
        }],
      ];
      await Promise.all(causes.map(async ([what, code, cause]) => {
        const path = join(folder, what);
        const child = spawnImm(...startArguments(path, LONG), "--verbose");
        await running(path);
        await assertSaved(path, await cause(child), code);
      }));
    });
  },
);

/** Whether signals can be kept from a program here, and nothing else has Deno's debugger open. */
async function canBlockSignals(): Promise<boolean> {
  if (Deno.build.os !== "linux" || await debuggerListens()) return false;
  return (await new Deno.Command("env", { args: ["--block-signal=USR1", "true"] }).output())
    .success;
}

Deno.test(needing("env --block-signal", await canBlockSignals(), {
  name: "the launcher keeps SIGUSR1 away from Deno's debugger, and nohup's promise",
  fn: () =>
    withTempFolder(async (folder) => {
      const path = join(folder, "run");
      const launcher = fromFileUrl(import.meta.resolve("../../imm"));
      const child = new Deno.Command("sh", {
        args: ["-c", 'trap "" HUP; exec "$@"', "sh", launcher, ...startArguments(path, LONG)],
        env: { IMM_OFFLINE: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      await running(path);
      await new Promise((resolve) => setTimeout(resolve, 600)); // Deno listens half a second later
      child.kill("SIGUSR1");
      child.kill("SIGHUP");
      for (let i = 0; i < 10; i++) {
        assert.equal(await debuggerListens(), false);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      child.kill("SIGTERM");
      const end = await ended(child);
      await assertSaved(path, end, 75);
      assert.match(end.stderr, /since SIGTERM asks/);
      assert.doesNotMatch(end.stderr, /Debugger/);
    }),
}));

Deno.test("without the launcher, SIGUSR1 saves and ends the run, and the debugger is closed", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "run");
    const child = spawnImm(...startArguments(path, LONG));
    await running(path);
    await new Promise((resolve) => setTimeout(resolve, 600));
    child.kill("SIGUSR1");
    await assertSaved(path, await ended(child), 75);
  });
});
