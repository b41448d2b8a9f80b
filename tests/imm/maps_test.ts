/** Times, mapping, weights and coefficients against 60-digit arithmetic (golden imm_maps). */

import { equal, ok } from "node:assert/strict";
import { type ImmConfig, immConfig } from "../../lib/imm/config.ts";
import { interpolant, type InterpolantName } from "../../lib/imm/interpolant.ts";
import { Mapping, type MappingName } from "../../lib/imm/mapping.ts";
import { cIn, cOut, cSkip, type ParameterizationName } from "../../lib/imm/parameterization.ts";
import { kernelWeight, weight } from "../../lib/imm/weighting.ts";
import { goldenJson, withGolden } from "../support/golden/fixtures.ts";

type Rows = readonly (readonly number[])[];

interface MapsFixture {
  schedules: Record<InterpolantName, { rows: Rows; lambda_to_t: Rows; eta_to_t: Rows }>;
  mapping: {
    noise_schedule: InterpolantName;
    mapping: MappingName;
    T: number;
    eps: number;
    k: number;
    min_gap: number | null;
    eta_range: [number, number] | null;
    decrement: number;
    rows: Rows;
  }[];
  weighting: { noise_schedule: InterpolantName; a: number; b: number; rows: Rows }[];
  coefficients: {
    noise_schedule: InterpolantName;
    f_type: ParameterizationName;
    sigma_data: number;
    rows: Rows;
  }[];
}

function near(
  actual: number,
  expected: number,
  { abs = 0, rel = 0 }: { abs?: number; rel?: number },
  what: string,
): void {
  const error = Math.abs(actual - expected);
  ok(error <= abs + rel * Math.abs(expected), `${what}: ${actual}, expected ${expected}`);
}

withGolden(["imm_maps.json"], () => {
  const fixture = goldenJson<MapsFixture>("imm_maps");

  Deno.test("interpolants agree with 60-digit arithmetic", () => {
    for (const [name, golden] of Object.entries(fixture.schedules)) {
      const path = interpolant(name as InterpolantName);
      for (const [t, alpha, sigma, eta, lambda, minusSlope] of golden.rows) {
        near(path.alpha(t), alpha, { rel: 1e-11 }, `${name} alpha(${t})`);
        near(path.sigma(t), sigma, { rel: 1e-11 }, `${name} sigma(${t})`);
        near(path.eta(t), eta, { rel: 1e-11 }, `${name} eta(${t})`);
        near(path.logSnr(t), lambda, { abs: 2e-13 }, `${name} lambda(${t})`);
        near(-path.dLogSnr(t), minusSlope, { rel: 1e-11 }, `${name} -dlambda/dt(${t})`);
      }
      for (const [lambda, t] of golden.lambda_to_t) {
        near(path.logSnrInverse(lambda), t, { rel: 1e-11 }, `${name} lambda = ${lambda}`);
      }
      for (const [eta, t] of golden.eta_to_t) {
        near(path.etaInverse(eta), t, { rel: 1e-11 }, `${name} eta = ${eta}`);
      }
    }
  });

  Deno.test("every mapping r(s, t) agrees with 60-digit arithmetic, and its gap to 12 digits", () => {
    for (const golden of fixture.mapping) {
      const config = immConfig({
        interpolant: golden.noise_schedule,
        parameterization: "simple_edm",
        mapping: golden.mapping,
        T: golden.T,
        eps: golden.eps,
        k: golden.k,
        minGap: golden.min_gap,
        etaRange: golden.eta_range,
      });
      const mapping = new Mapping(config);
      const what = `${golden.noise_schedule} ${golden.mapping} k=${golden.k} T=${golden.T}`;
      near(mapping.decrement, golden.decrement, { rel: 1e-11 }, `decrement, ${what}`);
      for (const [s, t, r, gap] of golden.rows) {
        near(mapping.r(s, t), r, { abs: 3e-14 }, `r(${s}, ${t}), ${what}`);
        near(t - mapping.r(s, t), gap, { abs: 3e-14 }, `t - r(${s}, ${t}), ${what}`);
        near(mapping.gap(s, t), gap, { rel: 1e-12 }, `gap(${s}, ${t}), ${what}`);
        if (r === s) equal(mapping.r(s, t), s, `r is s itself, ${what}`);
      }
    }
  });

  Deno.test("the weighting w(t) agrees with 60-digit arithmetic", () => {
    for (const golden of fixture.weighting) {
      const config = immConfig({
        interpolant: golden.noise_schedule,
        parameterization: "simple_edm",
        a: golden.a,
        b: golden.b,
      });
      for (const [t, w] of golden.rows) {
        near(weight(config, t), w, { rel: 1e-11 }, `w(${t}), a=${golden.a} b=${golden.b}`);
      }
    }
  });

  Deno.test("coefficients and kernel weights keep nine digits down to t - s = 2^-22", () => {
    for (const golden of fixture.coefficients) {
      const config = immConfig({
        interpolant: golden.noise_schedule,
        parameterization: golden.f_type,
        sigmaData: golden.sigma_data,
      });
      const what = `${golden.noise_schedule} ${golden.f_type}`;
      for (const [s, t, in_, skip, out, tilde] of golden.rows) {
        near(cIn(config, t), in_, { rel: 1e-11 }, `c_in(${t}), ${what}`);
        near(cSkip(config, s, t), skip, { rel: 1e-11 }, `c_skip(${s}, ${t}), ${what}`);
        near(cOut(config, s, t), out, { rel: 1e-9 }, `c_out(${s}, ${t}), ${what}`);
        near(kernelWeight(config, s, t), tilde, { rel: 1e-9 }, `w~(${s}, ${t}), ${what}`);
      }
    }
  });
});

