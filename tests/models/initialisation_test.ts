import assert from "node:assert/strict";
import { createNetwork } from "../../lib/models/registry.ts";
import type { NetworkConfigInput } from "../../lib/models/registry.ts";
import type { Initializer } from "../../lib/nn/init.ts";

const xavier = (fanIn: number, fanOut: number, factor = 1): Initializer => ({
  kind: "uniform",
  bound: factor * Math.sqrt(6 / (fanIn + fanOut)),
});
const kaiming = (fanIn: number, factor: number): Initializer => ({
  kind: "uniform",
  bound: factor * Math.sqrt(3 / fanIn),
});
const normal = (std: number): Initializer => ({ kind: "normal", std });
const constant = (value: number): Initializer => ({ kind: "constant", value });

const unet = {
  imgResolution: 16,
  imgChannels: 3,
  labelDim: 10,
  modelChannels: 32,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [8],
} as const;

/** Official rules for one parameter of each sort; see "Initialisation" of the public code. */
const EXPECTED: readonly [NetworkConfigInput, Readonly<Record<string, Initializer>>][] = [
  [{ type: "song_unet", ...unet, channelMult: [1, 2], attnResolutions: [8] }, {
    "model.map_label.weight": xavier(10, 32),
    "model.map_layer0.weight": xavier(32, 128),
    "model.enc.16x16_conv.weight": xavier(27, 288),
    "model.enc.16x16_conv.bias": xavier(27, 288, 0),
    "model.enc.16x16_block0.norm0.weight": constant(1),
    "model.enc.16x16_block0.norm0.bias": constant(0),
    "model.enc.16x16_block0.conv1.weight": xavier(288, 288, 1e-5),
    "model.enc.16x16_block0.affine.weight": xavier(128, 32),
    "model.enc.8x8_block0.skip.weight": xavier(32, 64),
    "model.enc.8x8_block0.qkv.weight": xavier(64, 192, Math.sqrt(0.2)),
    "model.enc.8x8_block0.proj.weight": xavier(64, 64, 1e-5),
    "model.dec.16x16_aux_conv.weight": xavier(288, 27, 1e-5),
  }],
  [{ type: "dhariwal_unet", ...unet, channelMult: [1, 2], attnResolutions: [8] }, {
    "model.map_label.weight": normal(Math.sqrt(10) * Math.sqrt(1 / 10)),
    "model.map_layer1.bias": kaiming(128, Math.sqrt(1 / 3)),
    "model.enc.16x16_conv.weight": kaiming(27, Math.sqrt(1 / 3)),
    "model.enc.16x16_block0.conv1.weight": kaiming(288, 0),
    "model.enc.8x8_block0.qkv.weight": kaiming(64, Math.sqrt(1 / 3)),
    "model.enc.8x8_block0.proj.weight": kaiming(64, 0),
    "model.out_conv.weight": kaiming(288, 0),
    "model.out_conv.bias": kaiming(288, 0),
  }],
  [
    { type: "dit", imgResolution: 8, imgChannels: 4, labelDim: 10, hiddenSize: 64, numHeads: 4 },
    {
      "model.x_embedder.proj.weight": xavier(16, 64),
      "model.x_embedder.proj.bias": constant(0),
      "model.t_embedder.mlp.0.weight": normal(0.02),
      "model.t_embedder.mlp.2.bias": normal(0),
      "model.y_embedder.embedding_table.weight": normal(0.02),
      "model.blocks.0.attn.qkv.weight": xavier(64, 192),
      "model.blocks.0.attn.qkv.bias": xavier(64, 192, 0),
      "model.blocks.0.mlp.fc1.weight": xavier(64, 256),
      "model.blocks.0.adaLN_modulation.1.weight": normal(0),
      "model.final_layer.linear.weight": normal(0),
    },
  ],
];

for (const [config, expected] of EXPECTED) {
  const { specs } = createNetwork(config).parameters;
  for (const [name, init] of Object.entries(expected)) {
    Deno.test(`${config.type}: ${name} starts as in the official code`, () => {
      assert.deepEqual(rounded(specs.get(name)!.init), rounded(init));
    });
  }
}

Deno.test("Fourier frequencies of both times are drawn apart, with the official deviations", () => {
  const deviations: [NetworkConfigInput, readonly string[], number][] = [
    [
      {
        type: "song_unet",
        ...unet,
        channelMult: [1],
        attnResolutions: [],
        embeddingType: "fourier",
      },
      ["model.map_noise.freqs", "model.map_noise_s.freqs"],
      16,
    ],
    [
      { type: "dit", imgResolution: 8, imgChannels: 4, embeddingType: "fourier", depth: 1 },
      ["model.t_embedder.freqs", "model.s_embedder.freqs"],
      0.02,
    ],
  ];
  for (const [config, names, std] of deviations) {
    const { parameters } = createNetwork(config);
    for (const name of names) assert.deepEqual(parameters.buffers.get(name)!.init, normal(std));
    const state = parameters.initial(1);
    assert.notDeepEqual(state.get(names[0]), state.get(names[1]));
  }
});

/** Numbers to 12 digits: the order of products may differ from the code's. */
function rounded(init: Initializer): unknown {
  return Object.fromEntries(
    Object.entries(init).map(([k, v]) => [k, typeof v === "number" ? v.toPrecision(12) : v]),
  );
}
