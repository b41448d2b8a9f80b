/** Latents of autoencoders as data sets: the files of others, and what a network is given of them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ArrayDataset } from "../../lib/data/dataset.ts";
import { checkNormalization, describeLatents } from "../../lib/data/latents/describe.ts";
import {
  drawLatent,
  LATENT_STATISTICS,
  LatentLoader,
  latentRule,
  type LatentSettings,
} from "../../lib/data/latents/loader.ts";
import { isLatents, type LatentDataset } from "../../lib/data/latents/dataset.ts";
import { Loader } from "../../lib/data/stream/loader.ts";
import { openDataset, openImagesOrLatents } from "../../lib/data/open.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { type TensorToWrite, writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { deriveKey, hostNormal } from "../../lib/random/threefry.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import {
  channelsToEnd,
  edm2Files,
  LABELS,
  LATENTS,
  MEANS,
  npy,
  WIDTHS,
  withSecond,
  writeFolder,
  writeZip,
} from "../support/examples/latents.ts";

const { count, channels, side } = LATENTS;
const SHAPE: readonly number[] = [count, channels, side, side];
const MOMENT_SHAPE = [count, 2 * channels, side, side];
const SIZE = channels * side * side;
const SETTINGS: LatentSettings = { moments: null, normalize: "imm", finalStd: 0.5 };

async function openLatents(path: string): Promise<LatentDataset> {
  const dataset = await openImagesOrLatents(path);
  assert(isLatents(dataset));
  return dataset;
}

/** Numbers and labels of all items are those that were written. */
function assertContent(
  dataset: LatentDataset,
  expected: Float32Array,
  labels: readonly number[] | null,
  mirrored = false,
): void {
  const size = expected.length / count;
  assert.equal(dataset.length, count);
  assert.deepEqual([...dataset.storedShape], [side, side, size / side / side]);
  for (let n = count - 1; n >= 0; n--) {
    const one = channelsToEnd(expected.subarray(n * size, (n + 1) * size), size / side / side);
    assert.deepEqual(dataset.stored(n, mirrored), one);
    assert.equal(dataset.label(n), labels === null ? null : labels[n]);
  }
  assert.equal(dataset.labelCount, labels === null ? 0 : 3);
}

const labelArray = {
  type: "i64",
  shape: [count],
  data: BigInt64Array.from(LABELS, BigInt),
} as const;

Deno.test("the same latents come out of npz, npy and safetensors, in any layout and width", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const f32 = { type: "f32", shape: SHAPE, data: MEANS } as const;
    const half = { type: "f16", shape: SHAPE, data: Float16Array.from(MEANS) } as const;
    const last = {
      type: "f32",
      shape: [count, side, side, channels],
      data: channelsToEnd(MEANS, channels),
    } as const;
    await writeNpz(at("a.npz"), [["arr_0", f32], ["arr_1", labelArray]]);
    await writeNpz(at("b.npz"), [["latents", half], ["labels", labelArray]], { compress: true });
    const wide = { ...f32, shape: SHAPE.with(2, 2).with(3, 8), data: MEANS };
    await writeNpz(at("wide.npz"), [["latents", wide]]);
    await Deno.mkdir(at("c"));
    await Deno.writeFile(at("c/train.npy"), await npy(SHAPE, MEANS));
    await Deno.copyFile(at("a.npz"), at("c/x.npz")); // lies beside, and is not looked at
    const tensors = (rows: typeof MEANS): [string, TensorToWrite][] => [
      ["latents", { dtype: "F32", shape: [rows.length / SIZE, 4, 4, 4], data: rows }],
    ];
    await writeSafetensors(at("d.safetensors"), [
      ...tensors(MEANS),
      ["labels", { dtype: "I64", shape: [count], data: labelArray.data }],
    ]);
    const hashes = new Set<string>();
    for (const name of ["a.npz", "b.npz", "d.safetensors"]) {
      using dataset = await openLatents(at(name));
      assertContent(dataset, MEANS, LABELS);
      assert.equal(dataset.hasMirrored, false);
      hashes.add(dataset.contentHash());
    }
    assert.equal(hashes.size, 1);
    using unlabelled = await openLatents(at("c/train.npy"));
    assertContent(unlabelled, MEANS, null);
    assert(!hashes.has(unlabelled.contentHash()));
    await writeNpz(at("last.npz"), [["latents", { ...last, shape: [6, 4, 4, 4] }]]);
    await assertFormatError(() => openLatents(at("wide.npz")), /expected squares.*\[4, 2, 8\]/);
  });
});

