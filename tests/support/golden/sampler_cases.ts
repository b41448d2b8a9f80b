/** The sampling runs of the fixture `samplers`: their settings and the steps that they take. */

import {
  type ImmConfig,
  immConfig,
  pushforwardSteps,
  restartSteps,
  type Schedule,
  scheduleTimes,
} from "../../../lib/imm/mod.ts";
import type { SamplerStep } from "../../../lib/objectives/sampler.ts";
import { goldenJson } from "./fixtures.ts";

/** What the fixture says of a run. */
export interface SamplerCase {
  readonly sampler: "pushforward" | "restart";
  readonly discretization?: "uniform" | "edm";
  readonly num_steps?: number;
  readonly mid_nt?: readonly number[] | null;
  readonly cfg_scale?: number;
  readonly noise_schedule: ImmConfig["interpolant"];
  readonly f_type: ImmConfig["parameterization"];
  readonly temb_type: ImmConfig["timeConditioning"];
  readonly T: number;
  readonly eps: number;
  /** Times (t, s) of the calls of the network. */
  readonly calls: readonly (readonly [number, number])[];
  readonly labels: boolean;
  readonly noise_tensors_used: number;
}

/** A run in this project's terms. */
export interface SamplerRun extends SamplerCase {
  /** `FAMILY.CASE` */
  readonly name: string;
  /** The network is that of the fixture `net_FAMILY`. */
  readonly family: string;
  readonly imm: ImmConfig;
  readonly steps: readonly SamplerStep[];
  /** Names of the fixture's states after each step; the last are the samples. */
  readonly states: readonly string[];
}

/** All runs of the fixture. */
export function samplerRuns(): SamplerRun[] {
  const { cases, ...rest } = goldenJson<{ cases: Readonly<Record<string, SamplerCase>> }>(
    "samplers",
  );
  const configs: Readonly<Record<string, { sigma_data: number; time_scale: number }>> = rest;
  return Object.entries(cases).map(([name, info]) => {
    const [family] = name.split(".");
    const { sigma_data: sigmaData, time_scale: timeScale } = configs[`${family}_config`];
    const imm = immConfig({
      interpolant: info.noise_schedule,
      parameterization: info.f_type,
      timeConditioning: info.temb_type,
      T: info.T,
      eps: info.eps,
      sigmaData,
      timeScale,
    });
    const schedule: Schedule = info.discretization
      ? { kind: info.discretization, steps: info.num_steps! }
      : { kind: "explicit", etas: info.mid_nt ?? [] };
    const times = scheduleTimes(imm, schedule);
    const steps = (info.sampler === "restart" ? restartSteps : pushforwardSteps)(imm, times);
    const states = steps.map((_, i) => `${name}.${i < steps.length - 1 ? `step${i}` : "out"}`);
    return { ...info, name, family, imm, steps, states };
  });
}
