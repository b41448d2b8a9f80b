/**
 * The two programs of a training step. The first computes the gradients of one micro-batch and
 * leaves them in an arena; after all micro-batches of a batch the second updates the parameters.
 *
 * @module
 */

import { InternalError } from "../../base/errors.ts";
import type { Program } from "../../compile/program.ts";
import type { Conditioning, Network } from "../../models/network.ts";
import { atPrecision, type Precision } from "../../models/precision.ts";
import type { Objective } from "../../objectives/objective.ts";
import {
  add,
  Arena,
  concat,
  div,
  grad,
  input,
  minimum,
  mul,
  narrow,
  randomNormal,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  type Update,
  where,
  withStorage,
} from "../../tensor/mod.ts";
import {
  type OptimizerConfig,
  type OptimizerState,
  optimizerStep,
  UPDATE_NUMBERS,
} from "./optimizer.ts";
import { inverseScale, scaledStep, scalingArena } from "./scaling.ts";

/** Random stream of the noise. Layers use streams for dropout, under a key of their own. */
const NOISE_STREAM = 0;

/** The arenas of a training run. All but `frozen` and `sums` have the layout of the parameters. */
export interface TrainingArenas {
  readonly parameters: Arena;
  readonly gradients: Arena;
  readonly m: Arena;
  readonly v: Arena;
  readonly ema: Arena;
  /** More averages, in the order of the configuration. */
  readonly averages: readonly Arena[];
  /** Parameters that never change. */
  readonly frozen: Arena;
  /** Sums over the steps since the last report. */
  readonly sums: Arena;
  /** With float16: the weights as the student reads them, rounded. */
  readonly half?: Arena;
  /** With float16: see scaling.ts. */
  readonly scaling?: Arena;
}

/** What is summed up on the device between reports, one number each. */
export const STEP_SUMS = ["loss", "gradientNorm"] as const;

/** Parts of [eps, T], of equal length, for which the loss of their groups is summed up on its own. */
export const TIME_BINS = 10;

/**
 * The arenas for a network, with room for `averages` more averages of the weights; `half` is that of
 * a student in float16, see {@link passNetworks}.
 */
export function trainingArenas(
  network: Network,
  { averages = 0, student = network }: { averages?: number; student?: Network } = {},
): TrainingArenas {
  const { arena: parameters, frozen } = network.parameters;
  const half = student.parameters.arena;
  const scaled = half.storage === "f16";
  const sums = new Arena("sums");
  for (const name of STEP_SUMS) sums.add(name, []);
  sums.add("lossBins", [TIME_BINS]);
  if (scaled) sums.add("skipped", []);
  return {
    parameters,
    gradients: parameters.like("gradients"),
    m: parameters.like("m"),
    v: parameters.like("v"),
    ema: parameters.like("ema"),
    averages: Array.from({ length: averages }, (_, i) => parameters.like(`average ${i}`)),
    frozen,
    sums,
    ...(scaled ? { half, scaling: scalingArena() } : {}),
  };
}

/** Choices of the gradient program. */
export interface GradientOptions {
  /** Samples per run, a multiple of the objective's groups. */
  readonly microBatch: number;
  /** Samples over which the loss is averaged. */
  readonly batch: number;
  /** Whether the noise is uploaded (`noise`) instead of drawn on the device (from `noiseKey`). */
  readonly givenNoise?: boolean;
  /** Whether the blocks of trained passes are computed again in the backward pass; see `ForwardOptions`. */
  readonly recompute?: boolean;
  /** Whether what the objective lets tests inspect can be read back. */
  readonly inspect?: boolean;
}

/** The network of each pass, by the pass's name. */
export type PassNetworks = ReadonlyMap<string, Network>;

/**
 * The networks of the passes of a step for one whose weights are trained. They are that network
 * itself, but for trained passes in float16, whose parameters are rounded copies of the weights, and
 * for passes with averaged weights, whose parameters are to be given the average's memory. Passes
 * that are not trained are float32 at any precision, as in the official code.
 */
