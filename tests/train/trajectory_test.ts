/**
 * Whole training runs against PyTorch's: 12 or 6 steps of the official networks with the same
 * initial weights, data, noise and times. tests/golden/README.md says how they were made and what
 * the tolerances can see.
 */

import assert from "node:assert/strict";
import type { Device } from "../../lib/device/device.ts";
import { immConfig, withTargets } from "../../lib/imm/mod.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { Learner, type StepBatch } from "../../lib/train/step/learner.ts";
import type { OptimizerConfig } from "../../lib/train/step/optimizer.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { goldenJson, type GoldenTensor, goldenTensors } from "../support/golden/fixtures.ts";
import { configOf } from "../support/golden/objective_cases.ts";
import { permuteArray } from "../support/golden/layout.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { type FlowConfig, flowDraw } from "../../lib/objectives/flow.ts";
import type { ImmObjectiveConfig } from "../../lib/objectives/imm.ts";
import type { Objective } from "../../lib/objectives/objective.ts";
import { createObjective, parseObjective } from "../../lib/objectives/registry.ts";

/** What a fixture of flow matching says of the objective. */
interface FlowFixture {
  readonly kind: "flow";
  readonly path: "fm" | "vp_cosine";
  readonly coefficients: "euler" | "trig";
}

interface Fixture {
  readonly tolerances: Readonly<Record<string, number>>;
  readonly init: { readonly file: string; readonly prefix: string };
  readonly config: Readonly<Record<string, unknown>>;
  /** Of IMM. */
  readonly imm?: Parameters<typeof configOf>[0];
  /** Of another objective. */
  readonly objective?: FlowFixture;
  readonly batch: number;
  readonly steps: number;
  readonly optimizer: {
    readonly name: "Adam" | "AdamW" | "RAdam";
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weight_decay: number;
  };
  readonly ema_decay: number;
  readonly label_dropout: number | null;
  readonly loss: readonly number[];
  readonly grad_norm: readonly number[];
}

type Tensors = ReadonlyMap<string, GoldenTensor>;

const FIXTURES = ["imm_train_ddpmpp_edm", "imm_train_ddpmpp_euler", "imm_train_dit", "flow_train"];

for (const name of FIXTURES) {
  for (const microBatches of name === "imm_train_dit" || name === "flow_train" ? [1, 2] : [1]) {
    const how = microBatches > 1 ? ` in ${microBatches} micro-batches` : "";
    deviceTest(`training follows PyTorch in ${name}${how}`, async (device) => {
      await follow(await setUp(device, name, microBatches));
    });
  }
}

function objectiveOfFixture({ imm, objective, config, label_dropout }: Fixture): Objective {
  if (imm) return immObjective(immConfig({ ...configOf(imm), labelDropout: label_dropout ?? 0 }));
  const { path, coefficients } = objective!;
  return createObjective(parseObjective({
    objective: {
      type: "flow",
      interpolant: path,
      parameterization: coefficients === "euler" ? "euler_fm" : "simple_edm",
      timeConditioning: config.temb_type,
      timeScale: config.time_scale,
      sigmaData: config.sigma_data,
      labelDropout: label_dropout ?? 0,
    },
  }));
}

async function setUp(device: Device, name: string, microBatches: number) {
  const fixture = goldenJson<Fixture>(name);
  const tensors = goldenTensors(name);
  const network = createNetwork(fromOfficial(fixture.config));
  const { name: optimizer, weight_decay: weightDecay, ...rates } = fixture.optimizer;
  const learner = await Learner.create(device, network, {
    objective: objectiveOfFixture(fixture),
    optimizer: {
      name: optimizer.toLowerCase() as OptimizerConfig["name"],
      weightDecay,
      ...rates,
    },
    batch: fixture.batch,
    microBatch: fixture.batch / microBatches,
    clip: false,
    givenNoise: true,
    inspect: microBatches === 1,
  });
  const initial = new Map(
    network.parameters.names.map((parameter) => {
      const { shape, data } = goldenTensors(fixture.init.file.replace(".safetensors", ""))
        .get(fixture.init.prefix + parameter)!;
      return [parameter, { shape, data: Float32Array.from(data) }];
    }),
  );
  learner.initialize(initial);
  return { fixture, tensors, learner, initial };
}

async function follow({ fixture, tensors, learner, initial }: Awaited<ReturnType<typeof setUp>>) {
  const { tolerances } = fixture;
  for (let step = 0; step < fixture.steps; step++) {
    const batch = stepBatch(fixture, tensors, learner, step);
    learner.resetSums();
    learner.run(batch, { lr: fixture.optimizer.lr, emaDecay: fixture.ema_decay });
    const { loss } = await learner.sums();
    assertClose([loss], [fixture.loss[step]], { rel: tolerances.loss }, `loss of step ${step}`);
    const norm = await learner.gradientNorm();
    const expectedNorm = fixture.grad_norm[step];
    assertClose([norm], [expectedNorm], { rel: tolerances.grad_norm }, `norm of step ${step}`);
    if (learner.config.inspect) {
      const groups = tensors.get("loss_group") ?? tensors.get("mse")!;
      const [, G] = groups.shape;
      const expected = groups.data.subarray(step * G, (step + 1) * G);
      const { lossGroup } = await learner.inspect(["lossGroup"]);
      assertClose(lossGroup, expected, { rel: tolerances.loss_group }, `groups of step ${step}`);
    }
    if (step === 0) await checkFirstStep(tensors, learner, tolerances);
  }
  const { parts } = await learner.save();
  const limits = (part: string) =>
    [part, `${part}_worst`, `${part}_qkv_bias`].map((name) => tolerances[name]);
  checkMoved(parts.parameters, tensors, "param.", initial, limits("param"), 0);
  checkMoved(parts.ema, tensors, "ema.", initial, limits("ema"), fixture.steps * 2 ** -23);
  learner.free();
}

