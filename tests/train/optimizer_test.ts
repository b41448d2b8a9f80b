/** The optimisers and the average of the weights, step by step against PyTorch's. */

import assert from "node:assert/strict";
import { compile } from "../../lib/compile/compile.ts";
import { ArenaBuffer, arenaMap } from "../../lib/device/arena_buffer.ts";
import type { Device } from "../../lib/device/device.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { Arena } from "../../lib/tensor/mod.ts";
import {
  checkOptimizer,
  type OptimizerConfig,
  updateNumbers,
} from "../../lib/train/step/optimizer.ts";
import {
  STEP_SUMS,
  TIME_BINS,
  type TrainingArenas,
  updateProgram,
} from "../../lib/train/step/programs.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import {
  bothFiles,
  goldenEntry,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";
import { hashedValues } from "../support/golden/hash.ts";
import { InterpreterDevice } from "../support/reference/device.ts";

interface RunFixture {
  readonly optimizer: "Adam" | "AdamW" | "RAdam";
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay?: number;
}

interface Fixture {
  readonly ema_decay: number;
  readonly steps: number;
  readonly runs: Readonly<Record<string, RunFixture>>;
}

type Tensors = ReadonlyMap<string, GoldenTensor>;

const DEFAULTS: OptimizerConfig = configOf({
  optimizer: "RAdam",
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
});

/** Parameters of two shapes. */
const START: Tensors = new Map(
  Object.entries({ a: [3, 4], b: [7] }).map(([name, shape]) => {
    const size = shape.reduce((product, n) => product * n, 1);
    return [name, { shape, data: hashedValues(name, size, 1, 0) }];
  }),
);

withGolden(bothFiles("optim"), () => {
  const fixture = goldenJson<Fixture>("optim");
  for (const run of Object.keys(fixture.runs)) {
    const name = `every step is PyTorch's in the run ${run}`;
    deviceTest(name, (device) => follow(device, fixture, run));
    Deno.test(`${name} [plan in float64]`, () => follow(new InterpreterDevice(), fixture, run));
  }
});

/** Takes the steps of a run and compares everything with the fixture. */
async function follow(device: Device, fixture: Fixture, run: string): Promise<void> {
  const golden = goldenTensors("optim");
  const start = new Map(
    [...golden].filter(([key]) => key.startsWith("init."))
      .map(([key, tensor]) => [key.slice("init.".length), tensor]),
  );
  const ofStep = (name: string, step: number) =>
    goldenEntry(goldenTensor(golden, name), step).data as Float32Array;
  const update = await prepare(device, configOf(fixture.runs[run]), false, start);
  for (let step = 0; step < fixture.steps; step++) {
    for (const name of start.keys()) update.gradients.write(name, ofStep(`grads.${name}`, step));
    await update.run(step + 1, { emaDecay: fixture.ema_decay });
    for (const name of start.keys()) {
      for (const [part, key] of [["parameters", ""], ["ema", "ema."]] as const) {
        const found = await update[part].read(name);
        const expected = ofStep(`${run}.${key}${name}`, step);
        assertClose(found, expected, { rel: 3e-6, abs: 1e-7 }, `${part}.${name}, step ${step}`);
      }
    }
  }
  for (const name of start.keys()) {
    for (const [part, key] of [["m", "exp_avg"], ["v", "exp_avg_sq"]] as const) {
      const expected = goldenTensor(golden, `${run}.${key}.${name}`).data;
      assertClose(await update[part].read(name), expected, { rel: 1e-5 }, `${part}.${name}`);
    }
  }
  update.free();
}

deviceTest(
  "clipping scales the gradient to the norm and reports the norm before",
  async (device) => {
    const update = await prepare(device, { ...DEFAULTS, betas: [0, 0.999] }, true);
    const gradients = [...START].map(([name, { data }]) =>
      hashedValues(`gradient of ${name}`, data.length, 3, 1)
    );
    const names = [...START.keys()];
    const norm = Math.sqrt(
      gradients.flatMap((data) => [...data]).reduce((sum, x) => sum + x * x, 0),
    );
    for (const [share, factor] of [[0.25, 0.25], [4, 1]]) {
      names.forEach((name, i) => update.gradients.write(name, gradients[i]));
      const found = await update.run(1, { maxNorm: share * norm });
      assertClose([found], [norm], { rel: 1e-6 }, "norm");
      for (const [i, name] of names.entries()) {
        // Without momentum, m is the clipped gradient.
        const expected = gradients[i].map((x) => factor * x);
        assertClose(await update.m.read(name), expected, { rel: 2e-6 }, `${share}: ${name}`);
      }
    }
    update.free();
  },
);

