/**
 * What the experiment consists of: runs by engine, M and seed, and sets of samples of each.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import type { Schedule } from "../../lib/imm/mod.ts";

/** Who trains and samples. */
export const RUN_ENGINES = ["imm", "pytorch"] as const;

/** Name of an engine. */
export type RunEngine = typeof RUN_ENGINES[number];

/** A training run. */
export interface Run {
  readonly engine: RunEngine;
  /** Particles per group. */
  readonly M: number;
  readonly seed: number;
}

/** Folder of a run: `imm-m4-s0`. */
export function runName({ engine, M, seed }: Run): string {
  return `${engine}-m${M}-s${seed}`;
}

/** Which runs there are. */
export interface PlanOptions {
  readonly engines: readonly RunEngine[];
  readonly seeds: readonly number[];
  /** The M that the engines are compared at. */
  readonly M: number;
  /** The M that are compared with each other, by `imm` alone. */
  readonly particles: readonly number[];
  /** The seeds of that comparison. */
  readonly particleSeeds: readonly number[];
}

/** The comparison of the engines first, then that of M; nothing twice. */
export function planRuns({ engines, seeds, M, particles, particleSeeds }: PlanOptions): Run[] {
  const runs = seeds.flatMap((seed) => engines.map((engine): Run => ({ engine, M, seed })));
  const known = new Set(runs.map(runName));
  if (engines.includes("imm")) {
    for (const seed of particleSeeds) {
      for (const M of particles) {
        const run: Run = { engine: "imm", M, seed };
        if (!known.has(runName(run))) runs.push(run);
        known.add(runName(run));
      }
    }
  }
  return runs;
}

/** A way to sample, as `--samplers` names it: `2` for two equal steps in t, or `eta:1.4`. */
export interface Sampler {
  readonly name: string;
  readonly schedule: Schedule;
}

/** Reads `1,2,eta:1.4,4`. @throws {UsageError} for anything else */
export function parseSamplers(text: string): Sampler[] {
  return text.split(",").map((name) => {
    if (/^[1-9]\d*$/.test(name)) {
      return { name, schedule: { kind: "uniform", steps: Number(name) } };
    }
    const eta = /^eta:(\d+(?:\.\d+)?)$/.exec(name)?.[1];
    if (eta === undefined) {
      throw new UsageError(`--samplers expects numbers of steps or eta:X, but got "${name}"`);
    }
    return { name, schedule: { kind: "explicit", etas: [Number(eta)] } };
  });
}

/** The sampler as options of `imm sample`. */
export function samplerOptions({ schedule, name }: Sampler): string[] {
  return schedule.kind === "explicit" ? ["--schedule", name] : ["--steps", name];
}

/** Name of a set of samples, without an ending: `imm-m4-s0-2`. */
export function samplesName(run: Run, { name }: Sampler): string {
  return `${runName(run)}-${name.replace(":", "")}`;
}
