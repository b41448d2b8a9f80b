/** The generator on every device: the official samples, and what must not matter for an image. */

import { deepEqual, equal, notDeepEqual, rejects } from "node:assert/strict";
import { ArenaBuffer } from "../../lib/device/arena_buffer.ts";
import { FormatError, ImmError } from "../../lib/base/errors.ts";
import {
  type ImmConfig,
  pushforwardSteps,
  restartSteps,
  scheduleTimes,
} from "../../lib/imm/mod.ts";
import { latents } from "../../lib/objectives/sampler.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { Generator } from "../../lib/sample/generator.ts";
import { assertClose } from "../support/close.ts";
import { availableDevices } from "../support/devices/devices.ts";
import {
  bothFiles,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";
import { classesOf, goldenModel } from "../support/golden/network_fixture.ts";
import { type SamplerRun, samplerRuns } from "../support/golden/sampler_cases.ts";
import { InterpreterDevice } from "../support/reference/device.ts";
import { toDeviceLayout } from "../support/golden/layout.ts";
import { exampleModel, tinyModel } from "../support/examples/models.ts";
import { objectiveOf } from "../../lib/objectives/registry.ts";

const devices = await availableDevices();

/** Runs a case of the fixture and compares every state. */
async function reproduce(
  generator: Generator,
  { family, imm, steps, states, ...info }: SamplerRun,
  golden: ReadonlyMap<string, GoldenTensor>,
): Promise<void> {
  const image = (name: string) =>
    Float32Array.from(toDeviceLayout(goldenTensor(golden, name), "nchw").data);
  const images = generator.batch;
  const found: Float64Array[] = [];
  const samples = await generator.generate({
    seeds: Array.from({ length: images }, (_, i) => i),
    labels: info.labels ? classesOf(goldenTensor(golden, `${family}.labels`)) : undefined,
    steps,
    guidance: info.cfg_scale ?? 1,
    latents: image(`${family}.latents`),
    noise: Array.from(
      { length: info.noise_tensors_used },
      (_, i) => image(`${family}.noise${i}`).map((value) => value * imm.sigmaData),
    ),
    onStep: (_, x) => found.push(x.slice()),
  });
  const tolerance = steps.length === 1 ? 2e-5 : 1e-4;
  equal(found.length, steps.length);
  // The last state is the samples, which the fixture holds once.
  for (const [i, x] of [...found.slice(0, -1), samples].entries()) {
    assertClose(x, image(states[i]), { abs: tolerance, rel: tolerance }, states[i]);
  }
}

withGolden(bothFiles("samplers"), () => {
  for (const [family, runs] of Map.groupBy(samplerRuns(), ({ family }) => family)) {
    withGolden(bothFiles(`net_${family}`), () => {
      for (const device of devices) {
        Deno.test(`${device.kind}: ${family} gives the official states and samples`, async (t) => {
          // The network is the same in all cases, and compiled once.
          const golden = goldenTensors("samplers");
          const [batch] = goldenTensor(golden, `${family}.latents`).shape;
          const model = goldenModel(`net_${family}`);
          const generator = await Generator.create(device, model, { batch });
          for (const run of runs) {
            await t.step(run.name, () => reproduce(generator, run, golden));
          }
          generator.free();
        });
      }
    });
  }
});

/** Two steps of a model with restarts: everything that could depend on the batch. */
function restarts(imm: ImmConfig) {
  return restartSteps(imm, scheduleTimes(imm, { kind: "uniform", steps: 2 }));
}

for (const device of devices) {
  Deno.test(`${device.kind}: an image has the same bits in a batch of any size`, async () => {
    const small = tinyModel({ labelDim: 10, attnResolutions: [4], imgChannels: 3 });
    const deep = tinyModel({ labelDim: 10, attnResolutions: [4], channelMult: [1, 2, 2] });
    // Shaders take seconds to compile: WebGPU is tried with less.
    const thorough = device.kind === "wasm";
    const models = [small, exampleModel("dit"), ...(thorough ? [deep] : [])];
    const batches = thorough ? [1, 2, 3, 7, 9, 64] : [1, 9];
    const [labels, guidance] = [[3, null, 0, 9, 5], 1.5];
    for (const model of models) {
      const runs: Float32Array[] = [];
      for (const batch of batches) {
        const generator = await Generator.create(device, model, { batch });
        const steps = restarts(model.imm!);
        runs.push(await generator.generate({ seeds: [7, 0, 1, 2, 3], labels, steps, guidance }));
        generator.free();
      }
      for (const run of runs) deepEqual(run, runs[0]);
    }
  });
}

Deno.test({
  name: "the devices give their memory back",
  fn: async () => {
    for (const device of devices) {
      await device.finish();
      device.close();
    }
  },
});

const interpreter = new InterpreterDevice();

/** Samples of a tiny model on the interpreter. */
async function tiny(
  options: Partial<Parameters<Generator["generate"]>[0]>,
  batch = 2,
  model = tinyModel({ labelDim: 3 }),
): Promise<Float32Array> {
  const generator = await Generator.create(interpreter, model, { batch });
  try {
    return await generator.generate({ seeds: [4, 9, 2], steps: restarts(model.imm!), ...options });
  } finally {
    generator.free();
  }
}

Deno.test("images follow from their own seeds, in the order given", async () => {
  const all = await tiny({});
  equal(all.length, 3 * 16);
  for (const batch of [1, 3, 4]) deepEqual(await tiny({}, batch), all);
  const reversed = await tiny({ seeds: [2, 9, 4] });
  deepEqual(reversed.slice(0, 16), all.slice(32));
  deepEqual(reversed.slice(32), all.slice(0, 16));
  notDeepEqual(all.slice(0, 16), all.slice(16, 32));
});

Deno.test("labels belong to images, also in a later batch", async () => {
  const conditional = await tiny({ labels: [0, 1, 2] });
  const other = await tiny({ labels: [0, 1, null] });
  deepEqual(conditional.slice(0, 32), other.slice(0, 32));
  notDeepEqual(conditional.slice(32), other.slice(32));
});

Deno.test("guidance 0 is the unconditional network and 1 the conditional one", async () => {
  deepEqual(await tiny({ labels: [0, 1, 2], guidance: 0 }), await tiny({}));
  deepEqual(
    await tiny({ labels: [0, 1, 2], guidance: [1, 1] }),
    await tiny({ labels: [0, 1, 2] }),
  );
  notDeepEqual(
    await tiny({ labels: [0, 1, 2], guidance: [1, 1.5] }),
    await tiny({ labels: [0, 1, 2] }),
  );
});

Deno.test("guidance moves a one-step sample along the line through both outputs", async () => {
  const model = tinyModel({ labelDim: 3 });
  const steps = pushforwardSteps(model.imm!, [model.imm!.T, model.imm!.eps]);
  const at = (guidance: number) => tiny({ labels: [0, 1, 2], steps, guidance }, 2, model);
  const [unconditional, conditional, guided] = [await at(0), await at(1), await at(2.5)];
  const expected = conditional.map((c, i) => unconditional[i] + 2.5 * (c - unconditional[i]));
  assertClose(guided, expected, { abs: 1e-5 }, "guided");
});

Deno.test("given latents and noise replace those of the seeds", async () => {
  const { sigmaData } = tinyModel().imm!;
  const seeds = [4, 9, 2];
  const own = latents(seeds, 16, sigmaData);
  deepEqual(await tiny({ seeds, latents: own }), await tiny({ seeds }));
  // Other seeds still decide about the noise of restarts.
  notDeepEqual(await tiny({ seeds: [1, 2, 3], latents: own }), await tiny({ seeds }));
  const noise = [new Float32Array(48).fill(0.1)];
  deepEqual(
    await tiny({ seeds: [1, 2, 3], latents: own, noise }),
    await tiny({ seeds, noise }),
  );
});

Deno.test("a generator shares weights that change, and frees only what it owns", async () => {
  const model = tinyModel();
  const network = createNetwork(model.network);
  const parameters = new ArenaBuffer(interpreter, network.parameters.arena.like("average"));
  const frozen = new ArenaBuffer(interpreter, network.parameters.frozen);
  const before = interpreter.live;
  const shared = { network, objective: objectiveOf(model), parameters, frozen };
  const generator = await Generator.create(interpreter, shared, { batch: 3 });
  const options = { seeds: [4, 9, 2], steps: restarts(model.imm!) };
  const zero = await generator.generate(options);
  parameters.writeAll(network.parameters.adopt(model.weights).trainable);
  const loaded = await generator.generate(options);
  notDeepEqual(loaded, zero);
  deepEqual(loaded, await tiny({}, 3, model));
  generator.free();
  equal(interpreter.live, before);
  parameters.free();
  frozen.free();
  equal(interpreter.live, 0);
});

Deno.test("every step shows the images of its batch without the filling", async () => {
  const shown: [number, number, number][] = [];
  await tiny({ onStep: (step, x, first) => shown.push([step, x.length, first]) });
  deepEqual(shown, [[0, 32, 0], [1, 32, 0], [0, 16, 2], [1, 16, 2]]);
});

Deno.test("a run stops between steps", async () => {
  const stop = new AbortController();
  const running = tiny({ onStep: () => stop.abort(new Error("enough")), signal: stop.signal });
  await rejects(running, /enough/);
});

Deno.test("options that do not fit together are refused", async () => {
  const fails = async (options: Parameters<typeof tiny>[0], message: RegExp, model = tinyModel()) =>
    await rejects(tiny(options, 2, model), (error) => {
      equal(error instanceof ImmError, true, `${error}`);
      return message.test((error as Error).message);
    });
  await fails({ labels: [0, 1] }, /as many labels, not 2/);
  await fails({ latents: new Float32Array(16) }, /48 numbers as latents, not 16/);
  await fails({ noise: [] }, /1 arrays of 48 numbers/);
  await fails({ guidance: [1, 2, 3] }, /one number or 2 as guidance/);
  await fails({ guidance: 1.5 }, /no classes/);
  await rejects(Generator.create(interpreter, tinyModel(), { batch: 0 }), ImmError);
  const other = { ...tinyModel(), weights: tinyModel({ imgChannels: 3 }).weights };
  await rejects(
    Generator.create(interpreter, other, { batch: 1, source: "model.safetensors" }),
    (error) => error instanceof FormatError && /^model.safetensors: /.test(error.message),
  );
  equal(interpreter.live, 0);
});