export function passNetworks(
  network: Network,
  { passes }: Pick<Objective, "passes">,
  precision: Precision = "float32",
): PassNetworks {
  const trained = precision === "float32"
    ? network
    : atPrecision(precision, () => network.rebuild());
  const averaged = Object.values(passes).some(({ weights }) => weights === "ema")
    ? network.rebuild()
    : network;
  return new Map(
    Object.entries(passes).map(([name, pass]) => [
      name,
      pass.trained ? trained : pass.weights === "ema" ? averaged : network,
    ]),
  );
}

/** The network of the passes that are trained. */
export function trainedNetwork(networks: PassNetworks, { passes }: Pick<Objective, "passes">) {
  const name = Object.keys(passes).find((name) => passes[name].trained);
  if (name === undefined) throw new InternalError("an objective without a trained pass");
  return networks.get(name)!;
}

/**
 * Gradients of one micro-batch.
 *
 * Inputs: `x` [b, ...sample]; those of the objective; the network's conditioning with the prefix
 * `PASS.` for each pass; `noiseKey` i32[3] or `noise`; `dropoutKey` i32[3]; `timeBins`
 * [TIME_BINS, G], 1 where the group's time lies in the part of [eps, T], else 0; with accumulation
 * `keep` [], 0 for the first micro-batch of a batch and 1 for the others.
 * Output: `lossGroup` [G]. With loss scaling the gradients are those of the scaled loss.
 */
export function gradientProgram(
  networks: PassNetworks,
  objective: Objective,
  arenas: TrainingArenas,
  { microBatch, batch, givenNoise = false, recompute = false, inspect = false }: GradientOptions,
): Program {
  const { passes, groupSize, config: { sigmaData } } = objective;
  const student = trainedNetwork(networks, objective);
  const shape = [microBatch, ...student.sampleShape];
  const groups = microBatch / groupSize;
  const x = input("x", shape);
  const own: Tensor[] = [];
  const noiseInput = givenNoise ? input("noise", shape) : input("noiseKey", [3], "i32");
  const noise = givenNoise
    ? noiseInput
    : mul(randomNormal(noiseInput, shape, NOISE_STREAM), sigmaData);
  const dropoutKey = input("dropoutKey", [3], "i32");
  const keep = input("keep", []);
  const conditioning = new Map<string, Conditioning>(
    [...networks].map(([pass, network]) => [
      pass,
      network.conditioningInputs(microBatch, `${pass}.`),
    ]),
  );
  const built = objective.build({
    x,
    noise,
    batch,
    input: (name, shape) => {
      const tensor = input(name, shape);
      own.push(tensor);
      return tensor;
    },
    network: (xIn, pass) => {
      const network = networks.get(pass)!;
      // One key for all passes: they share the dropout mask.
      return withStorage(
        network.parameters.arena.storage,
        () =>
          network.forward(xIn, conditioning.get(pass)!, {
            dropoutKey,
            recompute: recompute && passes[pass].trained,
          }),
      );
    },
  });
  const names = [...arenas.parameters.entries.keys()];
  const weights = student.parameters.arena;
  const gradients = grad(
    built.loss,
    names.map((name) => weights.tensor(name)),
    { seed: arenas.scaling?.tensor("scale") },
  );
  const accumulate = microBatch < batch;
  const updates: Update[] = names.map((name, i) => {
    const target = arenas.gradients.tensor(name);
    return { target, value: accumulate ? add(where(keep, target, 0), gradients[i]) : gradients[i] };
  });
  const bins = input("timeBins", [TIME_BINS, groups]);
  const binSums = arenas.sums.tensor("lossBins");
  const perBin = sum(mul(bins, reshape(built.lossGroup, [1, groups])), [1]);
  updates.push({ target: binSums, value: add(binSums, reshape(perBin, [TIME_BINS])) });
  const lossSum = arenas.sums.tensor("loss");
  updates.push({ target: lossSum, value: add(lossSum, built.loss) });
  return {
    label: "gradients",
    inputs: [
      x,
      ...own,
      bins,
      noiseInput,
      dropoutKey,
      ...(accumulate ? [keep] : []),
      ...[...conditioning.values()].flatMap((c) => Object.values(c)).filter((t) => t !== null),
    ],
    outputs: { lossGroup: built.lossGroup, ...(inspect ? built.inspect : {}) },
    updates,
  };
}

