/** Configurations from the names and shapes of state dicts. */

import assert from "node:assert/strict";
import { LATENT_STATISTICS } from "../../lib/data/latents/loader.ts";
import { FormatError } from "../../lib/base/errors.ts";
import type { NetworkConfig } from "../../lib/models/registry.ts";
import { inferNetwork } from "../../lib/models/infer.ts";
import { fromOfficial, methodFromOfficial, toOfficial } from "../../lib/models/official.ts";
import { PUBLIC_MODELS, publicModel } from "../../lib/models/public_models.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { EXAMPLE_NETWORKS } from "../support/examples/models.ts";
import { goldenJson, withGolden } from "../support/golden/fixtures.ts";
import { SMALL_NETWORKS } from "../support/golden/network_cases.ts";

type Options = Record<string, unknown>;

/** Shapes of a network's state dict. */
function shapesOf(config: NetworkConfig): Map<string, readonly number[]> {
  const { parameters } = createNetwork(config);
  return new Map(
    parameters.names.map((name) => [
      name,
      (parameters.specs.get(name) ?? parameters.buffers.get(name))!.shape,
    ]),
  );
}

/** Of the fixtures, the real sizes, and variants that they do not have. */
function configurations(): Map<string, NetworkConfig> {
  const found = new Map<string, NetworkConfig>();
  for (const [name, config] of Object.entries(EXAMPLE_NETWORKS)) {
    found.set(name, createNetwork(config).config);
  }
  for (const name of SMALL_NETWORKS) {
    withGolden([`${name}.json`], () => {
      const { config } = goldenJson<{ config: Options }>(name);
      found.set(name, fromOfficial(config));
    });
  }
  withGolden(["manifests.json"], () => {
    const { networks } = goldenJson<{ networks: Record<string, { config: Options }> }>("manifests");
    for (const [name, { config }] of Object.entries(networks)) {
      found.set(name, fromOfficial(config));
    }
  });
  const song = { model_type: "SongUNet", img_resolution: 32, img_channels: 1, model_channels: 8 };
  found.set("one level", fromOfficial({ ...song, channel_mult: [1], attn_resolutions: [32] }));
  found.set("augmented", fromOfficial({ ...song, augment_dim: 9, s_embed: true, label_dim: 3 }));
  found.set("skip encoder", fromOfficial({ ...song, encoder_type: "skip" }));
  found.set("skip decoder", fromOfficial({ ...song, decoder_type: "skip" }));
  for (const size of ["S", "B", "L", "XL"]) {
    for (const patch of [2, 4, 8]) {
      const name = `DiT_${size}_${patch}`;
      const image = { img_resolution: 32, img_channels: 4, label_dim: 1000, s_embed: true };
      found.set(name, fromOfficial({ model_type: name, ...image }));
    }
  }
  return found;
}

const CONFIGURATIONS = configurations();

for (const [name, config] of CONFIGURATIONS) {
  Deno.test(`${name}: names and shapes give the configuration back`, () => {
    const known = config.type === "dit" && config.hiddenSize < 384 && !config.qkNorm
      ? { numHeads: config.numHeads }
      : {};
    const { network } = inferNetwork(shapesOf(config), "file", known);
    const expected: Record<string, unknown> = { ...config };
    if ("dropout" in config) expected.dropout = 0;
    // Only where values lie that no tensor shows, and that nothing depends on.
    if (config.type === "dit") expected.fourierScale = 0.02;
    if (config.type === "song_unet" && config.channelMult.length === 1) {
      expected.resampleFilter = [1, 1];
    }
    if ("attnResolutions" in config) {
      const levels = config.channelMult.map((_, level) => config.imgResolution >> level)
        // ADM's heads have 64 channels; a narrower level has none.
        .filter((_, i) =>
          config.type === "song_unet" || config.modelChannels * config.channelMult[i] >= 64
        );
      expected.attnResolutions = levels.filter((r) => config.attnResolutions.includes(r));
    }
    assert.deepEqual(network, expected);
  });
}

Deno.test("what does not show is said", () => {
  const network = createNetwork(EXAMPLE_NETWORKS.dit).config;
  const { assumptions } = inferNetwork(shapesOf(network), "file");
  assert.match(assumptions.join(), /attention heads, of 64 channels each/);
  const xl = fromOfficial({
    model_type: "DiT_XL_2",
    img_resolution: 32,
    img_channels: 4,
    label_dim: 1000,
  });
  const found = inferNetwork(shapesOf(xl), "file");
  assert.match(found.assumptions.join(), /16 attention heads, as DiT-XL has/);
  const unet = createNetwork(EXAMPLE_NETWORKS.ncsnpp).config;
  const withoutBuffers = new Map(
    [...shapesOf(unet)].filter(([name]) => !name.endsWith("resample_filter")),
  );
  const { network: config, assumptions: more } = inferNetwork(withoutBuffers, "file");
  assert.deepEqual(config.type === "song_unet" && config.resampleFilter, [1, 3, 3, 1]);
  assert.match(more.join(), /resampleFilter \[1,3,3,1\].*Fourier|fourier/);
});

Deno.test("tensors of something else are refused with what is missing", () => {
  const dit = shapesOf(createNetwork(EXAMPLE_NETWORKS.dit).config);
  const without = (name: string) => new Map([...dit].filter(([key]) => key !== name));
  const refuses = (shapes: Map<string, readonly number[]>, message: RegExp) =>
    assert.throws(() => inferNetwork(shapes, "other.pt"), (error) => {
      assert(error instanceof FormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  refuses(without("model.blocks.0.mlp.fc1.weight"), /other\.pt.*it has no blocks\.0\.mlp\.fc1/);
  refuses(without("model.pos_embed"), /positions.*are missing.*network\.imgResolution/);
  refuses(new Map([["model.map_layer0.weight", [4, 4]]]), /no first convolution/);
  const learned = new Map(dit).set("model.final_layer.linear.weight", [2 * 4 * 4, 64]);
  refuses(learned, /learned variance/);
});

Deno.test("official keyword arguments go both ways", () => {
  for (const [name, config] of CONFIGURATIONS) {
    const options = toOfficial(config, publicModel("cifar10").imm);
    assert.deepEqual(fromOfficial(options), config, name);
    assert.deepEqual(methodFromOfficial(options), publicModel("cifar10").imm, name);
  }
});

withGolden(["manifests.json"], () => {
  Deno.test("the public models are those of the fixtures of real size", () => {
    const { networks } = goldenJson<{ networks: Record<string, { config: Options }> }>("manifests");
    const { cifar10, DiT_XL_2 } = networks;
    if (cifar10) {
      const { network, imm } = publicModel("cifar10");
      assert.deepEqual(network, fromOfficial(cifar10.config));
      assert.deepEqual(imm, methodFromOfficial(cifar10.config));
    }
    if (DiT_XL_2) {
      assert.deepEqual(publicModel("imagenet256_ts_a2"), {
        network: fromOfficial(DiT_XL_2.config),
        imm: methodFromOfficial(DiT_XL_2.config),
        latents: { ...LATENT_STATISTICS.imm, finalStd: 0.5 },
      });
    }
  });
});

Deno.test("public models have the settings of their papers", () => {
  assert.equal(publicModel("cifar10").latents, null);
  assert.equal(publicModel("imagenet256_s_a1").imm.timeConditioning, "identity");
  for (const name of PUBLIC_MODELS) assert.equal(publicModel(name).imm.T, 0.994);
  assert.throws(() => publicModel("toString"), /there is no public model toString/);
});
