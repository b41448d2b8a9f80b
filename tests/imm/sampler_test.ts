/** Samplers: against the official states (golden samplers), and where the answer is known. */

import { deepEqual, notDeepEqual, ok, rejects } from "node:assert/strict";
import { type ImmConfig, immConfig } from "../../lib/imm/config.ts";
import { interpolant } from "../../lib/imm/interpolant.ts";
import { guide } from "../../lib/imm/guidance.ts";
import { decodeRgb, encodeRgb } from "../../lib/base/bytes.ts";
import { pushforwardSteps, restartSteps } from "../../lib/imm/sampler.ts";
import {
  type Denoise,
  latents,
  restartNoise,
  sample,
  type SamplerStep,
} from "../../lib/objectives/sampler.ts";
import { scheduleTimes } from "../../lib/imm/schedule.ts";
import { assertClose } from "../support/close.ts";
import { bothFiles, goldenTensor, goldenTensors, withGolden } from "../support/golden/fixtures.ts";
import { samplerRuns } from "../support/golden/sampler_cases.ts";

withGolden(bothFiles("samplers"), () => {
  const runs = samplerRuns();
  const golden = goldenTensors("samplers");

  Deno.test("every official sampling run calls the network at the times of our steps", () => {
    for (const { name, steps, calls } of runs) {
      assertClose(steps.flatMap(({ t, s }) => [t, s]), calls.flat(), { abs: 1e-9 }, name);
    }
  });

  Deno.test("one network output explains the official states of all parameterizations", async () => {
    // Runs whose first call has the same latents, times and conditioning get the same raw output F;
    // their own c_skip and c_out make different samples of it.
    const alike = Map.groupBy(
      runs,
      ({ family, imm, steps: [{ t, s }], labels, cfg_scale }) =>
        JSON.stringify([family, imm.interpolant, imm.timeConditioning, t, s, labels, cfg_scale]),
    );
    for (const [first, ...others] of alike.values()) {
      const initial = goldenTensor(golden, `${first.family}.latents`).data;
      const { cSkip, cOut } = first.steps[0];
      const state = goldenTensor(golden, first.states[0]).data;
      const F = Float64Array.from(state, (x, i) => (x - cSkip * initial[i]) / cOut);
      for (const { name, steps, states } of others) {
        const step = { ...steps[0], renoise: null };
        const x = await sample([step], initial, () => Promise.resolve(F));
        const expected = goldenTensor(golden, states[0]).data;
        assertClose(x, expected, { abs: 2e-5, rel: 2e-5 }, `${name} after ${first.name}`);
      }
    }
  });

  Deno.test("pixels are decoded and encoded as by the public code", () => {
    const decoded = decodeRgb(goldenTensor(golden, "rgb.latent").data);
    deepEqual([...decoded], [...goldenTensor(golden, "rgb.pixels").data]);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const encoded = encodeRgb(bytes);
    assertClose(encoded, goldenTensor(golden, "rgb.encoded").data, { abs: 1e-7 }, "encoded");
    deepEqual(decodeRgb(encoded), bytes);
  });
});

Deno.test("the first step of a restart run is the whole of a one-step run", () => {
  const config = immConfig({ eps: 0.006 });
  const times = scheduleTimes(config, { kind: "uniform", steps: 2 });
  const [restart] = restartSteps(config, times);
  const [pushforward] = pushforwardSteps(config, [config.T, config.eps]);
  deepEqual({ ...restart, renoise: null }, pushforward);
});

