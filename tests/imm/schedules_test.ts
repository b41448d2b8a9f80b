/** Interpolants, coefficients and sampling times against the official code (golden schedules). */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { type ImmConfig, immConfig } from "../../lib/imm/config.ts";
import { interpolant, type InterpolantName } from "../../lib/imm/interpolant.ts";
import { cIn, cNoise, cNoiseSecond, cOut, cSkip } from "../../lib/imm/parameterization.ts";
import { pushforwardSteps, restartSteps } from "../../lib/imm/sampler.ts";
import { explicitTime, type Schedule, scheduleTimes } from "../../lib/imm/schedule.ts";
import { goldenJson, withGolden } from "../support/golden/fixtures.ts";

interface Pair {
  c_skip: number;
  c_out: number;
}

interface ModelInputs {
  c_in: number;
  c_noise_t: number;
  c_noise_s: number;
}

interface SchedulesFixture {
  sigma_data: number;
  time_scale?: number;
  schedules: Record<InterpolantName, {
    values: Record<"t" | "alpha" | "sigma" | "logsnr" | "log_nt", number | string>[];
    nt_to_t: { nt: number | string; t: number; t_from_float32: number }[];
    coefficients: {
      t: number;
      s: number;
      ddim: { y: number; yt: number };
      simple_edm: Pair;
      euler_fm?: Pair;
      model_inputs_float32_identity: ModelInputs;
      model_inputs_float32_stride: ModelInputs;
    }[];
    steps: {
      T: number;
      eps: number;
      discretization: "uniform" | "edm" | "mid_nt" | "nt_range";
      num_steps: number;
      mid_nt: number[];
      t_steps: number[];
      restart_t: number[];
      restart_s: number[];
      nt_low: number;
      nt_high: number;
    }[];
  }>;
}

/** JSON has no infinities; the fixture writes them as strings. */
function toNumber(value: number | string): number {
  return typeof value === "number" ? value : value === "inf" ? Infinity : -Infinity;
}

function near(actual: number, expected: number, rel: number, abs: number, what: string): void {
  if (actual === expected) return;
  const error = Math.abs(actual - expected);
  ok(error <= rel * Math.abs(expected) + abs, `${what}: ${actual}, expected ${expected}`);
}

const near64 = (actual: number, expected: number, what: string) =>
  near(actual, expected, 1e-12, 1e-14, what);