function stepBatch(
  fixture: Fixture,
  tensors: Tensors,
  learner: Learner,
  step: number,
): StepBatch {
  const at = (name: string) => {
    const { data, shape } = tensors.get(name)!;
    const size = data.length / shape[0];
    return { data: data.subarray(step * size, (step + 1) * size), shape: shape.slice(1) };
  };
  const image = (name: string) => {
    const { data, shape } = at(name);
    return permuteArray(data as Float32Array, shape, [0, 2, 3, 1]);
  };
  const { config } = learner.config.objective;
  if (config.type === "flow") {
    const times = at("t").data as Float64Array;
    return {
      draw: flowDraw(config as FlowConfig, { x: image("x"), times }),
      noise: image("noise"),
      noiseKey: [0, 0],
      dropoutKey: [0, 0],
    };
  }
  const imm = config as ImmObjectiveConfig;
  const times = withTargets(
    imm,
    at("s").data as Float64Array,
    at("t").data as Float64Array,
  );
  assertClose(times.r, at("r").data, { abs: 3e-14 }, `r of step ${step}`);
  const batch = {
    x: image("x"),
    noise: image("noise"),
    times,
    noiseKey: [0, 0],
    dropoutKey: [0, 0],
  } as const;
  if (fixture.label_dropout === null) return immStep(imm, batch);
  const [labels, drop] = [at("labels").data, at("drop").data].map((data) => Array.from(data));
  return immStep(imm, {
    ...batch,
    labels: { student: labels.map((label, i) => drop[i] ? null : label), target: labels },
  });
}

async function checkFirstStep(
  tensors: Tensors,
  learner: Learner,
  tolerances: Readonly<Record<string, number>>,
) {
  if (learner.config.inspect) {
    const golden: Record<string, string> = learner.config.objective.config.type === "flow"
      ? { studentOutput: "step0.F", xT: "step0.x_t" }
      : {
        studentOutput: "step0.F_t",
        targetOutput: "step0.F_r",
        yT: "step0.y_t",
        yR: "step0.y_r",
      };
    const outputs = await learner.inspect(Object.keys(golden));
    for (const [ours, theirs] of Object.entries(golden)) {
      const { shape, data } = tensors.get(theirs)!;
      const [n, c, h, w] = shape;
      const nchw = permuteArray(outputs[ours], [n, h, w, c], [0, 3, 1, 2]);
      assertClose(nchw, data, { abs: 2e-5, rel: 2e-5 }, ours);
    }
  }
  const gradients = await learner.readGradients();
  const total = { error: 0, norm: 0 };
  for (const [name, { data: expected }] of tensors) {
    if (!name.startsWith("grad0.")) continue;
    const { data } = gradients.get(name.slice("grad0.".length))!;
    const error = squares(expected, (value, i) => data[i] - value);
    const norm = squares(expected, (value) => value);
    total.error += error;
    total.norm += norm;
    const limit = tolerances.grad0_worst * Math.sqrt(norm) + 1e-12;
    assert(Math.sqrt(error) <= limit, `${name}: ${Math.sqrt(error / norm)} of its norm`);
  }
  const all = Math.sqrt(total.error / total.norm);
  assert(all <= tolerances.grad0, `all gradients of step 0: ${all} of their norm`);
}

/** Compares how far parameters have moved; what moved little is limited by float32's rounding. */
function checkMoved(
  state: ReadonlyMap<string, { data: Float32Array }>,
  tensors: Tensors,
  prefix: string,
  initial: ReadonlyMap<string, { data: Float32Array }>,
  [forAll, forEach, forKeys]: readonly (number | undefined)[],
  rounding: number,
) {
  const total = { error: 0, moved: 0, norm: 0 };
  for (const [name, { data: expected }] of tensors) {
    if (!name.startsWith(prefix)) continue;
    const own = name.slice(prefix.length);
    const start = initial.get(own)!.data;
    // Frozen parameters belong to the average alone: they never change.
    const data = state.get(own)?.data ?? start;
    const error = squares(expected, (value, i) => data[i] - value);
    const moved = squares(expected, (value, i) => value - start[i]);
    const norm = squares(expected, (value) => value);
    // The gradient of keys' biases is 0 in theory: where the fixture says so, they only follow noise.
    const isNoise = forKeys !== undefined && name.endsWith("qkv.bias");
    if (!isNoise) {
      total.error += error;
      total.moved += moved;
      total.norm += norm;
    }
    const limit = (isNoise ? forKeys : forEach!) * Math.sqrt(moved) +
      (2 ** -22 + rounding) * Math.sqrt(norm);
    assert(
      Math.sqrt(error) <= limit,
      `${name}: differs by ${Math.sqrt(error)}, moved ${Math.sqrt(moved)}, limit ${limit}`,
    );
  }
  const limit = forAll! * Math.sqrt(total.moved) + (2 ** -22 + rounding) * Math.sqrt(total.norm);
  assert(Math.sqrt(total.error) <= limit, `${prefix}*: ${Math.sqrt(total.error)} > ${limit}`);
}

function squares(values: ArrayLike<number>, f: (value: number, i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += f(values[i], i) ** 2;
  return sum;
}
