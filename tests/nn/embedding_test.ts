import assert from "node:assert/strict";
import { fourierEmbedding, gridEmbedding, positionalEmbedding } from "../../lib/nn/embedding.ts";
import { assertClose } from "../support/close.ts";
import { goldenTensor, goldenTensors } from "../support/golden/fixtures.ts";

const golden = goldenTensors("ops");

for (const channels of [16, 128]) {
  for (const endpoint of [true, false]) {
    const name = `positional_${channels}_${endpoint ? "endpoint" : "open"}`;
    Deno.test(`positionalEmbedding() agrees with the official U-Nets in the case ${name}`, () => {
      const t = goldenTensor(golden, `${name}.t`).data;
      const options = { channels, endpoint, sineFirst: false };
      const { data } = goldenTensor(golden, `${name}.y`);
      assertClose(positionalEmbedding(t, options), data, { abs: 1e-5 }, name);
    });
  }
}

for (const channels of [256, 9]) {
  Deno.test(`positionalEmbedding() agrees with the official DiT for ${channels} columns`, () => {
    const t = goldenTensor(golden, `dit_timestep_${channels}.t`).data;
    const options = { channels, endpoint: false, sineFirst: false };
    const { data } = goldenTensor(golden, `dit_timestep_${channels}.y`);
    assertClose(positionalEmbedding(t, options), data, { abs: 1e-5 });
  });
}

Deno.test("positionalEmbedding() puts the sines first when it is told to", () => {
  const options = { channels: 6, endpoint: true } as const;
  const plain = positionalEmbedding([0.5, 700], { ...options, sineFirst: false });
  const swapped = positionalEmbedding([0.5, 700], { ...options, sineFirst: true });
  const rows = (data: Float32Array) => [0, 6].map((at) => [...data.subarray(at, at + 6)]);
  assert.deepEqual(rows(swapped), rows(plain).map((row) => [...row.slice(3), ...row.slice(0, 3)]));
});

Deno.test("positionalEmbedding() tells times apart that are one step of the mapping apart", () => {
  // k = 15: t - r near t = 0.994 is about 1.8e-7, so c_noise differs by 1.8e-4.
  const options = { channels: 128, endpoint: true, sineFirst: true };
  const data = positionalEmbedding([994, 994 - 1.8e-4], options);
  const difference = Math.max(
    ...Array.from({ length: 128 }, (_, i) => Math.abs(data[i] - data[128 + i])),
  );
  assertClose([difference], [1.8e-4], { rel: 0.2 });
});

Deno.test("fourierEmbedding() agrees with the official U-Net", () => {
  const t = goldenTensor(golden, "fourier_unet.t").data;
  const frequencies = goldenTensor(golden, "fourier_unet.freqs").data as Float32Array;
  const { data } = goldenTensor(golden, "fourier_unet.y");
  assertClose(fourierEmbedding(t, frequencies, false), data, { abs: 1e-4 });
});

for (const [channels, side] of [[64, 4], [384, 16]]) {
  Deno.test(`gridEmbedding() agrees with the official DiT for ${side} x ${side} patches`, () => {
    const { data } = goldenTensor(golden, `pos_embed_${channels}_${side}.y`);
    assertClose(gridEmbedding(channels, side), data, { abs: 1e-6 });
  });
}
