/** Pictures of latents, by a network in an ONNX file. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { denormalized, latentNote, parseLatentNote } from "../../lib/data/latents/note.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { type DecoderOptions, LatentDecoder } from "../../lib/sample/decoder.ts";
import type { GeneratedBatch } from "../../lib/sample/generator.ts";
import { decoded, type DecoderForm, decoderModel } from "../support/examples/decoder.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";

const SIDE = 4;
const SIZE = SIDE * SIDE * 4;
const PICTURE = 4 * SIDE * SIDE * 3;
const NORMALIZATION = { mean: [0.5, -0.25, 0.125, 1], std: [4, 2, 3, 1], finalStd: 0.5 };
const OPTIONS: DecoderOptions = { latentShape: [SIDE, SIDE, 4], normalization: NORMALIZATION };

/** Three latents as a network makes them. */
const LATENTS = Float32Array.from({ length: 3 * SIZE }, (_, i) => Math.sin(i * i) / 2);

/** What the pictures of {@link LATENTS} are, in numbers of 64 bits. */
const PICTURES = [0, 1, 2].flatMap((n) => {
  const { mean, std, finalStd } = NORMALIZATION;
  const own = [...LATENTS.subarray(n * SIZE, (n + 1) * SIZE)];
  return decoded(own.map((x, i) => x / finalStd * std[i % 4] + mean[i % 4]), SIDE);
});

function withDecoder(
  form: DecoderForm,
  body: (path: string) => Promise<void>,
): Promise<void> {
  return withTempFolder(async (folder) => {
    const path = join(folder, "vae.onnx");
    await Deno.writeFile(path, decoderModel(form));
    await body(path);
  });
}

function assertClose(found: Float32Array, expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => assert(Math.abs(found[i] - value) < 2e-6, `${i}: ${found[i]}`));
}

const FORMS: Readonly<Record<string, DecoderForm>> = {
  "leaves all sizes open": {},
  "takes one latent of one size": { input: [1, 4, SIDE, SIDE], output: [1, 3, 8, 8] },
  "takes latents of one size and does not say what comes out": { input: ["N", 4, SIDE, SIDE] },
  "names the sizes that come out": { output: ["N", 3, "height", "width"] },
};

for (const [name, form] of Object.entries(FORMS)) {
  Deno.test(`latents are denormalised and decoded by a file that ${name}`, () =>
    withDecoder(form, async (path) => {
      await using decoder = await LatentDecoder.load(path, OPTIONS);
      assert.deepEqual(decoder.shape, [8, 8, 3]);
      const all = await decoder.decode(LATENTS);
      assertClose(all, PICTURES);
      for (const n of [0, 1, 2]) {
        const alone = await decoder.decode(LATENTS.subarray(n * SIZE, (n + 1) * SIZE));
        assert.deepEqual(alone, all.slice(n * PICTURE, (n + 1) * PICTURE));
      }
    }));
}

Deno.test("batches of latents become pictures one by one, until they are stopped", () =>
  withDecoder({}, async (path) => {
    await using decoder = await LatentDecoder.load(path, OPTIONS);
    const all = await decoder.decode(LATENTS);
    async function* latents(): AsyncGenerator<GeneratedBatch> {
      yield await Promise.resolve({ first: 5, count: 2, samples: LATENTS.slice(0, 2 * SIZE) });
      yield { first: 7, count: 1, samples: LATENTS.slice(2 * SIZE) };
    }
    const made = await Array.fromAsync(decoder.batches(latents()));
    assert.deepEqual(made.map(({ first, count }) => [first, count]), [[5, 1], [6, 1], [7, 1]]);
    assert.deepEqual(made.flatMap(({ samples }) => [...samples]), [...all]);

    const stop = new AbortController();
    let seen = 0;
    await assert.rejects(async () => {
      for await (const _ of decoder.batches(latents(), stop.signal)) {
        if (++seen === 2) stop.abort(new Error("as asked"));
      }
    }, /as asked/);
    assert.equal(seen, 2);
  }));

