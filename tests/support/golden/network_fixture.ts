/** Fixtures of networks: configuration, weights, inputs, and how their gradients are compared. */

import assert from "node:assert/strict";
import { immConfig } from "../../../lib/imm/config.ts";
import type { PrecondConfig } from "../../../lib/imm/parameterization.ts";
import { type CallCoefficients, callCoefficients } from "../../../lib/imm/parameterization.ts";
import type { Network } from "../../../lib/models/network.ts";
import type { Model } from "../../../lib/models/model_file.ts";
import { fromOfficial } from "../../../lib/models/official.ts";
import { createNetwork } from "../../../lib/models/registry.ts";
import { fromDevice, type HostTensor, type ParameterSpec } from "../../../lib/nn/parameters.ts";
import { type Arena, grad, input, mul, sum, type Tensor } from "../../../lib/tensor/mod.ts";
import { assertClose } from "../close.ts";
import type { Evaluate } from "../devices/evaluators.ts";
import {
  goldenEntry,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
} from "./fixtures.ts";
import { hashedValues } from "./hash.ts";
import { permuteArray, toDeviceLayout } from "./layout.ts";

/** What every fixture of a network says. */
export interface NetFixture {
  /** Keyword arguments of the official IMMPrecond. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly num_parameters: number;
  /** Of the hash that gives weights that are not stored, and probes. */
  readonly salt?: string;
}

/** Where a recorded run begins: tensors of another fixture. */
export interface InitialWeights {
  readonly file: string;
  readonly prefix: string;
}

/** Weights of a network that a fixture stores. */
export function goldenWeights(
  network: Network,
  { file, prefix }: InitialWeights,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const tensors = goldenTensors(file.replace(".safetensors", ""));
  return new Map(network.parameters.names.map((name) => {
    const { shape, data } = goldenTensor(tensors, prefix + name);
    return [name, { shape, data: data as Float32Array }];
  }));
}

/** The network of a fixture that stores its weights. */
export function goldenModel(name: string): Model {
  const network = createNetwork(fromOfficial(goldenJson<NetFixture>(name).config));
  const weights = goldenWeights(network, { file: name, prefix: "param." });
  return { network: network.config, imm: immConfig(), weights, notes: {} };
}

/** One choice of times: names of the path and of what the network is told about the second time. */
export interface Pass {
  readonly schedule: string;
  readonly temb: string;
}

/** A network with a fixture's weights. */
export class LoadedNetwork {
  readonly golden: Map<string, GoldenTensor>;
  readonly network: Network;
  readonly x: Tensor;
  readonly #state: ReadonlyMap<Arena, Float32Array>;
  readonly #batch: number;
  readonly #labels: readonly (number | null)[] | undefined;