Deno.test("a run feeds c_in x, applies the step, shows it, then adds fresh noise", async () => {
  const config = immConfig({ parameterization: "simple_edm", eps: 0.006 });
  const times = scheduleTimes(config, { kind: "uniform", steps: 3 });
  const steps = restartSteps(config, times);
  const noise = [[0.3, -0.2], [-0.7, 0.1]];
  const network: Denoise = (xIn, step) =>
    Promise.resolve(xIn.map((v) => v * v - step.cNoiseT / 1e3));
  const shown: number[][] = [];
  const out = await sample(steps, [0.4, -0.9], network, {
    noise: (i) => noise[i],
    onStep: (_, x) => shown.push([...x]),
  });

  let x = [0.4, -0.9];
  const expected: number[][] = [];
  for (const [i, t] of times.slice(0, -1).entries()) {
    const norm = Math.hypot(1 - t, t);
    const skip = ((1 - t) * (1 - 0.006) + t * 0.006) / norm ** 2;
    const outScale = -(t - 0.006) * 0.5 / norm;
    x = x.map((v) => skip * v + outScale * ((v * 2 / norm) ** 2 - t));
    expected.push(x);
    const next = times[i + 1];
    if (i < 2) x = x.map((v, j) => (1 - next) * v + next * noise[i][j]);
  }
  assertClose(shown.flat(), expected.flat(), { abs: 1e-6 }, "shown");
  assertClose(out, x, { abs: 1e-6 }, "samples");
});

Deno.test("a run without noise for its restarts fails, and a run can be stopped", async () => {
  const config = immConfig();
  const steps = restartSteps(config, scheduleTimes(config, { kind: "uniform", steps: 2 }));
  const network: Denoise = (xIn) => Promise.resolve(xIn);
  await rejects(sample(steps, [1], network), TypeError);
  const stop = new AbortController();
  const stopping = sample(steps, [1], network, {
    noise: () => [0],
    onStep: () => stop.abort(new Error("enough")),
    signal: stop.signal,
  });
  await rejects(stopping, /enough/);
});

Deno.test("latents and restart noise of a seed do not depend on the batch", () => {
  const both = latents([7, 12345678901], 48, 0.5);
  deepEqual(both.slice(48), latents([12345678901], 48, 0.5));
  deepEqual(both.slice(0, 48), latents([7], 48, 0.5));
  notDeepEqual(both.slice(0, 48), both.slice(48));
  const restarts = [0, 1].map((i) => restartNoise([7], 48, 0.5, i));
  notDeepEqual(restarts[0], restarts[1]);
  notDeepEqual(restarts[0], latents([7], 48, 0.5));
  deepEqual(restarts[1], restartNoise([3, 7], 48, 0.5, 1).slice(48));
});

Deno.test("latents have variance sigma_d^2", () => {
  const x = latents(Array.from({ length: 100 }, (_, i) => i), 400, 0.5);
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
  ok(Math.abs(mean) < 5 * 0.5 / 200, `mean ${mean}`); // 5 standard errors
  ok(Math.abs(variance - 0.25) < 5 * 0.25 * Math.sqrt(2) / 200, `variance ${variance}`);
});

/** Moments of data N(m, c^2) on its way: x_t ~ N(alpha m, v). */
const [DATA_MEAN, DATA_STD, SIGMA_D] = [0.3, 0.2, 0.5];

/** A network for data N(m, c^2) whose f_{s,t} is what `target` says. */
function analyticNetwork(
  target: (x: number, step: SamplerStep) => number,
): Denoise {
  return (xIn, step) =>
    Promise.resolve(Float64Array.from(xIn, (v) => {
      const x = v / step.cIn;
      return (target(x, step) - step.cSkip * x) / step.cOut;
    }));
}

function variance(config: ImmConfig, t: number): number {
  const path = interpolant(config.interpolant);
  return (path.alpha(t) * DATA_STD) ** 2 + (path.sigma(t) * SIGMA_D) ** 2;
}

/** Mean and standard deviation of what comes out for standard normal quantiles that go in. */
async function moments(steps: SamplerStep[], network: Denoise): Promise<[number, number]> {
  // The map is affine, so two points determine it.
  const [atZero, atOne] = await sample(steps, [0, 1], network);
  return [atZero, Math.abs(atOne - atZero) * SIGMA_D];
}