withGolden(["schedules.json"], () => {
  const { sigma_data: sigmaData, time_scale: timeScale = 1000, schedules: given } = goldenJson<
    SchedulesFixture
  >("schedules");
  const schedules = Object.entries(given) as [InterpolantName, typeof given.fm][];

  Deno.test("interpolants have the official alpha, sigma, log-SNR and eta, at 0 and 1 too", () => {
    for (const [name, golden] of schedules) {
      const path = interpolant(name);
      for (const row of golden.values) {
        const t = toNumber(row.t);
        near64(path.alpha(t), toNumber(row.alpha), `${name} alpha(${t})`);
        near64(path.sigma(t), toNumber(row.sigma), `${name} sigma(${t})`);
        near64(path.logSnr(t), toNumber(row.logsnr), `${name} logSnr(${t})`);
        near64(Math.log(path.eta(t)), toNumber(row.log_nt), `${name} log eta(${t})`);
      }
    }
  });

  Deno.test("the inverse of eta is the official nt_to_t, in float64 and in its float32 form", () => {
    for (const [name, golden] of schedules) {
      const path = interpolant(name);
      for (const row of golden.nt_to_t) {
        const eta = toNumber(row.nt);
        near64(path.etaInverse(eta), row.t, `${name} etaInverse(${eta})`);
        near(
          explicitTime({ interpolant: name, T: 1, eps: 0 }, eta),
          row.t_from_float32,
          0,
          1e-9,
          `${name} float32 ${eta}`,
        );
      }
    }
  });

  Deno.test("ddim and the parameterisations have the official coefficients", () => {
    for (const [name, golden] of schedules) {
      const path = interpolant(name);
      for (const row of golden.coefficients) {
        const { s, t } = row;
        const where = `${name} s=${s} t=${t}`;
        near64(path.ddim(s, t).y, row.ddim.y, `ddim y, ${where}`);
        near64(path.ddim(s, t).yt, row.ddim.yt, `ddim yt, ${where}`);
        for (const parameterization of ["simple_edm", "euler_fm"] as const) {
          const expected = row[parameterization];
          if (!expected) continue; // euler_fm is defined for fm only
          const config = immConfig({ interpolant: name, parameterization, sigmaData });
          near64(cSkip(config, s, t), expected.c_skip, `c_skip ${parameterization}, ${where}`);
          near(
            cOut(config, s, t),
            expected.c_out,
            1e-12,
            1e-13,
            `c_out ${parameterization}, ${where}`,
          );
        }
        const identity = immConfig({ interpolant: name, parameterization: "identity", sigmaData });
        near64(cSkip(identity, s, t), row.ddim.yt, `c_skip identity, ${where}`);
        near64(cOut(identity, s, t), row.ddim.y, `c_out identity, ${where}`);
      }
    }
  });

  Deno.test("the network is told the official c_in and c_noise, for both kinds of second time", () => {
    for (const [name, golden] of schedules) {
      for (const row of golden.coefficients) {
        for (const timeConditioning of ["identity", "stride"] as const) {
          const config = immConfig({
            interpolant: name,
            parameterization: "simple_edm",
            timeConditioning,
            sigmaData,
            timeScale,
          });
          const expected = row[`model_inputs_float32_${timeConditioning}`];
          const where = `${name} ${timeConditioning} s=${row.s} t=${row.t}`;
          near(cIn(config, row.t), expected.c_in, 1e-6, 0, `c_in ${where}`);
          near(cNoise(config, row.t), expected.c_noise_t, 1e-6, 0, `c_noise(t) ${where}`);
          near(cNoiseSecond(config, row.s, row.t), expected.c_noise_s, 1e-6, 0, `second ${where}`);
        }
      }
    }
  });

  Deno.test("samplers visit the official times", () => {
    for (const [name, golden] of schedules) {
      for (const row of golden.steps) {
        const config = immConfig({
          interpolant: name,
          parameterization: "simple_edm",
          T: row.T,
          eps: row.eps,
        });
        if (row.discretization === "nt_range") {
          near64(interpolant(name).eta(row.T), row.nt_high, `${name} eta(T)`);
          near64(interpolant(name).eta(row.eps), row.nt_low, `${name} eta(eps)`);
          continue;
        }
        const schedule: Schedule = row.discretization === "mid_nt"
          ? { kind: "explicit", etas: row.mid_nt }
          : { kind: row.discretization, steps: row.num_steps };
        const times = scheduleTimes(config, schedule);
        const tolerance = row.discretization === "mid_nt" ? 1e-9 : 0;
        const what = `${name} ${JSON.stringify(schedule)}`;
        equal(times.length, row.t_steps.length, what);
        times.forEach((t, i) => near(t, row.t_steps[i], 1e-12, 1e-14 + tolerance, what));

        const pushforward = pushforwardSteps(config, times);
        deepEqual(
          pushforward.map(({ t, s }) => [t, s]),
          times.slice(1).map((s, i) => [times[i], s]),
        );
        ok(pushforward.every((step) => step.renoise === null));

        const restart = restartSteps(config, times);
        equal(restart.length, row.restart_t.length, what);
        restart.forEach((step, i) => {
          near(step.t, row.restart_t[i], 1e-12, 1e-14 + tolerance, `restart ${what}`);
          near64(step.s, row.restart_s[i], `restart ${what}`);
          const next = restart[i + 1];
          const expected = next &&
            { alpha: interpolant(name).alpha(next.t), sigma: interpolant(name).sigma(next.t) };
          deepEqual(step.renoise, expected ?? null);
        });
      }
    }
  });
});

Deno.test("schedules refuse what they cannot visit", () => {
  const config: ImmConfig = immConfig();
  throws(() => scheduleTimes(config, { kind: "uniform", steps: 0 }), UsageError);
  throws(() => scheduleTimes(config, { kind: "edm", steps: 1.5 }), UsageError);
  throws(() => scheduleTimes(config, { kind: "explicit", etas: [0.5, 1.4] }), UsageError);
  throws(() => scheduleTimes(config, { kind: "explicit", etas: [1000] }), UsageError);
  const toOne = immConfig({ T: 1, mapping: "t" });
  throws(() => scheduleTimes(toOne, { kind: "edm", steps: 2 }), UsageError);
});