Deno.test("the derivative of the log-SNR is its derivative", () => {
  for (const name of ["fm", "vp_cosine"] as const) {
    const path = interpolant(name);
    for (const t of [0.05, 0.3, 0.7, 0.95]) {
      const h = 1e-6;
      const difference = (path.logSnr(t + h) - path.logSnr(t - h)) / (2 * h);
      near(path.dLogSnr(t), difference, { rel: 1e-7 }, `${name} at ${t}`);
    }
  }
});

Deno.test("the weighting is finite at the ends, and can be left out", () => {
  for (const interpolant of ["fm", "vp_cosine"] as const) {
    for (const a of [1, 2]) {
      const config = immConfig({ interpolant, parameterization: "simple_edm", a });
      equal(weight(config, 0), 0);
      ok(Number.isFinite(weight(config, 1)));
    }
  }
  equal(weight({ ...immConfig(), weighting: "none" }, 0.3), 1);
});

Deno.test("the weighting has the published values", () => {
  const values: [Partial<ImmConfig>, number, number][] = [
    [{ a: 1, b: 4 }, 0.5, 3.928055],
    [{ a: 1, b: 5 }, 0.1, 7.889332],
    [{ a: 2, b: 4 }, 0.994, 0.006109],
    [{ interpolant: "vp_cosine", parameterization: "identity" }, 0.9, 1.589646],
  ];
  for (const [settings, t, w] of values) {
    near(weight(immConfig(settings), t), w, { abs: 5e-7 }, `w(${t})`);
  }
});

Deno.test("at s = t every parameterisation is the identity in every bit", () => {
  for (
    const [interpolant, parameterization] of [
      ["fm", "identity"],
      ["fm", "simple_edm"],
      ["fm", "euler_fm"],
      ["vp_cosine", "identity"],
      ["vp_cosine", "simple_edm"],
    ] as const
  ) {
    const config = immConfig({ interpolant, parameterization });
    for (const t of [0, 0.006, 0.1, 1 / 3, 0.7, 0.994]) {
      equal(cSkip(config, t, t), 1);
      equal(cOut(config, t, t), 0);
      equal(kernelWeight(config, t, t), 0);
    }
  }
});
