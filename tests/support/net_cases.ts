/**
 * Whole networks against their fixtures, for any device: raw and preconditioned outputs, outputs of
 * every block, gradients of every parameter, and the probe that shows a wrong eps.
 */

import assert from "node:assert/strict";
import { immConfig } from "../../lib/imm/config.ts";
import type { PrecondConfig } from "../../lib/imm/parameterization.ts";
import { callCoefficients } from "../../lib/imm/precond.ts";
import type { Network } from "../../lib/models/network.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { fromDevice, type HostTensor } from "../../lib/nn/parameters.ts";
import { grad, input, mul, sum, type Tensor } from "../../lib/tensor/mod.ts";
import { assertClose } from "./close.ts";
import type { Evaluate } from "./evaluators.ts";
import { goldenJson, type GoldenTensor, goldenTensor, goldenTensors } from "./golden.ts";
import { hashedValues } from "./hash.ts";
import { permuteArray, toDeviceLayout } from "./layout.ts";

/** One comparison with a fixture; `run` throws where they differ. */
export interface NetCase {
  /** A sentence. */
  readonly name: string;
  run(evaluate: Evaluate): Promise<void>;
}

interface NetFixture {
  readonly config: Record<string, unknown>;
  readonly noise_schedule_f_type_temb_type: readonly [string, string, string][];
  readonly grad_case: { readonly noise_schedule: string; readonly temb_type: string };
  readonly label_indices: readonly (number | null)[] | null;
  readonly num_parameters: number;
  readonly grad_noise: Readonly<Record<string, number>>;
  readonly parameters_without_grad: readonly string[];
  readonly gradients_zero_in_theory: readonly string[];
  readonly eps_probe?: { readonly factor: number; readonly parameters: readonly string[] };
  readonly salt?: string;
  readonly manifest?: readonly [string, readonly number[]][];
  readonly grad_digest?: Readonly<Record<string, readonly [number, number, number]>>;
}

const FIXTURES = [
  "net_ddpmpp",
  "net_ncsnpp",
  "net_skip",
  "net_dit",
  "net_dit_qknorm",
  "net_adm_heads",
] as const;

/** All comparisons of all networks. */
export const NET_CASES: readonly NetCase[] = FIXTURES.flatMap(casesOf);

function casesOf(name: string): NetCase[] {
  const fixture = goldenJson<NetFixture>(name);
  const passes = new Map(
    fixture.noise_schedule_f_type_temb_type.map(([schedule, , temb]) => [
      `${schedule}.${temb}`,
      [schedule, temb] as const,
    ]),
  );
  const cases: NetCase[] = [...passes].map(([key, [schedule, temb]]) => ({
    name: `${name}: outputs agree with the official network for ${key}`,
    run: async (evaluate) => {
      const { golden, forward } = load(name, fixture);
      const types = fixture.noise_schedule_f_type_temb_type.filter(([a, , b]) =>
        a === schedule && b === temb
      );
      const raw = await forward(evaluate, schedule, temb);
      assertLike(raw, goldenTensor(golden, `F.${key}`), 2e-5, `F.${key}`);
      for (const [, type] of types) {
        const out = precondition(golden, precondConfig(fixture, schedule, temb, type), raw);
        const what = `out.${schedule}.${type}.${temb}`;
        assertLike(out, goldenTensor(golden, what), 2e-5, what);
      }
    },
  }));
  cases.push({
    name: `${name}: blocks and gradients agree with the official network`,
    run: async (evaluate) => await load(name, fixture).gradients(evaluate),
  });
  const { eps_probe } = fixture;
  if (eps_probe) {
    cases.push({
      name: `${name}: the eps of every normalisation is the official one`,
      run: async (evaluate) => {
        const { golden, forward } = load(name, fixture, (parameter, data) => {
          return eps_probe.parameters.includes(parameter)
            ? data.map((value) => value * eps_probe.factor)
            : data;
        });
        const { noise_schedule, temb_type } = fixture.grad_case;
        const raw = await forward(evaluate, noise_schedule, temb_type);
        const expected = toDeviceLayout(goldenTensor(golden, "F_eps_probe"), "nchw");
        assertClose(raw, expected.data, { rel: 1e-4 }, "F_eps_probe");
      },
    });
  }
  return cases;
}