/** All arenas of a run. */
export function allArenas({ averages, ...named }: TrainingArenas): Arena[] {
  return [...Object.values(named).filter((arena) => arena !== undefined), ...averages];
}

/**
 * Rounds the weights for a student in float16, at the start of a run; later the update does.
 *
 * @param arenas Those of a run in float16.
 */
export function roundingProgram({ parameters, half }: Required<TrainingArenas>): Program {
  return {
    label: "rounding",
    inputs: [],
    outputs: {},
    updates: [{ target: half.whole(), value: parameters.whole() }],
  };
}

/**
 * One optimiser step.
 *
 * Inputs: `numbers` from `updateNumbers`, or with loss scaling what `numbersByStep` gives; with more
 * averages `averageWeights`, the weight of the new weights in each; with clipping `maxNorm` [].
 * Output: `gradientNorm` [], of the gradient before clipping; not finite where the step was skipped.
 */
export function updateProgram(
  arenas: TrainingArenas,
  optimizer: OptimizerConfig,
  clip: boolean,
): Program {
  const maxNorm = input("maxNorm", []);
  const raw = arenas.gradients.whole();
  const { scaling, half, sums, averages } = arenas;
  const norm = sqrt(sum(square(scaling ? mul(raw, inverseScale(scaling)) : raw)));
  const scaled = scaling && scaledStep(scaling, norm);
  const plain = input("numbers", [UPDATE_NUMBERS]);
  // As torch.nn.utils.clip_grad_norm_.
  const clipping = clip ? minimum(div(maxNorm, add(norm, 1e-6)), 1) : null;
  const old: OptimizerState = {
    parameters: arenas.parameters.whole(),
    m: arenas.m.whole(),
    v: arenas.v.whole(),
    ema: arenas.ema.whole(),
  };
  let next: OptimizerState;
  if (scaled) {
    // In one buffer, since a kernel over all arenas can read few others.
    const { numbers, inverse, applied } = scaled;
    const factor = clipping ? mul(inverse, clipping) : inverse;
    const packed = concat([numbers, reshape(factor, [1]), reshape(applied, [1])], 0);
    const at = (start: number) => reshape(narrow(packed, 0, start, 1), []);
    next = optimizerStep(
      optimizer,
      old,
      mul(raw, at(UPDATE_NUMBERS)),
      narrow(packed, 0, 0, UPDATE_NUMBERS),
      at(UPDATE_NUMBERS + 1),
    );
  } else next = optimizerStep(optimizer, old, clipping ? mul(raw, clipping) : raw, plain);

  const weights = input("averageWeights", [averages.length]);
  const averageUpdates = averages.map((arena, i): Update => {
    const target = arena.whole();
    const weight = reshape(narrow(weights, 0, i, 1), []);
    return { target, value: add(target, mul(sub(next.parameters, target), weight)) };
  });
  const addTo = (name: string, value: Tensor): Update => {
    const target = sums.tensor(name);
    return { target, value: add(target, value) };
  };
  return {
    label: "update",
    inputs: [
      ...(scaled ? scaled.inputs : [plain]),
      ...(clip ? [maxNorm] : []),
      ...(averages.length > 0 ? [weights] : []),
    ],
    outputs: { gradientNorm: reshape(norm, []) },
    updates: [
      ...(["parameters", "m", "v", "ema"] as const).map((name) => ({
        target: old[name],
        value: next[name],
      })),
      ...(half ? [{ target: half.whole(), value: next.parameters }] : []),
      ...averageUpdates,
      addTo("gradientNorm", scaled ? where(scaled.applied, norm, 0) : norm),
      ...(scaled ? [addTo("skipped", sub(1, scaled.applied)), ...scaled.updates] : []),
    ],
  };
}
