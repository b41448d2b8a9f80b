/**
 * Small networks against their fixtures, whatever evaluates them: raw and preconditioned outputs,
 * outputs of every block, gradients of every parameter, and the probe that shows a wrong eps.
 */

import assert from "node:assert/strict";
import { assertClose } from "../close.ts";
import type { Evaluate } from "../devices/evaluators.ts";
import { bothFiles, goldenJson, goldenTensor, withGolden } from "./fixtures.ts";
import {
  assertDigest,
  assertLike,
  type GradientDigest,
  LoadedNetwork,
  type NetFixture,
  officialImage,
} from "./network_fixture.ts";

/** One comparison with a fixture; `run` throws where they differ. */
export interface NetCase {
  /** A sentence. */
  readonly name: string;
  run(evaluate: Evaluate): Promise<void>;
}

interface SmallFixture extends NetFixture {
  readonly noise_schedule_f_type_temb_type: readonly [string, string, string][];
  readonly grad_case: { readonly noise_schedule: string; readonly temb_type: string };
  readonly grad_noise: Readonly<Record<string, number>>;
  readonly gradients_zero_in_theory: readonly string[];
  readonly eps_probe?: { readonly factor: number; readonly parameters: readonly string[] };
  readonly grad_digest?: Readonly<Record<string, GradientDigest>>;
}

/** The fixtures of small networks. */
export const SMALL_NETWORKS = [
  "net_ddpmpp",
  "net_ncsnpp",
  "net_skip",
  "net_dit",
  "net_dit_qknorm",
  "net_adm",
  "net_adm_heads",
] as const;

/** Of outputs, relative to the largest one and absolute. */
const OUTPUT = { rel: 2e-5, abs: 2e-5 };

/** All comparisons of all small networks. */
export const NET_CASES: readonly NetCase[] = SMALL_NETWORKS.flatMap((name) =>
  withGolden(bothFiles(name), () => casesOf(name)) ?? []
);

function casesOf(name: string): NetCase[] {
  const fixture = goldenJson<SmallFixture>(name);
  const combinations = fixture.noise_schedule_f_type_temb_type;
  const passes = new Set(combinations.map(([schedule, , temb]) => `${schedule}.${temb}`));
  const cases: NetCase[] = [...passes].map((pass) => ({
    name: `${name}: outputs agree with the official network for ${pass}`,
    run: (evaluate) => compareOutputs(name, fixture, pass, evaluate),
  }));
  cases.push({
    name: `${name}: blocks and gradients agree with the official network`,
    run: (evaluate) => compareGradients(name, fixture, evaluate),
  });
  if (fixture.eps_probe) {
    cases.push({
      name: `${name}: the eps of every normalisation is the official one`,
      run: (evaluate) => compareProbe(name, fixture, fixture.eps_probe!, evaluate),
    });
  }
  return cases;
}

async function compareOutputs(
  name: string,
  fixture: SmallFixture,
  pass: string,
  evaluate: Evaluate,
): Promise<void> {
  const loaded = new LoadedNetwork(name, fixture);
  const [schedule, temb] = pass.split(".");
  const raw = await loaded.forward(evaluate, { schedule, temb });
  assertLike(raw, goldenTensor(loaded.golden, `F.${pass}`), OUTPUT, `F.${pass}`);
  for (const [of, type, temb2] of fixture.noise_schedule_f_type_temb_type) {
    if (of !== schedule || temb2 !== temb) continue;
    const out = loaded.precondition(raw, { schedule, temb }, type);
    const what = `out.${schedule}.${type}.${temb}`;
    assertLike(out, goldenTensor(loaded.golden, what), OUTPUT, what);
  }
}

async function compareGradients(
  name: string,
  fixture: SmallFixture,
  evaluate: Evaluate,
): Promise<void> {
  const loaded = new LoadedNetwork(name, fixture);
  const { golden } = loaded;
  const { noise_schedule: schedule, temb_type: temb } = fixture.grad_case;
  const { raw, gradX, gradients, modules } = await loaded.backward(evaluate, { schedule, temb });

  assertLike(raw, goldenTensor(golden, `F.${schedule}.${temb}`), OUTPUT, "F");
  const compare = (parameter: string, actual: ArrayLike<number>) => {
    const rel = fixture.gradients_zero_in_theory.includes(parameter)
      ? 0
      : Math.max(2e-4, 20 * (fixture.grad_noise[parameter] ?? 0));
    const expected = goldenTensor(golden, `grad.${parameter}`).data;
    assertClose(actual, expected, { rel, abs: 1e-6 }, `grad.${parameter}`);
  };
  compare("x", officialImage(gradX, loaded.x));
  for (const [parameter, actual] of gradients) {
    const digest = fixture.grad_digest?.[parameter];
    if (digest) {
      assertDigest(fixture.salt ?? "", parameter, actual, digest, { rel: 1e-3, sums: true });
    }
    if (!digest || golden.has(`grad.${parameter}`)) compare(parameter, actual);
  }

  for (const [module, { data }] of modules) {
    const expected = goldenTensor(golden, `act.${module}`); // of sample 0
    const first = Array.prototype.slice.call(data, 0, expected.data.length);
    assertLike(first, expected, OUTPUT, `act.${module}`);
  }
  // map_noise is computed on the host; embedding_test.ts compares it.
  const unseen = [...golden.keys()].filter((key) =>
    /^act\.(?!map_noise)/.test(key) && !modules.has(key.slice("act.".length))
  );
  assert.deepEqual(unseen, [], "every block of the fixture is observed");
}

async function compareProbe(
  name: string,
  fixture: SmallFixture,
  { factor, parameters }: NonNullable<SmallFixture["eps_probe"]>,
  evaluate: Evaluate,
): Promise<void> {
  const loaded = new LoadedNetwork(
    name,
    fixture,
    (parameter, data) =>
      parameters.includes(parameter) ? data.map((value) => value * factor) : data,
  );
  const { noise_schedule: schedule, temb_type: temb } = fixture.grad_case;
  const raw = await loaded.forward(evaluate, { schedule, temb });
  const expected = goldenTensor(loaded.golden, "F_eps_probe");
  assertLike(raw, expected, { rel: 1e-4, abs: 0 }, "F_eps_probe");
}
