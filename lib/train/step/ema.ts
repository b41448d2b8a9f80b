/**
 * Averages of the weights: exponential ones of any decay, and power functions of the time, from
 * whose snapshots averages of other lengths can be made after training (Karras et al. 2023,
 * "Analyzing and Improving the Training Dynamics of Diffusion Models", section 3 and appendix C).
 *
 * After n steps a power function of exponent gamma weighs the weights after step i by about
 * (gamma + 1) i^gamma / n^(gamma + 1). sigma_rel is the deviation of that profile relative to n.
 *
 * @module
 */

import { FormatError, UsageError } from "../../base/errors.ts";
import type { StateDict } from "../../nn/parameters.ts";

/** An average that a run keeps beside its own. */
export type AverageProfile =
  /** Exponential, with this decay per step. */
  | { readonly decay: number }
  /** A power function of this width, from above 0 to below 0.28. */
  | { readonly sigmaRel: number };

/** Name of a profile in files and logs: `decay0.999`, `sigma0.1`. */
export function profileName(profile: AverageProfile): string {
  return "decay" in profile ? `decay${profile.decay}` : `sigma${profile.sigmaRel}`;
}

/** sigma_rel of gamma = 0, where all steps weigh the same: no power function is wider. */
export const WIDEST_SIGMA = 1 / Math.sqrt(12);

/**
 * gamma of a sigma_rel: sigma_rel^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)).
 *
 * @throws {UsageError} when sigma_rel is not above 0 and below 0.28
 */
export function gammaFromSigma(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel < WIDEST_SIGMA)) {
    throw new UsageError(
      `sigma_rel must be above 0 and below ${WIDEST_SIGMA.toFixed(4)}, but it is ${sigmaRel}`,
    );
  }
  // sigma falls with gamma: halve the interval until nothing changes.
  let [low, high] = [0, 4 / sigmaRel];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (sigmaFromGamma(middle) > sigmaRel) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** sigma_rel of a gamma from 0 up. */
export function sigmaFromGamma(gamma: number): number {
  return Math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)));
}

/** Weight of the new weights in an average after step `step`; the first step is 1. */
export function averageWeight(profile: AverageProfile, step: number): number {
  return "decay" in profile
    ? 1 - profile.decay
    : 1 - (1 - 1 / step) ** (gammaFromSigma(profile.sigmaRel) + 1);
}

/** A power-function average that was saved. */
export interface Snapshot {
  /** Steps when it was saved. */
  readonly step: number;
  /** Its width. */
  readonly sigmaRel: number;
}

/**
 * Weights of snapshots that together come closest to a power-function average, in the square of the
 * difference between the profiles (appendix C.2). They need not be positive.
 *
 * @throws {UsageError} when there is no snapshot, or the target has no width
 */
export function reconstructionWeights(snapshots: readonly Snapshot[], target: Snapshot): number[] {
  if (snapshots.length === 0) throw new UsageError("there is no snapshot to reconstruct from");
  const profiles = snapshots.map(({ step, sigmaRel }) => ({
    step,
    gamma: gammaFromSigma(sigmaRel),
  }));
  const wanted = { step: target.step, gamma: gammaFromSigma(target.sigmaRel) };
  const matrix = profiles.map((a) => profiles.map((b) => profileProduct(a, b)));
  return solve(matrix, profiles.map((a) => profileProduct(a, wanted)));
}

interface Profile {
  readonly step: number;
  readonly gamma: number;
}

/** Integral over time of the product of two profiles. */
function profileProduct(a: Profile, b: Profile): number {
  const [early, late] = a.step <= b.step ? [a, b] : [b, a];
  const ratio = (early.step / late.step) ** late.gamma;
  return (a.gamma + 1) * (b.gamma + 1) / (a.gamma + b.gamma + 1) * ratio / late.step;
}

/**
 * Solves a symmetric positive definite system by Cholesky's factorisation, after scaling its diagonal
 * to one. Close snapshots make it nearly singular: a diagonal of 1e-12 keeps the weights small.
 */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length;
  const scale = matrix.map((row, i) => 1 / Math.sqrt(row[i]));
  const L: number[][] = [];
  for (let i = 0; i < n; i++) {
    L.push(new Array(n).fill(0));
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j] * scale[i] * scale[j] + (i === j ? 1e-12 : 0);
      for (let k = 0; k < j; k++) sum -= L[i][k] * L[j][k];
      L[i][j] = i === j ? Math.sqrt(Math.max(sum, 1e-15)) : sum / L[j][j];
    }
  }
  const y: number[] = [];
  for (let i = 0; i < n; i++) {
    let sum = right[i] * scale[i];
    for (let k = 0; k < i; k++) sum -= L[i][k] * y[k];
    y.push(sum / L[i][i]);
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = y[i];
    for (let k = i + 1; k < n; k++) sum -= L[k][i] * x[k];
    x[i] = sum / L[i][i];
  }
  return x.map((value, i) => value * scale[i]);
}

/** A weighted sum of state dicts that is built up one by one, in float64. */
export class WeightedSum {
  readonly #sums = new Map<string, { shape: readonly number[]; data: Float64Array }>();
  #first = true;

  /** Adds `weight` times the weights. @throws {FormatError} when they are of another network */
  add(weights: Readonly<StateDict>, weight: number, source: string): void {
    for (const [name, { shape, data }] of weights) {
      const known = this.#sums.get(name);
      if (this.#first) {
        this.#sums.set(name, { shape, data: Float64Array.from(data, (value) => value * weight) });
      } else if (!known || known.data.length !== data.length) {
        throw new FormatError(`${source}: ${name} is not as in the other snapshots`);
      } else {
        for (let i = 0; i < data.length; i++) known.data[i] += weight * data[i];
      }
    }
    this.#first = false;
  }

  /** The sum, in float32. */
  result(): StateDict {
    return new Map(
      [...this.#sums].map(([name, { shape, data }]) => [
        name,
        { shape, data: Float32Array.from(data) },
      ]),
    );
  }
}