deviceTest(
  "weight decay is added to the gradient of adam, and shrinks that of adamw",
  async (device) => {
    const decayed = async (name: "adam" | "adamw") => {
      const update = await prepare(device, { ...DEFAULTS, name, weightDecay: 0.5 }, false);
      for (const [name, { data }] of START) {
        update.gradients.write(name, new Float32Array(data.length));
      }
      await update.run(1);
      const found = { m: await update.m.read("a"), parameters: await update.parameters.read("a") };
      update.free();
      return found;
    };
    const before = START.get("a")!.data as Float32Array;
    const adam = await decayed("adam");
    assertClose(adam.m, before.map((x) => 0.1 * 0.5 * x), { rel: 1e-6 }, "m of adam");
    // The first step of Adam has the size of the learning rate, whatever the gradient.
    const moved = before.map((x) => x - DEFAULTS.lr * Math.sign(x));
    assertClose(adam.parameters, moved, { abs: 1e-6 }, "adam");
    const adamw = await decayed("adamw");
    assertClose(adamw.m, new Float32Array(before.length), {}, "m of adamw");
    const shrunk = before.map((x) => x * (1 - DEFAULTS.lr * 0.5));
    assertClose(adamw.parameters, shrunk, { rel: 1e-7 }, "adamw");
  },
);

Deno.test("settings of an optimiser out of range are refused by name", () => {
  checkOptimizer(DEFAULTS);
  const wrong: [Partial<OptimizerConfig>, RegExp][] = [
    [{ lr: 0 }, /optimizer\.lr must be a positive number, but it is 0/],
    [{ lr: NaN }, /optimizer\.lr/],
    [{ eps: -1 }, /optimizer\.eps/],
    [{ weightDecay: -0.1 }, /optimizer\.weightDecay/],
    [{ betas: [0.9, 1] }, /optimizer\.betas/],
  ];
  for (const [settings, message] of wrong) {
    assert.throws(
      () => checkOptimizer({ ...DEFAULTS, ...settings }),
      (error) => error instanceof UsageError && message.test(error.message),
      JSON.stringify(settings),
    );
  }
});

/** The update on a device, from the given parameters. */
async function prepare(
  device: Device,
  config: OptimizerConfig,
  clip: boolean,
  start: Tensors = START,
) {
  const layout = new Arena("parameters");
  for (const [name, { shape }] of start) layout.add(name, shape);
  const sums = new Arena("sums");
  for (const name of STEP_SUMS) sums.add(name, []);
  sums.add("lossBins", [TIME_BINS]);
  const named = {
    parameters: layout,
    gradients: layout.like("gradients"),
    m: layout.like("m"),
    v: layout.like("v"),
    ema: layout.like("ema"),
    frozen: new Arena("frozen"),
    sums,
  };
  const arenas: TrainingArenas = { ...named, averages: [] };
  const buffers = Object.fromEntries(
    Object.entries(named).map(([name, arena]) => [name, new ArenaBuffer(device, arena)]),
  ) as Record<keyof typeof named, ArenaBuffer>;
  for (const [name, { data }] of start) {
    buffers.parameters.write(name, data as Float32Array);
    buffers.ema.write(name, data as Float32Array);
  }
  const plan = compile(updateProgram(arenas, config, clip));
  const executable = await device.prepare(plan, arenaMap(...Object.values(buffers)));
  return {
    ...buffers,
    /** Enqueues a step; the first is 1. Gives the norm of the gradient. */
    run: async (
      step: number,
      { emaDecay = 0.9, maxNorm }: { emaDecay?: number; maxNorm?: number } = {},
    ): Promise<number> => {
      executable.run({
        numbers: updateNumbers(config, step, config.lr, emaDecay),
        ...(maxNorm === undefined ? {} : { maxNorm: Float32Array.of(maxNorm) }),
      });
      return (await executable.read(["gradientNorm"])).gradientNorm[0];
    },
    free: () => {
      executable.destroy();
      for (const buffer of Object.values(buffers)) buffer.free();
    },
  };
}

function configOf({ optimizer, lr, betas, eps, weight_decay = 0 }: RunFixture): OptimizerConfig {
  const name = optimizer.toLowerCase() as OptimizerConfig["name"];
  return { name, lr, betas, eps, weightDecay: weight_decay };
}
