/**
 * Draws the figures of docs/method.md that are curves and points:
 *
 * ```sh
 * deno task figures
 * ```
 *
 * `docs/pictures/times.svg` shows what the host computes, from lib/imm; `docs/pictures/ring.svg`
 * trains a small network on eight Gaussians (half a minute) and follows its samples.
 *
 * @module
 */

import { createNetwork, Generator, openDevice } from "../mod.ts";
import {
  immConfig,
  Mapping,
  type MappingName,
  pushforwardSteps,
  sampleTimes,
  scheduleTimes,
  weight,
} from "../lib/imm/mod.ts";
import { createObjective, immDraw, latents } from "../lib/objectives/mod.ts";
import { deriveKey, hostNormal, hostUniform, trainingKey } from "../lib/random/mod.ts";
import { Learner } from "../lib/train/mod.ts";
import { type Panel, svg } from "./svg.ts";

const folder = new URL("../docs/pictures/", import.meta.url);

/** Gaps t - r and weights, as functions of t. */
export function timesFigure(): string {
  const [T, eps] = [0.994, 0.006];
  const times = Array.from({ length: 150 }, (_, i) => eps + (i + 0.5) / 150 * (T - eps));
  const gaps = (mapping: MappingName, k: number) => {
    const map = new Mapping(immConfig({ mapping, k, T, eps }));
    return times.map((t): [number, number] => [t, map.gap(eps, t)]);
  };
  const weights = (a: 1 | 2, b: number) => {
    const config = immConfig({ a, b, T, eps });
    return times.map((t): [number, number] => [t, weight(config, t)]);
  };
  const panels: Panel[] = [
    {
      title: "t − r(s, t), mapping eta",
      x: [0, 1],
      y: [1e-7, 1],
      legend: "bottom left",
      log: true,
      lines: [10, 12, 15].map((k) => ({ label: `k = ${k}`, points: gaps("eta", k) })),
    },
    {
      title: "t − r(s, t), k = 12",
      x: [0, 1],
      y: [1e-7, 1],
      legend: "bottom left",
      log: true,
      lines: (["eta", "t", "lambda", "inverse_eta"] as const).map((mapping) => ({
        label: mapping,
        points: gaps(mapping, 12),
      })),
    },
    {
      title: "weight w(t)",
      x: [0, 1],
      y: [0, 8],
      legend: "top right",
      lines: ([[1, 4], [1, 5], [2, 4]] as const).map(([a, b]) => ({
        label: `a = ${a}, b = ${b}`,
        points: weights(a, b),
      })),
    },
  ];
  return svg(panels);
}

/** [count, 2]: eight Gaussians of width 0.05 on a ring. */
function ring(seed: number, count: number): Float32Array {
  const noise = hostNormal(deriveKey(seed, "points"), [count, 2], 0);
  const modes = hostUniform(deriveKey(seed, "modes"), [count], 0);
  return Float32Array.from(noise, (value, i) => {
    const angle = Math.floor(8 * modes[i >> 1]) * Math.PI / 4;
    return 0.7 * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) + 0.05 * value;
  });
}

/** Noise, and where a trained network takes it in one step and in two. */
export async function ringFigure(steps = 3000, count = 300): Promise<string> {
  const batch = 256;
  const device = await openDevice({ device: "wasm" });
  const imm = immConfig({ k: 8, M: 4, a: 1, b: 4, eps: 0.006, parameterization: "euler_fm" });
  const objective = createObjective({ type: "imm", ...imm });
  const network = createNetwork({ type: "mlp", hidden: 64, depth: 2, dropout: 0 });
  const learner = await Learner.create(device, network, {
    objective,
    optimizer: { name: "adam", lr: 3e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    batch,
    microBatch: batch,
    clip: false,
  });
  learner.initialize(network.parameters.initial(0));
  for (let step = 0; step < steps; step++) {
    learner.run({
      draw: immDraw(imm, {
        x: ring(step, batch),
        times: sampleTimes(imm, trainingKey(0, "times", step), batch / imm.M),
      }),
      noiseKey: trainingKey(0, "noise", step),
      dropoutKey: trainingKey(0, "dropout", step),
    }, { lr: 3e-3 * (1 - step / steps), emaDecay: Math.min(0.99, (1 + step) / (10 + step)) });
    if (step % 100 === 0) await learner.finish();
  }

  const generator = await Generator.create(device, { network, objective, ...learner.averaged }, {
    batch: count,
  });
  const seeds = Array.from({ length: count }, (_, i) => i);
  const start = latents(seeds, 2, imm.sigmaData);
  /** Where the points are after each step of a sampler. */
  const positions = async (number: number) => {
    const all = pushforwardSteps(imm, scheduleTimes(imm, { kind: "uniform", steps: number }));
    const found = [start];
    for (let done = 1; done <= number; done++) {
      found.push((await generator.generate({ seeds, steps: all.slice(0, done) })).slice());
    }
    return found;
  };
  const pairs = (flat: Float32Array) =>
    seeds.map((i): [number, number] => [flat[2 * i], flat[2 * i + 1]]);
  const paths = (stages: Float32Array[]) =>
    seeds.slice(0, 60).map((i) =>
      stages.map((flat): [number, number] => [flat[2 * i], flat[2 * i + 1]])
    );
  const [one, two] = [await positions(1), await positions(2)];
  generator.free();
  learner.free();
  device.close();
  const frame = { x: [-1.6, 1.6], y: [-1.6, 1.6], ticks: false } as const;
  return svg([
    { ...frame, title: "data", points: pairs(ring(steps, count)) },
    { ...frame, title: "noise", points: pairs(start) },
    { ...frame, title: "1 step", points: pairs(one[1]), paths: paths(one) },
    { ...frame, title: "2 steps", points: pairs(two[2]), paths: paths(two) },
  ]);
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("times.svg", folder), timesFigure());
  await Deno.writeTextFile(new URL("ring.svg", folder), await ringFigure());
}
