/** Layers and blocks against the fixture `ops`, forward and backward, for any device. */

import {
  DiTBlock,
  FinalLayer,
  PatchEmbedding,
  unpatchify,
} from "../../../lib/models/networks/dit.ts";
import { DHARIWAL_STYLE, SONG_STYLE, UNetBlock } from "../../../lib/models/networks/unet_block.ts";
import { selfAttention } from "../../../lib/nn/attention.ts";
import { Conv2d, type ConvOptions } from "../../../lib/nn/conv.ts";
import { fromDevice, type HostTensor, ParameterStore } from "../../../lib/nn/parameters.ts";
import { grad, input, mul, reshape, silu, sum, type Tensor } from "../../../lib/tensor/mod.ts";
import { assertClose } from "../close.ts";
import type { Evaluate } from "../devices/evaluators.ts";
import {
  bothFiles,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "./fixtures.ts";
import { toDeviceLayout } from "./layout.ts";
import type { NetCase } from "./network_cases.ts";

/** What the fixture says about a case; which of these it has depends on `op`. */
interface OpCase {
  readonly op: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly float32_noise: number;
  readonly gradients_zero_in_theory?: readonly string[];
  readonly in_channels: number;
  readonly out_channels: number;
  readonly emb_channels: number;
  readonly kernel: ConvOptions["kernel"];
  readonly up?: boolean;
  readonly down?: boolean;
  readonly fused_resample?: boolean;
  readonly resample_filter?: NonNullable<ConvOptions["filter"]>;
  readonly attention?: boolean;
  readonly num_heads?: number;
  readonly channels_per_head?: number;
  readonly adaptive_scale?: boolean;
  readonly skip_scale?: number;
  readonly eps?: number;
  readonly resample_proj?: boolean;
  readonly hidden_size: number;
  readonly mlp_ratio?: number;
  readonly qk_norm?: boolean;
  readonly patch_size: number;
  readonly embed_dim: number;
  readonly heads: number;
}

type Inputs = Readonly<Record<string, Tensor>>;

/** How to build the graph of each kind of case; parameters are declared under `param`. */
const BUILDERS: Readonly<
  Record<string, (store: ParameterStore, c: OpCase, inputs: Inputs) => Tensor>
> = {
  "unets.Conv2d": (store, c, { x }) =>
    new Conv2d(store, "param", {
      inChannels: c.in_channels,
      outChannels: c.out_channels,
      kernel: c.kernel,
      resample: resampling(c),
      filter: c.resample_filter,
      fused: c.fused_resample,
      init: SONG_STYLE.init,
    }).forward(x),
  "unets.UNetBlock": (store, c, { x, emb }) => {
    const style = {
      ...DHARIWAL_STYLE,
      skipScale: c.skip_scale ?? 1,
      eps: c.eps ?? 1e-5,
      resampleProj: c.resample_proj ?? false,
      adaptiveScale: c.adaptive_scale ?? true,
    };
    return new UNetBlock(store, "param", style, {
      inChannels: c.in_channels,
      outChannels: c.out_channels,
      embChannels: c.emb_channels,
      resample: resampling(c),
      filter: c.resample_filter,
      heads: c.attention ? c.num_heads ?? c.out_channels / (c.channels_per_head ?? 64) : 0,
    }).forward(x, emb);
  },
  "U-Net attention": (_, { heads }, { qkv }) => {
    const [n, h, w, c] = qkv.shape;
    const joint = reshape(qkv, [n, h * w, c]);
    return reshape(selfAttention(joint, heads, "head-channel-part"), [n, h, w, c / 3]);
  },
  "DiT attention": (_, { heads }, { qkv }) => selfAttention(qkv, heads, "part-head-channel"),
  "dit.DiTBlock": (store, c, { x, c: condition }) =>
    new DiTBlock(store, "param", {
      hiddenSize: c.hidden_size,
      numHeads: c.num_heads!,
      mlpRatio: c.mlp_ratio ?? 4,
      qkNorm: c.qk_norm ?? false,
    }).forward(x, silu(condition)),
  "dit.FinalLayer": (store, c, { x, c: condition }) => {
    const width = c.patch_size * c.patch_size * c.out_channels;
    return new FinalLayer(store, "param", c.hidden_size, width).forward(x, silu(condition));
  },
  "PatchEmbed": (store, c, { x }) =>
    new PatchEmbedding(store, "param", c.patch_size, x.shape[3], c.embed_dim).forward(x),
  "DiT.unpatchify": (_, c, { x }) => unpatchify(x, c.patch_size, c.out_channels),
};

/** Whether an operation of the fixture is a layer. */
export const isLayer = (op: string): boolean => op in BUILDERS;

/** All comparisons of layers. */
export const LAYER_CASES: readonly NetCase[] = withGolden(bothFiles("ops"), () =>
  Object
    .entries(goldenJson<{ cases: Record<string, OpCase> }>("ops").cases)
    .filter(([, { op }]) => isLayer(op))
    .map(([name, description]): NetCase => ({
      name: `${description.op} agrees with PyTorch in the case ${name}`,
      run: (evaluate) => runCase(name, description, evaluate),
    }))) ?? [];

async function runCase(name: string, description: OpCase, evaluate: Evaluate): Promise<void> {
  const golden = goldenTensors("ops");
  const stored = (key: string) => goldenTensor(golden, `${name}.${key}`);
  const tensors: Record<string, Tensor> = {};
  const values: Record<string, ArrayLike<number>> = {};
  for (const key of Object.keys(description.inputs)) {
    if (/^(param|buffer)\./.test(key)) continue;
    const { shape, data } = imageLayout(stored(key));
    tensors[key] = input(key, shape);
    values[key] = data;
  }
  const store = new ParameterStore();
  const y = BUILDERS[description.op](store, description, tensors);
  const state = new Map<string, HostTensor>();
  for (const parameter of store.names) {
    const key = store.buffers.has(parameter) ? parameter.replace("param", "buffer") : parameter;
    const { shape, data } = stored(key);
    state.set(parameter, { shape, data: data as Float32Array });
  }
  const contents = store.adopt(state, name);

  const probe = input("P", y.shape);
  const specs = [...store.specs.values()];
  const leaves = [...Object.values(tensors), ...specs.map(({ name }) => store.arena.tensor(name))];
  const gradients = grad(sum(mul(probe, y)), leaves);
  const [found, ...foundGradients] = await evaluate([y, ...gradients], {
    inputs: { ...values, P: imageLayout(stored("P")).data },
    state: new Map([[store.arena, contents.trainable], [store.frozen, contents.frozen]]),
  });

  assertClose(found, imageLayout(stored("y")).data, { rel: 1e-5, abs: 1e-6 }, `${name}.y`);
  const rel = Math.max(2e-5, 20 * description.float32_noise);
  const zero = description.gradients_zero_in_theory ?? [];
  const compare = (key: string, actual: ArrayLike<number>, expected: ArrayLike<number>) => {
    const tolerance = zero.includes(key) ? { abs: 1e-5 } : { rel, abs: 1e-6 };
    assertClose(actual, expected, tolerance, `${name}.grad.${key}`);
  };
  const names = Object.keys(tensors);
  names.forEach((key, i) => {
    compare(key, foundGradients[i], imageLayout(stored(`grad.${key}`)).data);
  });
  specs.forEach((spec, i) => {
    const official = fromDevice(spec, Float32Array.from(foundGradients[names.length + i]));
    compare(spec.name, official, stored(`grad.${spec.name}`).data);
  });
}

function resampling(c: OpCase): "up" | "down" | "none" {
  return c.up ? "up" : c.down ? "down" : "none";
}

/** Arrays of four axes are images. */
function imageLayout(tensor: GoldenTensor) {
  return toDeviceLayout(tensor, tensor.shape.length === 4 ? "nchw" : "same");
}