/** A network with a fixture's weights, and what is done with it. */
function load(
  name: string,
  fixture: NetFixture,
  change: (parameter: string, data: Float32Array) => Float32Array = (_, data) => data,
) {
  const golden = goldenTensors(name);
  const network = createNetwork(fromOfficial(fixture.config));
  const { parameters } = network;
  assert.equal(parameters.parameterCount, fixture.num_parameters);
  const state = new Map<string, HostTensor>();
  for (const [parameter, { shape, data }] of weights(network, golden, fixture.salt)) {
    state.set(parameter, { shape, data: change(parameter, data) });
  }
  const contents = parameters.adopt(state, name);
  const arenas = new Map([
    [parameters.arena, contents.trainable],
    [parameters.frozen, contents.frozen],
  ]);
  const [batch] = goldenTensor(golden, "x").shape;
  const x = input("x", [batch, ...network.sampleShape]);
  const conditioning = network.conditioningInputs(batch);

  const inputs = (schedule: string, temb: string) => {
    const config = precondConfig(fixture, schedule, temb, "identity");
    const calls = callsOf(golden, config);
    const image = toDeviceLayout(goldenTensor(golden, "x"), "nchw").data;
    const perSample = image.length / batch;
    return {
      x: image.map((value, i) => value * calls[Math.floor(i / perSample)].cIn),
      ...network.conditioningValues({
        // The official code computes c_noise in float32, from times in float32.
        cNoiseT: calls.map((call) => Math.fround(call.cNoiseT)),
        cNoiseS: calls.map((call) => Math.fround(call.cNoiseS)),
        labels: fixture.label_indices ?? undefined,
      }),
    };
  };

  const forward = async (evaluate: Evaluate, schedule: string, temb: string) => {
    const output = network.forward(x, conditioning);
    const data = { inputs: inputs(schedule, temb), state: arenas };
    return (await evaluate([output], data))[0];
  };

  const gradients = async (evaluate: Evaluate) => {
    const { noise_schedule, temb_type } = fixture.grad_case;
    const observed = new Map<string, Tensor>();
    const output = network.forward(x, conditioning, {
      observe: (module, value) => observed.set(module.replace(/^model\./, "act."), value),
    });
    const probe = input("P", x.shape);
    const trained = [...parameters.specs.values()].filter((spec) => spec.trainable);
    const wanted = [x, ...trained.map((spec) => parameters.arena.tensor(spec.name))];
    const found = grad(sum(mul(probe, output)), wanted);
    const data = {
      inputs: {
        ...inputs(noise_schedule, temb_type),
        P: toDeviceLayout(goldenTensor(golden, "P"), "nchw").data,
      },
      state: arenas,
    };
    const values = await evaluate([output, ...found, ...observed.values()], data);

    assertLike(values[0], goldenTensor(golden, `F.${noise_schedule}.${temb_type}`), 2e-5, "F");
    const config = precondConfig(fixture, noise_schedule, temb_type, "identity");
    const cIn = callsOf(golden, config).map((call) => call.cIn);
    const gradX = Float64Array.from(values[1], (g, i) => g * cIn[Math.floor(i * batch / x.size)]);
    assertGradient(fixture, golden, "x", gradX, "nchw");
    trained.forEach((spec, i) => {
      const official = fromDevice(spec, Float32Array.from(values[2 + i]));
      assertGradient(fixture, golden, spec.name, official, "same");
    });
    const acts = values.slice(2 + trained.length);
    [...observed.keys()].forEach((act, i) => {
      const expected = goldenTensor(golden, act);
      const size = expected.data.length;
      assertLike(Array.prototype.slice.call(acts[i], 0, size), expected, 2e-5, act);
    });
    const unseen = [...golden.keys()].filter((key) =>
      key.startsWith("act.") && !key.startsWith("act.map_noise") && !observed.has(key)
    );
    assert.deepEqual(unseen, [], "every block of the fixture is observed");
  };

  return { golden, forward, gradients };
}