Deno.test("channels are the first or the last axis, whichever is not one of a square", async () => {
  await withTempFolder(async (folder) => {
    const data = Float32Array.from({ length: 2 * 3 * 5 * 5 }, (_, i) => i);
    const last = join(folder, "last.npz");
    await writeNpz(last, [["latents", { type: "f32", shape: [2, 5, 5, 3], data }]]);
    using a = await openLatents(last);
    assert.deepEqual([...a.storedShape], [5, 5, 3]);
    assert.deepEqual(a.stored(1), data.slice(75));
    const first = join(folder, "first.npz");
    await writeNpz(first, [["latents", { type: "f32", shape: [2, 3, 5, 5], data }]]);
    using b = await openLatents(first);
    assert.deepEqual([...b.storedShape], [5, 5, 3]);
    assert.deepEqual([...b.stored(1).subarray(0, 6)], [75, 100, 125, 76, 101, 126]);
  });
});

Deno.test("labels.npy beside an npy file are its labels", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "train.npy");
    await Deno.writeFile(path, await npy(SHAPE, MEANS));
    const labels = join(folder, "labels.npy");
    await Deno.writeFile(labels, await npy([count], Float32Array.from(LABELS)));
    await assertFormatError(() => openLatents(path), /labels\.npy holds no labels.*found f32/);
    const header = "{'descr': '<i4', 'fortran_order': False, 'shape': (6,), }".padEnd(117) + "\n";
    const bytes = new Uint8Array(128 + 4 * count);
    bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, 118, 0]);
    bytes.set(new TextEncoder().encode(header), 10);
    bytes.set(new Uint8Array(Int32Array.from(LABELS).buffer), 128);
    await Deno.writeFile(labels, bytes);
    using dataset = await openLatents(path);
    assertContent(dataset, MEANS, LABELS);
  });
});

Deno.test("a folder of safetensors is one set, with the latents of mirrored pictures", async () => {
  await withTempFolder(async (folder) => {
    const flipped = MEANS.map((x) => -x);
    const shard = (name: string, from: number, to: number, more: TensorToWrite | null) => {
      const part = (values: Float32Array): TensorToWrite => ({
        dtype: "F32",
        shape: [to - from, channels, side, side],
        data: values.slice(from * SIZE, to * SIZE),
      });
      return writeSafetensors(join(folder, name), [
        ["latents", part(MEANS)],
        ["latents_flip", more ?? part(flipped)],
        ["labels", {
          dtype: "I64",
          shape: [to - from],
          data: BigInt64Array.from(LABELS.slice(from, to), BigInt),
        }],
      ]);
    };
    await shard("latents_rank00_shard000.safetensors", 0, 1, null);
    await shard("latents_rank00_shard001.safetensors", 1, 5, null);
    await shard("latents_rank01_shard000.safetensors", 5, 6, null);
    {
      using dataset = await openLatents(folder);
      assertContent(dataset, MEANS, LABELS);
      assert(dataset.hasMirrored);
      assertContent(dataset, flipped, LABELS, true);
      // Every latent of the stream is the one or the other.
      const rule = latentRule(dataset, {
        ...SETTINGS,
        normalize: { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] },
        finalStd: 1,
      });
      const loader = new LatentLoader(dataset, rule, { seed: 3, mirror: true });
      const { images } = loader.batch(0, 200);
      const order = new Loader(
        new ArrayDataset("like it", [1, 1, 1], new Uint8Array(count), null),
        { seed: 3, mirror: true },
      );
      let seen = 0;
      for (let n = 0; n < 200; n++) {
        const { index, mirrored } = order.item(n);
        assert.deepEqual(
          images.slice(n * SIZE, (n + 1) * SIZE),
          dataset.stored(index, mirrored),
        );
        if (mirrored) seen++;
      }
      assert(seen > 60 && seen < 140);
    }
    await shard("latents_rank02_shard000.safetensors", 0, 2, {
      dtype: "F32",
      shape: [1, channels, side, side],
      data: MEANS.slice(0, SIZE),
    });
    await assertFormatError(
      () => openLatents(folder),
      /rank02.*latents_flip has the shape \(1, 4, 4, 4\), but .*rank02.* has \(2, 4, 4, 4\)/,
    );
  });
});

