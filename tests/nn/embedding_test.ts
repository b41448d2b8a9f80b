import assert from "node:assert/strict";
import { fourierEmbedding, gridEmbedding, positionalEmbedding } from "../../lib/nn/embedding.ts";
import { assertClose } from "../support/close.ts";
import {
  bothFiles,
  goldenJson,
  type GoldenTensor,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";

interface Case {
  readonly op: string;
  /** Columns of the U-Nets' embedding, and whether its last frequency is the smallest. */
  readonly num_channels: number;
  readonly endpoint: boolean;
  /** Columns of DiT's embeddings, and patches on a side. */
  readonly dim: number;
  readonly grid: number;
}

type Load = (key: string) => GoldenTensor["data"];

/** The functions of the fixture `ops` that are computed on the host, by how their names begin. */
const EMBEDDINGS: Record<string, { abs: number; compute(c: Case, load: Load): Float32Array }> = {
  "unets.PositionalEmbedding": {
    abs: 1e-5,
    compute: ({ num_channels: channels, endpoint }, load) =>
      positionalEmbedding(load("t"), { channels, endpoint, sineFirst: false }),
  },
  "TimestepEmbedder.positional_timestep_embedding": {
    abs: 1e-5,
    compute: ({ dim: channels }, load) =>
      positionalEmbedding(load("t"), { channels, endpoint: false, sineFirst: false }),
  },
  "unets.FourierEmbedding": {
    abs: 1e-4,
    compute: (_, load) => fourierEmbedding(load("t"), load("freqs") as Float32Array, false),
  },
  "dit.get_2d_sincos_pos_embed": {
    abs: 1e-6,
    compute: ({ dim, grid }) => gridEmbedding(dim, grid),
  },
};

withGolden(bothFiles("ops"), () => {
  const golden = goldenTensors("ops");
  const { cases } = goldenJson<{ cases: Record<string, Case> }>("ops");
  for (const [name, info] of Object.entries(cases)) {
    const known = Object.entries(EMBEDDINGS).find(([op]) => info.op.startsWith(op));
    if (!known) continue;
    const [op, { abs, compute }] = known;
    Deno.test(`${op} agrees with the official one in the case ${name}`, () => {
      const load: Load = (key) => goldenTensor(golden, `${name}.${key}`).data;
      assertClose(compute(info, load), load("y"), { abs }, name);
    });
  }
});

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