  /** `change` is applied to every parameter. */
  constructor(
    name: string,
    readonly fixture: NetFixture,
    change: (parameter: string, data: Float32Array) => Float32Array = (_, data) => data,
  ) {
    this.golden = goldenTensors(name);
    this.network = createNetwork(fromOfficial(fixture.config));
    const { parameters, sampleShape } = this.network;
    assert.equal(parameters.parameterCount, fixture.num_parameters);
    const isStored = parameters.names.every((parameter) => this.golden.has(`param.${parameter}`));
    const state = isStored
      ? goldenWeights(this.network, { file: name, prefix: "param." })
      : this.#hashed(fixture.salt ?? "");
    for (const [parameter, { shape, data }] of state) {
      state.set(parameter, { shape, data: change(parameter, data) });
    }
    const contents = parameters.adopt(state, name);
    this.#state = new Map([
      [parameters.arena, contents.trainable],
      [parameters.frozen, contents.frozen],
    ]);
    [this.#batch] = goldenTensor(this.golden, "x").shape;
    const labels = this.golden.get("label_indices") ?? this.golden.get("labels");
    this.#labels = labels && classesOf(labels);
    this.x = input("x", [this.#batch, ...sampleShape]);
  }

  get trained(): ParameterSpec[] {
    return [...this.network.parameters.specs.values()].filter((spec) => spec.trainable);
  }

  /** The raw output F. */
  async forward(evaluate: Evaluate, pass: Pass): Promise<ArrayLike<number>> {
    const output = this.network.forward(this.x, this.network.conditioningInputs(this.#batch));
    return (await evaluate([output], { inputs: this.#inputs(pass), state: this.#state }))[0];
  }

  /** F, the gradients of sum(P F) in official layout, and the output of every module. */
  async backward(evaluate: Evaluate, pass: Pass): Promise<{
    raw: ArrayLike<number>;
    /** With respect to the x that c_in multiplies. */
    gradX: Float64Array;
    gradients: Map<string, Float32Array>;
    /** By module, without the prefix `model.`. */
    modules: Map<string, { readonly tensor: Tensor; readonly data: ArrayLike<number> }>;
  }> {
    const observed = new Map<string, Tensor>();
    const output = this.network.forward(this.x, this.network.conditioningInputs(this.#batch), {
      observe: (module, value) => observed.set(module.replace(/^model\./, ""), value),
    });
    const { arena } = this.network.parameters;
    const loss = sum(mul(input("P", this.x.shape), output));
    const found = grad(loss, [this.x, ...this.trained.map(({ name }) => arena.tensor(name))]);
    const probe = toDeviceLayout(goldenTensor(this.golden, "P"), "nchw").data;
    const values = await evaluate([output, ...found, ...observed.values()], {
      inputs: { ...this.#inputs(pass), P: probe },
      state: this.#state,
    });
    const calls = this.calls(pass);
    const perSample = this.x.size / this.#batch;
    return {
      raw: values[0],
      gradX: Float64Array.from(values[1], (g, i) => g * calls[Math.floor(i / perSample)].cIn),
      gradients: new Map(
        this.trained.map((spec, i) => [
          spec.name,
          fromDevice(spec, Float32Array.from(values[2 + i])),
        ]),
      ),
      modules: new Map(
        [...observed].map(([module, tensor], i) => [
          module,
          { tensor, data: values[2 + this.trained.length + i] },
        ]),
      ),
    };
  }

  /** c_skip x + c_out F, in device layout. */
  precondition(raw: ArrayLike<number>, pass: Pass, parameterization: string): Float64Array {
    const calls = this.calls(pass, parameterization);
    const x = toDeviceLayout(goldenTensor(this.golden, "x"), "nchw").data;
    return Float64Array.from(x, (value, i) => {
      const { cSkip, cOut } = calls[Math.floor(i * calls.length / x.length)];
      return cSkip * value + cOut * raw[i];
    });
  }

  /** The coefficients of each sample's call. */
  calls({ schedule, temb }: Pass, parameterization = "identity"): CallCoefficients[] {
    const { sigma_data = 0.5, time_scale } = this.fixture.config;
    const config = {
      ...immConfig(),
      interpolant: schedule,
      parameterization,
      timeConditioning: temb,
      sigmaData: sigma_data,
      timeScale: time_scale,
    } as PrecondConfig;
    const t = goldenTensor(this.golden, "t").data;
    const s = goldenTensor(this.golden, "s").data;
    return Array.from(t, (time, n) => callCoefficients(config, s[n], time));
  }

  #inputs(pass: Pass): Record<string, ArrayLike<number>> {
    const calls = this.calls(pass);
    const image = toDeviceLayout(goldenTensor(this.golden, "x"), "nchw").data;
    const perSample = image.length / this.#batch;
    return {
      x: image.map((value, i) => value * calls[Math.floor(i / perSample)].cIn),
      ...this.network.conditioningValues({
        // The official code computes c_noise in float32, from times in float32.
        cNoiseT: calls.map((call) => Math.fround(call.cNoiseT)),
        cNoiseS: calls.map((call) => Math.fround(call.cNoiseS)),
        labels: this.#labels,
      }),
    };
  }

  /** The rules of tests/golden/README.md, net_adm_heads. Frozen tables are the official ones. */
  #hashed(salt: string): Map<string, HostTensor> {
    const { specs, buffers } = this.network.parameters;
    const state = new Map<string, HostTensor>();
    for (const name of this.network.parameters.names) {
      const { shape, init } = specs.get(name) ?? buffers.get(name)!;
      const size = shape.reduce((product, n) => product * n, 1);
      if (init.kind === "values") {
        state.set(name, { shape, data: init.values });
        continue;
      }
      const [scale, offset] = name.endsWith(".embedding_table.weight")
        ? [0.5 * Math.sqrt(3), 0]
        : shape.length >= 2
        ? [Math.sqrt(3 / (size / shape[0])), 0]
        : name.endsWith("weight")
        ? [0.2, 1]
        : [0.1, 0];
      state.set(name, { shape, data: hashedValues(salt + name, size, scale, offset) });
    }
    return state;
  }
}

/** Classes of a fixture's samples, null for none: one-hot rows, or numbers with -1 for none. */
export function classesOf(labels: GoldenTensor): (number | null)[] {
  const numbers = labels.shape.length === 1 ? [...labels.data] : Array.from(
    { length: labels.shape[0] },
    (_, n) => goldenEntry(labels, n).data.indexOf(1),
  );
  return numbers.map((label) => label < 0 ? null : label);
}

/** Compares with a fixture's tensor, of which images are turned to the device's layout. */
export function assertLike(
  actual: ArrayLike<number>,
  expected: GoldenTensor,
  tolerance: { rel: number; abs: number },
  what: string,
): void {
  const layout = expected.shape.length === 4 ? "nchw" : "same";
  assertClose(actual, toDeviceLayout(expected, layout).data, tolerance, what);
}

/** Sum, L2 norm and product with a hash probe of a gradient. */
export type GradientDigest = readonly [sum: number, norm: number, probe: number];

/** Compares norm and probe of a gradient with a stored digest; also its sum, if `sums`. */
export function assertDigest(
  salt: string,
  name: string,
  actual: Float32Array,
  [total, norm, dot]: GradientDigest,
  { rel, sums = false }: { rel: number; sums?: boolean },
): void {
  const probe = hashedValues(`${salt}probe.${name}`, actual.length, 1, 0);
  let [foundTotal, squares, foundDot] = [0, 0, 0];
  for (let i = 0; i < actual.length; i++) {
    foundTotal += actual[i];
    squares += actual[i] ** 2;
    foundDot += actual[i] * probe[i];
  }
  const abs = rel * norm;
  assertClose([Math.sqrt(squares)], [norm], { abs }, `norm of grad.${name}`);
  assertClose([foundDot], [dot], { abs }, `probe of grad.${name}`);
  if (!sums) return;
  const limit = abs * Math.sqrt(actual.length);
  assertClose([foundTotal], [total], { abs: limit }, `sum of grad.${name}`);
}

/** An image in the device's layout [N,H,W,C] as the fixtures store it. */
export function officialImage<T extends Float32Array | Float64Array>(
  data: T,
  { shape: [n, h, w, c] }: { readonly shape: readonly number[] },
): T {
  return permuteArray(data, [n, h, w, c], [0, 3, 1, 2]);
}