Deno.test("what EDM2's tool encodes is read from its folder and archive, and says what it is", async () => {
  await withTempFolder(async (folder) => {
    const files = await edm2Files();
    const paths = ["edm2", "stored.zip", "deflated.zip"].map((name) => join(folder, name));
    await writeFolder(paths[0], files);
    await writeZip(paths[1], files);
    await writeZip(paths[2], files, true);
    for (const path of paths) {
      using dataset = await openLatents(path);
      assertContent(dataset, withSecond(WIDTHS), LABELS);
      assert.equal(dataset.moments, "mean-std");
      assert.deepEqual(latentRule(dataset, SETTINGS).moments, "mean-std");
      await assertFormatError(() => openDataset(path), /holds latents of an autoencoder.*images/);
    }
    const other = join(paths[0], "00000/img-mean-std-00000004.npy");
    await Deno.writeFile(other, await npy([side, side, 2], new Float32Array(32)));
    using damaged = await openLatents(paths[0]);
    await assertFormatError(
      () => damaged.stored(4),
      /00000004\.npy has the shape \(4, 4, 2\), but .*00000000\.npy has \(8, 4, 4\)/,
    );
    await Deno.truncate(other, 40);
    await assertFormatError(() => damaged.stored(4), /00000004\.npy is truncated/);
  });
});

Deno.test("folders of npy files are the classes, and a leading axis of one is no channel", async () => {
  await withTempFolder(async (folder) => {
    const one = (n: number) => npy([1, ...SHAPE.slice(1)], MEANS.slice(n * SIZE, (n + 1) * SIZE));
    await writeFolder(
      folder,
      new Map([["b/0.npy", await one(1)], ["a/0.npy", await one(0)], ["b/1.npy", await one(2)]]),
    );
    using dataset = await openLatents(folder);
    assert.deepEqual(dataset.labelNames, ["a", "b"]);
    assert.deepEqual([0, 1, 2].map((i) => dataset.label(i)), [0, 1, 1]);
    assert.equal(dataset.moments, null);
    assert.deepEqual(dataset.stored(2), channelsToEnd(MEANS.slice(2 * SIZE, 3 * SIZE), 4));
  });
});

Deno.test("files that are no latents are refused with what was found", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    const refuses = async (arrays: Parameters<typeof writeNpz>[1], ...patterns: RegExp[]) => {
      await writeNpz(path, arrays);
      await assertFormatError(() => openImagesOrLatents(path), /a\.npz/, ...patterns);
    };
    const f32 = (...shape: number[]) =>
      ({ type: "f32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
    await refuses([["latents", f32(2, 4, 4)]], /expected floats of shape .*found f32 of/);
    await refuses(
      [["latents", { type: "u8", shape: [1, 4, 2, 2], data: new Uint8Array(16) }]],
      /found u8/,
    );
    await refuses([["arr_0", f32(2, 4, 4)]], /holds no images/);
    await refuses([["latents", f32(2, 4, 4, 4)], ["labels", labelArray]], /2 images but 6 labels/);
    await refuses([["latents", f32(2, 4, 4, 4)], ["labels", f32(2)]], /holds no labels/);
    const tensors = join(folder, "model.safetensors");
    await writeSafetensors(tensors, [["weight", { dtype: "F32", shape: [1], data: f32(1).data }]]);
    await assertFormatError(
      () => openImagesOrLatents(tensors),
      /model\.safetensors holds no latents: expected an array named latents .* found weight/,
    );
    await writeNpz(path, [["latents", f32(1, 4, 4, 4)]]);
    await assertFormatError(() => openImagesOrLatents(path, { padTo: 8 }), /cannot be padded/);
  });
});

/** LatentMoments whose second half is `second`, as a data set. */
async function withMoments(
  second: Float32Array,
  body: (dataset: LatentDataset) => void | Promise<void>,
): Promise<void> {
  await withTempFolder(async (folder) => {
    const path = join(folder, "moments.npz");
    await writeNpz(path, [
      ["moments", { type: "f32", shape: MOMENT_SHAPE, data: withSecond(second) }],
    ]);
    using dataset = await openLatents(path);
    await body(dataset);
  });
}