/** The stored weights, or those that the hash gives (tests/golden/README.md, net_adm_heads). */
function weights(
  network: Network,
  golden: Map<string, GoldenTensor>,
  salt: string | undefined,
): Map<string, HostTensor> {
  const state = network.parameters.initial(0);
  for (const [name, { shape, data }] of state) {
    if (salt === undefined) {
      const stored = goldenTensor(golden, `param.${name}`);
      state.set(name, { shape: stored.shape, data: stored.data as Float32Array });
    } else if (network.parameters.specs.get(name)?.trainable) {
      const [scale, offset] = name.endsWith(".embedding_table.weight")
        ? [0.5 * Math.sqrt(3), 0]
        : shape.length >= 2
        ? [Math.sqrt(3 / (data.length / shape[0])), 0]
        : name.endsWith("weight")
        ? [0.2, 1]
        : [0.1, 0];
      state.set(name, { shape, data: hashedValues(salt + name, data.length, scale, offset) });
    }
  }
  return state;
}

function precondConfig(
  fixture: NetFixture,
  schedule: string,
  temb: string,
  type: string,
): PrecondConfig {
  return {
    ...immConfig(),
    interpolant: schedule as PrecondConfig["interpolant"],
    parameterization: type as PrecondConfig["parameterization"],
    timeConditioning: temb as PrecondConfig["timeConditioning"],
    sigmaData: fixture.config.sigma_data as number,
    timeScale: fixture.config.time_scale as number,
  };
}

/** The coefficients of each sample's call. */
function callsOf(golden: Map<string, GoldenTensor>, config: PrecondConfig) {
  const t = goldenTensor(golden, "t").data;
  const s = goldenTensor(golden, "s").data;
  return Array.from(t, (time, n) => callCoefficients(config, s[n], time));
}

/** c_skip x + c_out F, in device layout. */
function precondition(
  golden: Map<string, GoldenTensor>,
  config: PrecondConfig,
  raw: ArrayLike<number>,
): Float64Array {
  const calls = callsOf(golden, config);
  const x = toDeviceLayout(goldenTensor(golden, "x"), "nchw").data;
  return Float64Array.from(x, (value, i) => {
    const { cSkip, cOut } = calls[Math.floor(i * calls.length / x.length)];
    return cSkip * value + cOut * raw[i];
  });
}

/** Compares with a fixture's tensor, of which images are turned to the device's layout. */
function assertLike(
  actual: ArrayLike<number>,
  expected: GoldenTensor,
  tolerance: number,
  what: string,
): void {
  const layout = expected.shape.length === 4 ? "nchw" : "same";
  const { data } = toDeviceLayout(expected, layout);
  assertClose(actual, data, { rel: tolerance, abs: tolerance }, what);
}

/** Compares a gradient with the stored one, or its sum, norm and probe with the stored digest. */
function assertGradient(
  fixture: NetFixture,
  golden: Map<string, GoldenTensor>,
  name: string,
  actual: Float32Array | Float64Array,
  layout: "nchw" | "same",
): void {
  const expected = golden.get(`grad.${name}`);
  if (expected) {
    const rel = fixture.gradients_zero_in_theory.includes(name)
      ? 0
      : Math.max(2e-4, 20 * (fixture.grad_noise[name] ?? 0));
    const [n, c, h, w] = expected.shape;
    const official = layout === "nchw" ? permuteArray(actual, [n, h, w, c], [0, 3, 1, 2]) : actual;
    assertClose(official, expected.data, { rel, abs: 1e-6 }, `grad.${name}`);
    return;
  }
  const digest = fixture.grad_digest?.[name];
  assert.ok(digest, `the fixture has a gradient of ${name}`);
  const probe = hashedValues(`${fixture.salt}probe.${name}`, actual.length, 1, 0);
  let [total, squares, dot] = [0, 0, 0];
  for (let i = 0; i < actual.length; i++) {
    total += actual[i];
    squares += actual[i] ** 2;
    dot += actual[i] * probe[i];
  }
  const limit = 1e-3 * digest[1];
  const sumLimit = limit * Math.sqrt(actual.length);
  assertClose([total], [digest[0]], { abs: sumLimit }, `sum of grad.${name}`);
  assertClose([Math.sqrt(squares)], [digest[1]], { abs: limit }, `norm of grad.${name}`);
  assertClose([dot], [digest[2]], { abs: limit }, `probe of grad.${name}`);
}