Deno.test("pictures between 0 and 1 are brought to -1 and 1", () =>
  withDecoder({}, async (path) => {
    await using decoder = await LatentDecoder.load(path, { ...OPTIONS, range: "unit" });
    assertClose(await decoder.decode(LATENTS), PICTURES.map((value) => 2 * value - 1));
    assert.match(decoder.record.sha256, /^[0-9a-f]{64}$/);
    assert.equal(decoder.record.range, "unit");
  }));

Deno.test("a decoder may take and make float16", () =>
  withDecoder({ type: "float16" }, async (path) => {
    await using decoder = await LatentDecoder.load(path, OPTIONS);
    const all = await decoder.decode(LATENTS);
    PICTURES.forEach((value, i) => assert(Math.abs(all[i] - value) < 4e-3, `${i}: ${all[i]}`));
    assert(all.every((value) => value === Math.fround(Math.f16round(value))));
  }));

Deno.test("what is no decoder of the latents is refused in a sentence", async () => {
  const refused = (form: DecoderForm, ...patterns: RegExp[]) =>
    withDecoder(
      form,
      (path) =>
        assertFormatError(() => LatentDecoder.load(path, OPTIONS), /vae\.onnx/, ...patterns),
    );
  await refused({ outputs: 2 }, /expected one input and one output, found latent_sample and samp/);
  await refused(
    { type: "float64" },
    /expected float32 or float16 in and out, found float64 for latent_sa/,
  );
  await refused(
    { input: ["N", 4, 64, 64] },
    /decodes latents of \[N, 4, 64, 64\], but those of the model are \[1, 4, 4, 4\]; export it w/,
  );
  await refused({ input: [2, 4, 4, 4] }, /of \[2, 4, 4, 4\], .*sizes that are left open/);
  await refused({ input: ["N", 16, "h", "w"] }, /belongs to another autoencoder/);
  await refused({ colours: 2 }, /expected pictures of \[1, 3, H, W\], found \[1, 2, 8, 8\]/);
  await withTempFolder(async (folder) => {
    const path = join(folder, "vae.onnx");
    await assertFormatError(() => LatentDecoder.load(path, OPTIONS), /vae\.onnx does not exist/);
    await Deno.writeTextFile(path, "oops");
    await assertFormatError(() => LatentDecoder.load(path, OPTIONS), /vae\.onnx cannot be run/);
  });
});

Deno.test("a file that makes other pictures than it says is found out", () =>
  // The shape inference of the runtime does not look at sizes that the file leaves open.
  withDecoder({ output: ["N", 3, 12, 12] }, async (path) => {
    const load = async () => {
      await using decoder = await LatentDecoder.load(path, OPTIONS);
      await decoder.decode(LATENTS);
    };
    await assertFormatError(load, /vae\.onnx/);
  }));

Deno.test("notes on latents come back, by name as well, and wrong ones are refused", () => {
  assert.deepEqual(parseLatentNote(latentNote(NORMALIZATION), "m"), NORMALIZATION);
  assert.deepEqual(parseLatentNote("imm", "m").std[0], 4.85503674);
  assert.equal(parseLatentNote("edm2", "m").finalStd, 0.5);
  for (
    const [text, pattern] of [
      ["sdxl", /^m: expected imm, edm2 or JSON such as .*, found sdxl\.$/],
      ['{"mean":[0]}', /^m: std: expected a list, but it is missing\.$/],
      ['{"mean":[0],"std":[0]}', /^m: std\.0: expected a number above 0/],
      ['{"mean":[0],"std":[1,2]}', /^m: expected as many means as deviations, found 1 and 2\.$/],
    ] as const
  ) {
    assert.throws(
      () => parseLatentNote(text, "m"),
      (error) => error instanceof FormatError && pattern.test(error.message),
      text,
    );
  }
  const planes = denormalized(Float32Array.of(1, 2, 3, 4), {
    mean: [1, 0],
    std: [1, 2],
    finalStd: 2,
  });
  assert.deepEqual([...planes], [1.5, 2.5, 2, 4]);
});
