/**
 * The paper's two samplers, pushforward and restart. A sampler is a list of steps with all their
 * numbers, made once from the configuration and the times; walking it is the same short loop for
 * every sampler, here on the host and in the same way on a device.
 *
 * @module
 */

import { hostNormal, type Key } from "../random/threefry.ts";
import { interpolant } from "./interpolant.ts";
import type { PrecondConfig } from "./parameterization.ts";
import { type CallCoefficients, callCoefficients } from "./guidance.ts";
import { latentKey, restartKey } from "../random/keys.ts";

/** One step: x <- c_skip x + c_out F(c_in x, ...), then fresh noise for the restart sampler. */
export interface SamplerStep extends CallCoefficients {
  /** Time of the state before the step. */
  readonly t: number;
  /** Time the network is asked for. */
  readonly s: number;
  /** x <- alpha x + sigma n with n ~ N(0, sigma_d^2) after the step, or null. */
  readonly renoise: { readonly alpha: number; readonly sigma: number } | null;
}

/**
 * Pushforward: every step goes from one time to the next, t_i -> t_{i-1}. `times`
 * fall from T to eps; see schedule.ts.
 */
export function pushforwardSteps(config: PrecondConfig, times: readonly number[]): SamplerStep[] {
  return times.slice(1).map((s, i) => {
    const t = times[i];
    return { t, s, ...callCoefficients(config, s, t), renoise: null };
  });
}

/**
 * Restart: every step goes all the way down to eps; in between, fresh noise brings
 * the state up to the next time.
 */
export function restartSteps(config: PrecondConfig, times: readonly number[]): SamplerStep[] {
  const path = interpolant(config.interpolant);
  const s = times[times.length - 1];
  const starts = times.slice(0, -1);
  return starts.map((t, i) => {
    const next = starts[i + 1];
    const renoise = next === undefined
      ? null
      : { alpha: path.alpha(next), sigma: path.sigma(next) };
    return { t, s, ...callCoefficients(config, s, t), renoise };
  });
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
   * Called after every network call, before the noise of a restart, with f_{s,t}(x): the live array,
   * to be copied by those who keep it.
   */
  readonly onStep?: (index: number, x: Float64Array) => void;
  /** Stops the run between steps; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
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
  let restarts = 0;
  for (const [index, step] of steps.entries()) {
    signal?.throwIfAborted();
    for (let i = 0; i < x.length; i++) xIn[i] = step.cIn * x[i];
    const F = await denoise(xIn, step);
    for (let i = 0; i < x.length; i++) x[i] = step.cSkip * x[i] + step.cOut * F[i];
    onStep?.(index, x);
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