const PARAMETERIZATIONS: Partial<ImmConfig>[] = [
  { interpolant: "fm", parameterization: "identity" },
  { interpolant: "fm", parameterization: "simple_edm" },
  { interpolant: "fm", parameterization: "euler_fm" },
  { interpolant: "vp_cosine", parameterization: "identity" },
  { interpolant: "vp_cosine", parameterization: "simple_edm" },
];

Deno.test("with the exact posterior mean, many pushforward steps give a Gaussian's moments", async () => {
  for (const settings of PARAMETERIZATIONS) {
    const config = immConfig({ ...settings, T: 0.9999, eps: 0.0001 });
    const path = interpolant(config.interpolant);
    // DDIM with E[x | x_t]: one step of the probability-flow ODE, exact only for small steps.
    const network = analyticNetwork((x, { s, t }) => {
      const gain = path.alpha(t) * DATA_STD ** 2 / variance(config, t);
      const mean = DATA_MEAN + gain * (x - path.alpha(t) * DATA_MEAN);
      const { y, yt } = path.ddim(s, t);
      return y * mean + yt * x;
    });
    const errors: number[] = [];
    for (const steps of [64, 256]) {
      const times = scheduleTimes(config, { kind: "uniform", steps });
      const [mean, std] = await moments(pushforwardSteps(config, times), network);
      ok(Math.abs(mean - DATA_MEAN) < 2e-3, `${JSON.stringify(settings)} mean ${mean}`);
      errors.push(Math.abs(std - DATA_STD));
    }
    ok(errors[1] < 2e-3 && errors[1] < 0.4 * errors[0], `${JSON.stringify(settings)} ${errors}`);
  }
});

Deno.test("with the exact flow map one pushforward step is enough, and restarts keep the moments", async () => {
  for (const settings of PARAMETERIZATIONS) {
    const config = immConfig({ ...settings, T: 0.9999, eps: 0.0001 });
    const path = interpolant(config.interpolant);
    // The probability-flow ODE of a Gaussian moves every quantile with its distribution.
    const network = analyticNetwork((x, { s, t }) => {
      const scale = Math.sqrt(variance(config, s) / variance(config, t));
      return path.alpha(s) * DATA_MEAN + scale * (x - path.alpha(t) * DATA_MEAN);
    });
    for (const steps of [1, 2, 5]) {
      const times = scheduleTimes(config, { kind: "uniform", steps });
      const [mean, std] = await moments(pushforwardSteps(config, times), network);
      ok(Math.abs(mean - DATA_MEAN) < 1e-3 && Math.abs(std - DATA_STD) < 1e-3, `${mean} ${std}`);
    }
    // Restart: given x~ ~ N(m, c^2), alpha x~ + sigma n is distributed as x_t again.
    const times = scheduleTimes(config, { kind: "uniform", steps: 3 });
    const steps = restartSteps(config, times);
    const seeds = Array.from({ length: 4000 }, (_, i) => i);
    const x = await sample(steps, latents(seeds, 1, SIGMA_D), network, {
      noise: (i) => restartNoise(seeds, 1, SIGMA_D, i),
    });
    const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
    const std = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length);
    const standardError = DATA_STD / Math.sqrt(x.length);
    ok(Math.abs(mean - DATA_MEAN) < 5 * standardError, `${JSON.stringify(settings)} mean ${mean}`);
    ok(Math.abs(std - DATA_STD) < 5 * standardError, `${JSON.stringify(settings)} std ${std}`);
  }
});

Deno.test("guidance mixes raw outputs, and weight 1 is the conditional network", () => {
  deepEqual(guide([1, 2], [3, -2], 1), Float32Array.of(3, -2));
  deepEqual(guide([1, 2], [3, -2], 0), Float32Array.of(1, 2));
  deepEqual(guide([1, 2], [3, -2], 1.5), Float32Array.of(4, -4));
});