Deno.test("latents are normalised as the public code does it", () => {
  // numpy: ((z - raw_mean) / raw_std * 0.5) of z = 1, 2, 3, 4 with the statistics of its
  // configuration, and of EDM2's.
  const draw = (normalize: "imm" | "edm2") => {
    const target = new Float32Array(4);
    const statistics = LATENT_STATISTICS[normalize];
    const rule = { shape: [1, 1, 4] as const, moments: null, statistics, finalStd: 0.5 };
    drawLatent(Float32Array.of(1, 2, 3, 4), rule, { seed: 0, position: 0 }, target, "z");
    return target;
  };
  const close = (found: Float32Array, expected: number[]) =>
    found.forEach((x, i) => assert(Math.abs(x - expected[i]) < 1e-6, `${found}`));
  close(draw("imm"), [0.0139154457, 0.2141170752, 0.3535244188, 0.4547477837]);
  close(draw("edm2"), [-0.5767386091, -0.1352813853, 0.3881401617, 0.9375]);
});

Deno.test("moments are drawn from: mean, and deviation or log variance, times the noise of the item", async () => {
  const logs = WIDTHS.map((width) => 2 * Math.log(width));
  const identity = { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] };
  const drawn: Float32Array[] = [];
  for (const [moments, second] of [["mean-std", WIDTHS], ["mean-logvar", logs]] as const) {
    await withMoments(second, (dataset) => {
      const rule = latentRule(dataset, { moments, normalize: identity, finalStd: 1 });
      assert.deepEqual([...rule.shape], [side, side, channels]);
      const loader = new LatentLoader(dataset, rule, { seed: 7 });
      const { images } = loader.batch(0, 3 * count);
      drawn.push(images);
      const order = new Loader(
        new ArrayDataset("like it", [1, 1, 1], new Uint8Array(count), null),
        { seed: 7 },
      );
      for (let n = 0; n < 3 * count; n++) {
        const { index } = order.item(n);
        const noise = hostNormal(deriveKey(7, "posterior", 0), [1, side, side, channels], 0, n);
        const stored = channelsToEnd(
          withSecond(WIDTHS).slice(index * 2 * SIZE, (index + 1) * 2 * SIZE),
          2 * channels,
        );
        for (let i = 0; i < SIZE; i++) {
          const [pixel, c] = [Math.floor(i / channels), i % channels];
          const [mean, std] = [
            stored[pixel * 2 * channels + c],
            stored[(pixel * 2 + 1) * channels + c],
          ];
          assert(Math.abs(images[n * SIZE + i] - (mean + std * noise[i])) < 1e-5);
        }
      }
      // The same, however it is asked for; another draw in every epoch; another by another seed.
      assert.deepEqual(loader.batch(5, 4).images, images.slice(5 * SIZE, 9 * SIZE));
      const again = new LatentLoader(dataset, rule, { seed: 7 }).batch(count, 1).images;
      assert.deepEqual(again, images.slice(count * SIZE, (count + 1) * SIZE));
      const other = new LatentLoader(dataset, rule, { seed: 8 }).batch(0, 3 * count).images;
      assert.notDeepEqual(other, images);
      // Runs of ImageNet pass 2^32 images.
      const late = loader.batch(2 ** 32 + 1, 1).images;
      assert(late.every(Number.isFinite));
      const { index } = order.item(2 ** 32 + 1);
      const early = Array.from({ length: count }, (_, n) => n).find((n) =>
        order.item(n).index === index
      )!;
      assert.notDeepEqual(late, images.slice(early * SIZE, (early + 1) * SIZE));
    });
  }
  drawn[0].forEach((x, i) => assert(Math.abs(x - drawn[1][i]) < 1e-5));
});

