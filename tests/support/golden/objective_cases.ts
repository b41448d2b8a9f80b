/**
 * The objective as graphs, whatever evaluates them: the golden cases imm_objective (MMD of given
 * particles), imm_step (all of the objective but the network) and the first steps of the training
 * runs imm_train_*, with the tolerances of tests/golden/README.md for float64 and for float32.
 */

import { AssertionError } from "node:assert/strict";
import { type ImmConfig, immConfig } from "../../../lib/imm/config.ts";
import { kernel } from "../../../lib/imm/kernel.ts";
import { groupLosses, objective } from "../../../lib/imm/objective.ts";
import { COEFFICIENTS, groupCoefficients, withTargets } from "../../../lib/imm/times.ts";
import { kernelWeight, weight } from "../../../lib/imm/weighting.ts";
import {
  grad,
  input,
  mean,
  mul,
  pairwiseSquaredDistance,
  reshape,
  type Shape,
  sum,
  type Tensor,
} from "../../../lib/tensor/mod.ts";
import { assertClose } from "../close.ts";
import {
  bothFiles,
  goldenEntry,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "./fixtures.ts";

/** The arithmetic that evaluated a graph. */
export type Precision = "float64" | "float32";

/** A graph of the objective with the values it should have. */
export interface ImmCase {
  readonly name: string;
  build(): BuiltImmCase;
}

/** See {@link ImmCase}. */
export interface BuiltImmCase {
  readonly inputs: readonly { readonly tensor: Tensor; readonly name: string; data: Numbers }[];
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Throws where the values of the outputs are out of tolerance. */
  check(values: Readonly<Record<string, ArrayLike<number>>>, precision: Precision): void;
}

type Numbers = Float32Array | Float64Array;

/** What the fixtures say about every configuration. */
interface ConfigInfo {
  readonly noise_schedule: ImmConfig["interpolant"];
  readonly f_type: ImmConfig["parameterization"];
  readonly temb_type?: ImmConfig["timeConditioning"];
  readonly sigma_data: number;
  readonly time_scale?: number;
  readonly a: number;
  readonly b: number;
  readonly M: number;
  readonly kernel: ImmConfig["kernel"];
  readonly kernel_eps?: number;
  readonly pseudo_huber_c?: number;
  readonly bandwidth?: number;
  readonly T?: number;
  readonly eps?: number;
  readonly k?: number;
  readonly mapping?: ImmConfig["mapping"];
  readonly min_gap?: number | null;
  readonly eta_range?: readonly [number, number] | null;
}

/** The part of a recorded training run that says what its objective is. */
export interface ImmTraining {
  readonly imm: ConfigInfo;
  readonly config: { readonly time_scale?: number };
  readonly label_dropout: number | null;
  readonly label_dropout_passes?: ImmConfig["labelDropoutPasses"];
}

interface ObjectiveInfo extends ConfigInfo {
  readonly name: string;
  readonly inputs_of?: string;
  readonly groups: number;
  readonly shape: readonly number[];
  readonly s: readonly number[];
  readonly t: readonly number[];
  readonly kernel_weight: readonly number[];
  readonly weight: readonly number[];
  readonly loss: number;
  readonly loss_group: readonly number[];
  readonly mean_kernel: readonly [number, number, number][];
}

interface StepInfo extends ConfigInfo {
  readonly name: string;
  readonly groups: number;
  readonly shape: readonly number[];
  readonly s: readonly number[];
  readonly t: readonly number[];
  readonly r: readonly number[];
  readonly weight: readonly number[];
  readonly loss: number;
  readonly loss_group: readonly number[];
  readonly float32: {
    readonly grad_rel_l2: readonly number[];
    readonly loss_error: readonly number[];
  };
}

/** The configuration of a fixture in this project's names. */
export function configOf(info: ConfigInfo): ImmConfig {
  const settings: { -readonly [K in keyof ImmConfig]?: ImmConfig[K] | undefined } = {
    interpolant: info.noise_schedule,
    parameterization: info.f_type,
    timeConditioning: info.temb_type,
    sigmaData: info.sigma_data,
    timeScale: info.time_scale,
    a: info.a,
    b: info.b,
    M: info.M,
    kernel: info.kernel,
    kernelEps: info.kernel_eps,
    pseudoHuberC: info.pseudo_huber_c,
    bandwidth: info.bandwidth,
    T: info.T,
    eps: info.eps,
    k: info.k,
    mapping: info.mapping,
    minGap: info.min_gap,
    etaRange: info.eta_range,
  };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return immConfig(Object.fromEntries(given));
}

/** The configuration of a recorded training run. */
export function configOfTraining(run: ImmTraining): ImmConfig {
  const { time_scale } = run.config;
  return {
    ...configOf({ ...(time_scale === undefined ? {} : { time_scale }), ...run.imm }),
    labelDropout: run.label_dropout ?? 0,
    labelDropoutPasses: run.label_dropout_passes ?? "student",
  };
}

/** Differences per group: each must be within its own limit. */
function assertGroups(
  errors: readonly number[],
  limits: readonly number[],
  what: string,
): void {
  errors.forEach((error, g) => {
    if (!(error <= limits[g])) {
      throw new AssertionError({ message: `${what}, group ${g}: error ${error} > ${limits[g]}` });
    }
  });
}

/** |a - b|_2 / |b|_2 of each of `groups` equal parts. */
function relativeL2(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  groups: number,
): number[] {
  const size = expected.length / groups;
  return Array.from({ length: groups }, (_, g) => {
    let [difference, norm] = [0, 0];
    for (let i = g * size; i < (g + 1) * size; i++) {
      difference += (actual[i] - expected[i]) ** 2;
      norm += expected[i] ** 2;
    }
    return difference === 0 ? 0 : Math.sqrt(difference / norm);
  });
}

const differences = (actual: ArrayLike<number>, expected: readonly number[]): number[] =>
  expected.map((value, g) => Math.abs(actual[g] - value));

function buildObjective(info: ObjectiveInfo, golden: Map<string, GoldenTensor>): BuiltImmCase {
  const config = configOf(info);
  const G = info.groups;
  const D = info.shape.reduce((product, n) => product * n, 1);
  const particles = [G, info.M, D];
  const source = info.inputs_of ?? info.name;
  const named = (name: string, shape: Shape, data: Numbers) => ({
    tensor: input(name, shape),
    name,
    data,
  });
  const load = (name: string) => goldenTensor(golden, name).data as Numbers;

  const yT = named("y_t", particles, load(`${source}.y_t`));
  const yR = named("y_r", particles, load(`${source}.y_r`));
  const w = named("weight", [G], Float64Array.from(info.t, (t) => weight(config, t)));
  const tilde = named(
    "kernel_weight",
    [G],
    Float64Array.from(info.t, (t, g) => kernelWeight(config, info.s[g], t)),
  );
  const lossGroup = groupLosses(config, yT.tensor, yR.tensor, w.tensor, tilde.tensor);
  const loss = mean(lossGroup);
  const meanKernel = (a: Tensor, b: Tensor) => {
    const scale = reshape(tilde.tensor, [G, 1, 1]);
    return mean(kernel(config, pairwiseSquaredDistance(a, b), scale, D), [1, 2]);
  };
  return {
    inputs: [yT, yR, w, tilde],
    outputs: {
      loss,
      lossGroup,
      "grad.y_t": grad(loss, [yT.tensor])[0],
      kTT: meanKernel(yT.tensor, yT.tensor),
      kRR: meanKernel(yR.tensor, yR.tensor),
      kTR: meanKernel(yT.tensor, yR.tensor),
    },
    check(values, precision) {
      const exact = precision === "float64";
      assertClose(w.data, info.weight, { rel: 1e-11 }, "weight");
      assertClose(tilde.data, info.kernel_weight, { rel: 1e-9 }, "kernel weight");
      const scales = info.mean_kernel.map((k, g) =>
        info.weight[g] * Math.max(...k.map((value) => Math.abs(value)))
      );
      const limits = exact
        ? info.loss_group.map((loss) => 1e-9 * Math.abs(loss))
        : scales.map((scale) => 2e-6 * scale);
      assertGroups(differences(values.lossGroup, info.loss_group), limits, "loss_group");
      const mean = limits.reduce((total, limit) => total + limit, 0) / G;
      assertClose(values.loss, [info.loss], { abs: mean }, "loss");
      const gradient = relativeL2(values["grad.y_t"], load(`${info.name}.grad.y_t`), G);
      assertGroups(gradient, gradient.map(() => exact ? 1e-9 : 1e-5), "gradient (relative L2)");
      const one = config.kernel === "laplace" || config.kernel === "rbf" ? 1 : 0;
      [values.kTT, values.kRR, values.kTR].forEach((k, i) => {
        const expected = info.mean_kernel.map((row) => row[i] - one);
        assertClose(k, expected, { abs: exact ? 1e-12 : 1e-6, rel: exact ? 1e-12 : 2e-6 }, "k");
      });
    },
  };
}

/** The objective on given data and raw network outputs; `load` finds x, noise, F_t and F_r. */
function buildStep(
  config: ImmConfig,
  [s, t]: readonly [ArrayLike<number>, ArrayLike<number>],
  shape: Shape,
  load: (name: "x" | "noise" | "F_t" | "F_r") => Numbers,
): Pick<BuiltImmCase, "inputs" | "outputs"> {
  const times = withTargets(config, s, t);
  const G = s.length;
  const coefficients = groupCoefficients(config, times);
  const batch = [G * config.M, ...shape];
  const [x, noise, FT, FR] = (["x", "noise", "F_t", "F_r"] as const)
    .map((name) => ({ tensor: input(name, batch), name, data: load(name) }));
  const packed = {
    tensor: input("coefficients", [COEFFICIENTS.length, G]),
    name: "coefficients",
    data: Float64Array.from(COEFFICIENTS.flatMap((name) => [...coefficients[name]])),
  };
  const networkInputs: Record<string, Tensor> = {};
  const { loss, lossGroup, xT, xR, yT, yR } = objective(config, {
    x: x.tensor,
    noise: noise.tensor,
    coefficients: packed.tensor,
    network: (xIn, pass) => {
      networkInputs[pass] = xIn;
      return pass === "student" ? FT.tensor : FR.tensor;
    },
  });
  const [gradient] = grad(loss, [FT.tensor]);
  return {
    inputs: [x, noise, FT, FR, packed],
    outputs: {
      loss,
      lossGroup,
      x_t: xT,
      x_r: xR,
      y_t: yT,
      y_r: yR,
      "grad.F_t": gradient,
      in_t: networkInputs.student,
      in_r: networkInputs.target,
      // Nothing of the loss reaches the target's network.
      "grad.F_r": sum(mul(grad(loss, [FR.tensor])[0], 1)),
    },
  };
}

function buildStepCase(info: StepInfo, golden: Map<string, GoldenTensor>): BuiltImmCase {
  const config = configOf(info);
  const load = (name: string) => goldenTensor(golden, `${info.name}.${name}`).data as Numbers;
  const G = info.groups;
  return {
    ...buildStep(config, [info.s, info.t], info.shape, load),
    check(values, precision) {
      const exact = precision === "float64";
      const { r, t } = withTargets(config, info.s, info.t);
      assertClose(r, info.r, { abs: 3e-14 }, "r");
      for (const name of ["x_t", "x_r", "y_t", "y_r"]) {
        assertClose(values[name], load(name), { rel: exact ? 1e-10 : 3e-7 }, name);
      }
      for (const [name, state, times] of [["in_t", "x_t", t], ["in_r", "x_r", r]] as const) {
        const { cInT } = groupCoefficients(config, { s: times, r: times, t: times });
        const size = load(state).length / G;
        const expected = load(state).map((x, i) => x * cInT[Math.floor(i / size)]);
        assertClose(values[name], expected, { rel: exact ? 1e-10 : 4e-7 }, name);
      }
      const { grad_rel_l2, loss_error } = info.float32;
      const lossLimits = exact
        ? info.weight.map((w) => 1e-10 * w)
        : info.weight.map((w, g) => 5 * loss_error[g] + 1e-7 * w);
      assertGroups(differences(values.lossGroup, info.loss_group), lossLimits, "loss_group");
      const lossLimit = lossLimits.reduce((total, limit) => total + limit, 0) / G;
      assertClose(values.loss, [info.loss], { abs: lossLimit }, "loss");
      assertGroups(
        relativeL2(values["grad.F_t"], load("grad.F_t"), G),
        grad_rel_l2.map((error) => exact ? 1e-10 : 5 * error + 1e-6),
        "gradient (relative L2)",
      );
      assertClose(values["grad.F_r"], [0], {}, "gradient of the target");
    },
  };
}

/** The training runs: the tensors of a fixture hold the first step. */
export const IMM_TRAINING = ["imm_train_ddpmpp_edm", "imm_train_ddpmpp_euler", "imm_train_dit"];

function buildTrainingStep(name: string): BuiltImmCase {
  const info = goldenJson<ImmTraining & { tolerances: { loss_group: number } }>(name);
  const golden = goldenTensors(name);
  const config = configOfTraining(info);
  const first = (key: string) => goldenEntry(goldenTensor(golden, key), 0).data as Numbers;
  const [, , ...shape] = goldenTensor(golden, "x").shape;
  const load = (key: string) =>
    key.startsWith("F") ? goldenTensor(golden, `step0.${key}`).data as Numbers : first(key);
  return {
    ...buildStep(config, [first("s"), first("t")], shape, load),
    check(values, precision) {
      assertClose(withTargets(config, first("s"), first("t")).r, first("r"), { abs: 3e-14 }, "r");
      for (const key of ["y_t", "y_r"]) {
        const expected = goldenTensor(golden, `step0.${key}`).data;
        assertClose(values[key], expected, { rel: 3e-7 }, key); // stored in float32
      }
      const rel = precision === "float64" ? 1e-6 : info.tolerances.loss_group;
      assertClose(values.lossGroup, first("loss_group"), { rel }, "loss_group");
    },
  };
}

/** Every golden case of the objective. Tensors are read when the first case is built. */
export const immCases: readonly ImmCase[] = [
  ...casesOf("imm_objective", "objective", buildObjective),
  ...casesOf("imm_step", "step", buildStepCase),
  ...IMM_TRAINING.flatMap((name) =>
    withGolden(bothFiles(name), () => [{
      name: `first step of ${name}`,
      build: () => buildTrainingStep(name),
    }]) ?? []
  ),
];

function casesOf<Info extends { readonly name: string }>(
  fixture: string,
  kind: string,
  build: (info: Info, golden: Map<string, GoldenTensor>) => BuiltImmCase,
): ImmCase[] {
  return withGolden(bothFiles(fixture), () => {
    let golden: Map<string, GoldenTensor> | null = null;
    return goldenJson<{ cases: Info[] }>(fixture).cases.map((info) => ({
      name: `${kind} ${info.name}`,
      build: () => build(info, golden ??= goldenTensors(fixture)),
    }));
  }) ?? [];
}
