/**
 * The operators of PyTorch in tests/golden/ops as graphs, whatever device runs them: each case
 * builds y = op(inputs) and the gradients of sum(P * y), and says what they should be.
 */

import {
  add,
  attention,
  chunk,
  concat,
  conv2d,
  embedding,
  geluTanh,
  grad,
  groupNorm,
  input,
  layerNorm,
  linear,
  matmul,
  mean,
  mul,
  permute,
  resampleDown,
  resampleUp,
  reshape,
  silu,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
  unstack,
} from "../../../lib/tensor/mod.ts";
import type { Tolerance } from "../close.ts";
import {
  bothFiles,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "./fixtures.ts";
import { type Layout, toDeviceLayout } from "./layout.ts";

/** One operator with its inputs. */
export interface OpCase {
  readonly name: string;
  build(): BuiltCase;
}

/** A graph with the values of its inputs and the expected values of its outputs. */
export interface BuiltCase {
  readonly inputs: readonly { readonly tensor: Tensor; readonly data: Float32Array | Int32Array }[];
  /** `y`, and `grad.NAME` for inputs that are differentiated. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly expected: Readonly<Record<string, Float32Array | Float64Array | Int32Array>>;
  readonly tolerance: Readonly<Record<string, Tolerance>>;
}

/** The fields of tests/golden/ops.json that describe a case. */
interface CaseInfo {
  readonly op: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly grads: readonly string[];
  readonly float32_noise: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly kernel?: number;
  readonly up?: boolean;
  readonly down?: boolean;
  readonly fused_resample?: boolean;
  readonly resample_filter?: readonly number[];
  readonly num_groups?: number;
  readonly eps?: number;
  readonly heads?: number;
  readonly patch_size?: number;
}

type Inputs = Readonly<Record<string, Tensor>>;

/** How an operator is written here, and which of its arrays are images or convolution weights. */
interface Operator {
  readonly layouts?: Readonly<Record<string, Layout>>;
  forward(inputs: Inputs, info: CaseInfo): Tensor;
}

const images = (...names: string[]): Record<string, Layout> =>
  Object.fromEntries(names.map((name) => [name, "nchw"]));

const OPERATORS: Readonly<Record<string, Operator>> = {
  "conv2d": {
    layouts: { ...images("x", "y"), w: "oihw" },
    forward: ({ x, w, b }, { stride, padding }) => conv2d(x, w, b, { stride, padding }),
  },
  "unets.Conv2d": {
    layouts: { ...images("x", "y"), "param.weight": "oihw" },
    forward: resampledConv,
  },
  "linear": { forward: ({ x, w, b }) => linear(x, w, b) },
  "batched matmul a@b": { forward: ({ a, b }) => matmul(a, b) },
  "batched matmul a@b, 4-D": { forward: ({ a, b }) => matmul(a, b) },
  "matmul a@b": { forward: ({ a, b }) => matmul(a, b) },
  "batched matmul a@b^T": { forward: ({ a, b }) => matmul(a, b, { transB: true }) },
  "batched matmul a^T@b": { forward: ({ a, b }) => matmul(a, b, { transA: true }) },
  "unets.GroupNorm": {
    layouts: images("x", "y"),
    forward: (t, { num_groups, eps }) =>
      groupNorm(t.x, num_groups!, t["param.weight"], t["param.bias"], eps!),
  },
  "layer_norm over the last axis, no affine": { forward: ({ x }, { eps }) => layerNorm(x, eps!) },
  "layer_norm over the last axis, affine": {
    forward: ({ x, w, b }, { eps }) => layerNorm(x, eps!, w, b),
  },
  "silu": { forward: ({ x }) => silu(x) },
  "gelu, tanh form": { forward: ({ x }) => geluTanh(x) },
  "softmax over the last axis": { forward: ({ x }) => softmax(x) },
  "U-Net attention": {
    layouts: images("qkv", "y"),
    forward: ({ qkv }, { heads }) => {
      const [n, h, w, c3] = qkv.shape;
      const parts = unstack(reshape(qkv, [n, h * w, heads!, c3 / 3 / heads!, 3]), -1);
      return reshape(attention(parts[0], parts[1], parts[2]), [n, h, w, c3 / 3]);
    },
  },
  "DiT attention": {
    forward: ({ qkv }, { heads }) => {
      const [n, tokens, d3] = qkv.shape;
      const parts = unstack(reshape(qkv, [n, tokens, 3, heads!, d3 / 3 / heads!]), 2);
      return reshape(attention(parts[0], parts[1], parts[2]), [n, tokens, d3 / 3]);
    },
  },
  "row lookup table[idx]": { forward: ({ table, idx }) => embedding(table, idx) },
  "concat along axis 1": {
    layouts: images("a", "b", "y"),
    forward: ({ a, b }) => concat([a, b], -1),
  },
  "concat along axis 0": { forward: ({ a, b }) => concat([a, b], 0) },
  "split the last axis in two and multiply: first * second": {
    forward: ({ x }) => {
      const [first, second] = chunk(x, -1, 2);
      return mul(first, second);
    },
  },
  "x*(1+scale)+shift, scale/shift [B,D] over tokens": { forward: modulated },
  "shift + x*(scale+1), scale/shift [B,C] over pixels": {
    layouts: images("x", "y"),
    forward: modulated,
  },
  "x + b[None,:,None,None]": { layouts: images("x", "y"), forward: ({ x, b }) => add(x, b) },
  "mean over all but the first axis of (a-b)^2": {
    layouts: images("a", "b"),
    forward: ({ a, b }) => mean(square(sub(a, b)), [1, 2, 3]),
  },
  "PatchEmbed": {
    layouts: { ...images("x"), "param.proj.weight": "oihw" },
    forward: (t, { patch_size }) => {
      const y = conv2d(t.x, t["param.proj.weight"], t["param.proj.bias"], { stride: patch_size });
      return reshape(y, [y.shape[0], -1, y.shape[3]]);
    },
  },
  "DiT.unpatchify": {
    layouts: images("y"),
    forward: ({ x }, { patch_size }) => {
      const [n, tokens, d] = x.shape;
      const [p, side] = [patch_size!, Math.sqrt(tokens)];
      const patches = reshape(x, [n, side, side, p, p, d / p / p]);
      return reshape(permute(patches, [0, 1, 3, 2, 4, 5]), [n, side * p, side * p, d / p / p]);
    },
  },
};

/** x * (1 + scale) + shift, with one scale and shift per sample and channel. */
function modulated({ x, scale, shift }: Inputs): Tensor {
  const ones = x.shape.slice(1, -1).map(() => 1);
  const perSample = (t: Tensor) => reshape(t, [t.shape[0], ...ones, t.shape[1]]);
  return add(mul(x, add(perSample(scale), 1)), perSample(shift));
}

/** The public networks' Conv2d: resampling and convolution, one after the other or "fused". */
function resampledConv(t: Inputs, info: CaseInfo): Tensor {
  const { up, down, fused_resample: fused, resample_filter: filter = [1, 1], kernel } = info;
  const weight = t["param.weight"];
  const bias = t["param.bias"];
  if (!fused) {
    const resampled = up ? resampleUp(t.x, filter) : down ? resampleDown(t.x, filter) : t.x;
    return weight ? conv2d(resampled, weight, bias) : resampled;
  }
  // One padding serves both: the filter's and the kernel's margins are taken off or added up.
  const [convMargin, filterMargin] = [(kernel! - 1) / 2, filter.length / 2 - 1];
  if (up) {
    const padding = convMargin - filterMargin;
    return conv2d(resampleUp(t.x, filter, { border: "full" }), weight, bias, { padding });
  }
  const y = conv2d(t.x, weight, undefined, { padding: convMargin + filterMargin });
  return add(resampleDown(y, filter, { border: "full" }), bias);
}

function buildCase(name: string, info: CaseInfo, golden: Map<string, GoldenTensor>): BuiltCase {
  const { layouts = {}, forward } = OPERATORS[info.op];
  const load = (key: string, layout: string) => {
    const tensor = goldenTensor(golden, `${name}.${key}`);
    return toDeviceLayout(tensor, layouts[layout] ?? "same");
  };
  const inputs: { tensor: Tensor; data: Float32Array | Int32Array }[] = [];
  const declare = (key: string, layout = key): Tensor => {
    const { shape, data } = load(key, layout);
    if (data instanceof Float64Array) throw new Error(`${name}.${key} is float64`);
    const tensor = input(key, shape, data instanceof Int32Array ? "i32" : "f32");
    inputs.push({ tensor, data });
    return tensor;
  };
  const names = Object.keys(info.inputs).filter((key) => !key.startsWith("buffer."));
  const tensors = Object.fromEntries(names.map((key) => [key, declare(key)]));
  const y = forward(tensors, info);
  const loss = sum(mul(y, declare("P", "y")));
  const gradients = grad(loss, info.grads.map((key) => tensors[key]));

  const outputs: Record<string, Tensor> = { y };
  const expected: BuiltCase["expected"] & Record<string, unknown> = { y: load("y", "y").data };
  const tolerance: Record<string, Tolerance> = { y: { rel: 1e-5, abs: 1e-6 } };
  info.grads.forEach((key, i) => {
    outputs[`grad.${key}`] = gradients[i];
    expected[`grad.${key}`] = load(`grad.${key}`, key).data;
    tolerance[`grad.${key}`] = { rel: Math.max(2e-5, 20 * info.float32_noise), abs: 1e-6 };
  });
  return { inputs, outputs, expected, tolerance };
}

/** Whether an operation of the fixture is an operator. */
export const isOperator = (op: string): boolean => op in OPERATORS;

/** Every operator case of the fixture. The arrays are read when the first case is built. */
export const opCases: readonly OpCase[] = withGolden(bothFiles("ops"), () => {
  let golden: Map<string, GoldenTensor> | null = null;
  return Object.entries(goldenJson<{ cases: Record<string, CaseInfo> }>("ops").cases)
    .filter(([, info]) => isOperator(info.op))
    .map(([name, info]): OpCase => ({
      name,
      build: () => buildCase(name, info, golden ??= goldenTensors("ops")),
    }));
}) ?? [];