Deno.test("what the second half of the channels is, is never guessed", async () => {
  const refused = (
    dataset: LatentDataset,
    settings: Partial<LatentSettings>,
    pattern: RegExp,
  ) =>
    assert.throws(() => latentRule(dataset, { ...SETTINGS, ...settings }), (error) => {
      assert(error instanceof UsageError);
      assert.match(error.message, pattern);
      return true;
    });
  await withMoments(WIDTHS, (dataset) => {
    assert.equal(dataset.moments, null);
    refused(dataset, {}, /8 channels: say what .* data\.latents\.moments=mean-logvar$/);
    refused(
      dataset,
      { normalize: { mean: [0, 0, 0], std: [1, 1, 1] }, moments: "mean-std" },
      /has 8 channels, but .* has 3 means: expected 3 channels, or 6 for moments/,
    );
    const eight = { mean: new Array(8).fill(0), std: new Array(8).fill(1) };
    assert.equal(latentRule(dataset, { ...SETTINGS, normalize: eight }).moments, null);
    refused(dataset, { normalize: eight, moments: "mean-std" }, /cannot be mean-std of latents/);
    refused(
      dataset,
      { normalize: { mean: [0, 0, 0, 0], std: [1] } },
      /has 4 means but 1 deviations/,
    );
  });
  await withMoments(WIDTHS.map(Math.log), async (dataset) => {
    refused(dataset, {}, /\(it has negative numbers: log variances\)$/);
    const rule = latentRule(dataset, { ...SETTINGS, moments: "mean-std" });
    const loader = new LatentLoader(dataset, rule, { seed: 0 });
    await assertFormatError(
      () => loader.batch(0, 6),
      /moments\.npz: latent \d has the standard deviation -.*moments=mean-logvar/,
    );
  });
  await withMoments(WIDTHS.map(() => NaN), async (dataset) => {
    const rule = latentRule(dataset, { ...SETTINGS, moments: "mean-logvar" });
    const loader = new LatentLoader(dataset, rule, { seed: 0 });
    await assertFormatError(() => loader.batch(0, 1), /numbers that are not finite/);
  });
});

Deno.test("a set is measured: of moments the statistics are those of what is drawn", async () => {
  await withMoments(WIDTHS, (dataset) => {
    const { statistics, classCounts, moments } = describeLatents(dataset, "mean-std");
    assert.deepEqual([classCounts, moments], [[], "mean-std"]);
    const identity = { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] };
    const rule = latentRule(dataset, { moments, normalize: identity, finalStd: 1 });
    const draws = 600;
    const { images } = new LatentLoader(dataset, rule, { seed: 0 }).batch(0, draws * count);
    for (let c = 0; c < channels; c++) {
      const values = images.filter((_, i) => i % channels === c);
      const mean = values.reduce((a, b) => a + b) / values.length;
      const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
      assert(Math.abs(statistics.mean[c] - mean) < 0.05, `${statistics.mean[c]} and ${mean}`);
      assert(Math.abs(statistics.std[c] / std - 1) < 0.02, `${statistics.std[c]} and ${std}`);
    }
    // They are about those of ImageNet, and not about EDM2's.
    assert.equal(checkNormalization(dataset, moments, LATENT_STATISTICS.imm), null);
    const scaled = {
      mean: LATENT_STATISTICS.imm.mean.map((x) => x * 0.18215),
      std: LATENT_STATISTICS.imm.std.map((x) => x * 0.18215),
    };
    assert.match(
      checkNormalization(dataset, moments, scaled)!,
      /moments\.npz: .*are normalised by 0\.158, .*; they fit data\.latents\.normalize=imm$/,
    );
  });
});

Deno.test("latents that are not numbers are named, not measured; nor are deviations below 0", async () => {
  await withTempFolder(async (folder) => {
    const bad = MEANS.with(SIZE + 3, NaN).with(SIZE + 5, Infinity);
    const file = join(folder, "bad.npz");
    await writeNpz(file, [["latents", { type: "f32", shape: SHAPE, data: bad }]]);
    await Deno.mkdir(join(folder, "bad"));
    for (const n of [0, 1]) {
      const one = bad.slice(n * SIZE, (n + 1) * SIZE);
      await Deno.writeFile(join(folder, "bad", `${n}.npy`), await npy(SHAPE.slice(1), one));
    }
    for (const [path, name] of [[file, /bad\.npz.*\[1\]/], [join(folder, "bad"), /bad.1\.npy/]]) {
      using dataset = await openLatents(path as string);
      const wrong = /has 2 numbers that are not finite, of \d+: the first is NaN at 3;/;
      await assertFormatError(() => describeLatents(dataset), name as RegExp, wrong);
      await assertFormatError(() => dataset.contentHash(), name as RegExp);
    }
  });
  await withMoments(WIDTHS.map(Math.log), async (dataset) => {
    await assertFormatError(
      () => describeLatents(dataset, "mean-std"),
      /moments\.npz: latent \d has the standard deviation -.*mean-logvar/,
    );
  });
});
