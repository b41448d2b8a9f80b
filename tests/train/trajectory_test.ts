/**
 * Whole training runs against PyTorch's: some steps of the official networks with the same
 * initial weights, data, noise and times. tests/golden/README.md says how they were made and what
 * the tolerances can see.
 */

import assert from "node:assert/strict";
import type { Device } from "../../lib/device/device.ts";
import { withTargets } from "../../lib/imm/mod.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { Learner, type StepBatch } from "../../lib/train/step/learner.ts";
import type { OptimizerConfig } from "../../lib/train/step/optimizer.ts";
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
import { toDeviceLayout } from "../support/golden/layout.ts";
import { goldenWeights, type InitialWeights } from "../support/golden/network_fixture.ts";
import {
  configOfTraining,
  IMM_TRAINING,
  type ImmTraining,
} from "../support/golden/objective_cases.ts";
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
  readonly init: InitialWeights;
  readonly config: Readonly<Record<string, unknown>>;
  /** Of IMM. */
  readonly imm?: ImmTraining["imm"];
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
  readonly label_dropout_passes?: ImmTraining["label_dropout_passes"];
  readonly loss: readonly number[];
  readonly grad_norm: readonly number[];
}

type Tensors = ReadonlyMap<string, GoldenTensor>;

/** Two of them are also run with each batch in parts. */
const FIXTURES = [...IMM_TRAINING, "flow_train"];
const IN_PARTS = ["imm_train_dit", "flow_train"];

for (const name of FIXTURES) {
  withGolden(bothFiles(name), () => {
    const fixture = goldenJson<Fixture>(name);
    withGolden([fixture.init.file], () => {
      for (const microBatches of IN_PARTS.includes(name) ? [1, partsOf(fixture)] : [1]) {
        const how = microBatches > 1 ? ` in ${microBatches} micro-batches` : "";
        deviceTest(`training follows PyTorch in ${name}${how}`, async (device) => {
          await follow(await setUp(device, name, microBatches));
        });
      }
    });
  });
}

/** The fewest equal parts of a batch that are whole groups. */
function partsOf({ batch, imm }: Fixture): number {
  const groups = batch / (imm?.M ?? 1);
  for (let parts = 2; parts < groups; parts++) if (groups % parts === 0) return parts;
  return groups;
}

function objectiveOfFixture(fixture: Fixture): Objective {
  const { imm, objective, config, label_dropout } = fixture;
  if (imm) return immObjective(configOfTraining({ ...fixture, imm }));
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
  const initial = goldenWeights(network, fixture.init);
  learner.initialize(initial);
  return { fixture, tensors, learner, initial };
}

async function follow({ fixture, tensors, learner, initial }: Awaited<ReturnType<typeof setUp>>) {
  const { tolerances } = fixture;
  for (let step = 0; step < fixture.steps; step++) {
    const batch = stepBatch(tensors, learner, step);
    learner.resetSums();
    learner.run(batch, { lr: fixture.optimizer.lr, emaDecay: fixture.ema_decay });
    const { loss } = await learner.sums();
    assertClose([loss], [fixture.loss[step]], { rel: tolerances.loss }, `loss of step ${step}`);
    const norm = await learner.gradientNorm();
    const expectedNorm = fixture.grad_norm[step];
    assertClose([norm], [expectedNorm], { rel: tolerances.grad_norm }, `norm of step ${step}`);
    if (learner.config.inspect) {
      const groups = tensors.get("loss_group") ?? tensors.get("mse")!;
      const expected = goldenEntry(groups, step).data;
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

function stepBatch(tensors: Tensors, learner: Learner, step: number): StepBatch {
  const at = (name: string) => goldenEntry(goldenTensor(tensors, name), step);
  const times = (name: string) => at(name).data as Float64Array;
  const image = (name: string) => toDeviceLayout(at(name), "nchw").data as Float32Array;
  const keys = { noiseKey: [0, 0], dropoutKey: [0, 0] } as const;
  const labels = tensors.has("labels") ? Array.from(at("labels").data) : undefined;
  const drop = tensors.has("drop") ? at("drop").data : [];
  const dropped = labels?.map((label, i) => drop[i] ? null : label);
  const { config } = learner.config.objective;
  if (config.type === "flow") {
    const batch = {
      x: image("x"),
      times: times("t"),
      ...(dropped ? { labels: dropped } : {}),
    };
    return { draw: flowDraw(config as FlowConfig, batch), noise: image("noise"), ...keys };
  }
  const imm = config as ImmObjectiveConfig;
  const targets = withTargets(imm, times("s"), times("t"));
  assertClose(targets.r, times("r"), { abs: 3e-14 }, `r of step ${step}`);
  const target = imm.labelDropoutPasses === "both" ? dropped : labels;
  return immStep(imm, {
    x: image("x"),
    noise: image("noise"),
    times: targets,
    ...(labels ? { labels: { student: dropped!, target: target! } } : {}),
    ...keys,
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
      const expected = toDeviceLayout(goldenTensor(tensors, theirs), "nchw").data;
      assertClose(outputs[ours], expected, { abs: 2e-5, rel: 2e-5 }, ours);
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
