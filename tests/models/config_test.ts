import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { parseNetworkConfig } from "../../lib/models/registry.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";

/** Asserts that `run` throws a UsageError whose message matches. */
function assertUsage(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof UsageError, `${error.name}: ${error.message}`);
    assert.match(error.message, message);
    return true;
  });
}

const unet = { type: "song_unet", imgResolution: 16, imgChannels: 3 } as const;
const dit = { type: "dit", imgResolution: 8, imgChannels: 4, hiddenSize: 64, numHeads: 4 } as const;

const MISTAKES: readonly [string, unknown, RegExp][] = [
  ["an unknown type", { type: "gan" }, /network\.type/],
  ["an unknown key", { ...unet, chanels: 3 }, /chanels/],
  ["a missing key", { type: "song_unet", imgResolution: 16 }, /network\.imgChannels: expected/],
  [
    "a wrong type",
    { ...unet, numBlocks: "4" },
    /network\.numBlocks: expected a number, but it is "4"/,
  ],
  ["a level too many", { ...unet, channelMult: [1, 1, 1, 1, 1, 1] }, /a multiple of 32.*found 16/],
  [
    "an odd Fourier embedding",
    { ...unet, modelChannels: 5, embeddingType: "fourier" },
    /network\.modelChannels: expected an even number/,
  ],
  ["patches that do not fit", { ...dit, patchSize: 3 }, /multiple of the patch size 3, found 8/],
  ["heads that do not fit", { ...dit, numHeads: 5 }, /hiddenSize: expected .* 5 heads, found 64/],
  ["a fractional hidden layer", { ...dit, mlpRatio: 1.01 }, /whole number of hidden units/],
];

for (const [what, config, message] of MISTAKES) {
  Deno.test(`parseNetworkConfig() refuses ${what} and names the key`, () => {
    assertUsage(() => parseNetworkConfig(config), message);
  });
}

Deno.test("createNetwork() refuses channels that group normalisation cannot divide", () => {
  // min(32, 216/4) = 32 groups, and 216 is not a multiple of 32.
  const config = { ...unet, modelChannels: 216, channelMult: [1], numBlocks: 1 };
  assertUsage(() => createNetwork(config), /216 channels.*32 groups/);
});

Deno.test("createNetwork() refuses channels that cannot be cut into attention heads", () => {
  // 224 / 64 gives 3 heads.
  const config = { ...unet, type: "dhariwal_unet", modelChannels: 224 } as const;
  assertUsage(
    () => createNetwork({ ...config, channelMult: [1] }),
    /224 channels.*3 attention heads/,
  );
});

Deno.test("parseNetworkConfig() fills in the official defaults, and is stable under JSON", () => {
  const config = parseNetworkConfig(unet);
  assert.equal(config.type, "song_unet");
  assert.deepEqual(config.type === "song_unet" && config.channelMult, [1, 2, 2, 2]);
  assert.deepEqual(parseNetworkConfig(JSON.parse(JSON.stringify(config))), config);
  assert.deepEqual(createNetwork(config).config, config);
});

Deno.test("fromOfficial() knows the named sizes of DiT", () => {
  const options = { img_resolution: 32, img_channels: 4, label_dim: 1000, s_embed: true };
  const config = fromOfficial({ model_type: "DiT_B_4", ...options, f_type: "euler_fm" });
  const expected = {
    type: "dit",
    imgResolution: 32,
    imgChannels: 4,
    depth: 12,
    hiddenSize: 768,
    numHeads: 12,
    patchSize: 4,
  };
  assert.deepEqual(config, parseNetworkConfig(expected));
});

Deno.test("fromOfficial() refuses an unknown network", () => {
  assertUsage(() => fromOfficial({ model_type: "VAE" }), /SongUNet.*found VAE/);
});
