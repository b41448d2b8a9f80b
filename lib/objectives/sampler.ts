/**
 * How samples are drawn, whatever was trained: a sampler is a list of steps with all their numbers,
 * made once from the objective and the times; walking it is the same short loop for every sampler.
 *
 * @module
 */

import { latentKey, restartKey } from "../random/keys.ts";
import { hostNormal, type Key } from "../random/threefry.ts";

/**
 * One call of the network: x <- base x_before + c_skip x + c_out F(c_in x, c_noise...), then fresh
 * noise where the sampler restarts. The times that the network is asked for stand in its c_noise;
 * they need not be those of the step (a solver of an ODE asks at (t, t) and steps to s).
 */
export interface SamplerStep {
  /** Time of the state before the step. */
  readonly t: number;
  /** Time of the state after the step. */
  readonly s: number;
  /** Factor of the network's input. */
  readonly cIn: number;
  /** The first time as the network sees it. */
  readonly cNoiseT: number;
  /** The second time as the network sees it. */
  readonly cNoiseS: number;
  /** Factor of the state. */
  readonly cSkip: number;
  /** Factor of the network's output. */
  readonly cOut: number;
  /** Factor of the state as it was before the call before this one; left out for 0. */
  readonly base?: number;
  /** Whether the step goes on with the next call; its state is none of the sampler's own. */
  readonly inner?: boolean;
  /** x <- alpha x + sigma n with n ~ N(0, sigma_d^2) after the step, or null. */
  readonly renoise: { readonly alpha: number; readonly sigma: number } | null;
}

/**
 * The network of a sampling run on a batch: from c_in x and the step (which holds c_noise of both
 * times) to the raw output F of the same length. Labels and guidance are the callback's business.
 */
export type Denoise = (xIn: Float32Array, step: SamplerStep) => Promise<ArrayLike<number>>;

/** Where a sampling run gets its noise from, and who watches. */
export interface SampleOptions {
  /** Noise of the i-th restart, already times sigma_d, for the whole batch. */
  readonly noise?: (restart: number) => ArrayLike<number>;
  /**
   * Called after every step, before the noise of a restart, with the state at time s: the live
   * array, to be copied by those who keep it.
   */
  readonly onStep?: (index: number, x: Float64Array) => void;
  /** Stops the run between calls; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Steps of a sampler as people count them: of several calls, one. */
export function stepCount(steps: readonly SamplerStep[]): number {
  return steps.filter(({ inner }) => !inner).length;
}

/**
 * Walks `steps` from the latents (already times sigma_d) of a whole batch and returns the samples.
 * The state is float64 throughout, as in the public code; the network sees float32.
 */
export async function sample(
  steps: readonly SamplerStep[],
  latents: ArrayLike<number>,
  denoise: Denoise,
  { noise, onStep, signal }: SampleOptions = {},
): Promise<Float64Array> {
  const x = Float64Array.from(latents);
  const xIn = new Float32Array(x.length);
  let before: Float64Array | null = null;
  let restarts = 0;
  let done = 0;
  for (const step of steps) {
    signal?.throwIfAborted();
    for (let i = 0; i < x.length; i++) xIn[i] = step.cIn * x[i];
    const F = await denoise(xIn, step);
    const { cSkip, cOut, base = 0 } = step;
    const kept: Float64Array | null = step.inner ? x.slice() : null;
    if (base !== 0) {
      if (before === null) throw new TypeError("a step with a base needs an inner one before it");
      for (let i = 0; i < x.length; i++) x[i] = base * before[i] + cSkip * x[i] + cOut * F[i];
    } else {
      for (let i = 0; i < x.length; i++) x[i] = cSkip * x[i] + cOut * F[i];
    }
    before = kept;
    if (step.inner) continue;
    onStep?.(done++, x);
    if (step.renoise) {
      if (!noise) throw new TypeError("a sampler that restarts needs options.noise");
      const fresh = noise(restarts++);
      const { alpha, sigma } = step.renoise;
      for (let i = 0; i < x.length; i++) x[i] = alpha * x[i] + sigma * fresh[i];
    }
  }
  return x;
}

/**
 * Initial latents of a batch, N(0, sigma_d^2): image i is made from `seeds[i]` alone, so that it is
 * the same image in any batch, on any number of workers.
 *
 * @param size Elements per image.
 */
export function latents(seeds: readonly number[], size: number, sigmaData: number): Float32Array {
  return normals(seeds.map(latentKey), size, sigmaData);
}

/** Noise of the i-th restart of a batch, N(0, sigma_d^2), from the seeds of its images alone. */
export function restartNoise(
  seeds: readonly number[],
  size: number,
  sigmaData: number,
  restart: number,
): Float32Array {
  return normals(seeds.map((seed) => restartKey(seed, restart)), size, sigmaData);
}

/** N(0, scale^2), `size` numbers per key. */
function normals(keys: readonly Key[], size: number, scale: number): Float32Array {
  const all = new Float32Array(keys.length * size);
  for (const [i, key] of keys.entries()) {
    const unit = hostNormal(key, [1, size], 0);
    for (let j = 0; j < size; j++) all[i * size + j] = scale * unit[j];
  }
  return all;
}
