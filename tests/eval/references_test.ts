import { deepStrictEqual, match, rejects, strictEqual, throws } from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import { type ForeignFile, inferPipeline } from "../../lib/eval/references/foreign_origin.ts";
import {
  checkedFormat,
  holdsStatistics,
  readPartial,
  readReference,
  type ReferenceFormat,
  referenceFormat,
  writePartial,
  writeReference,
} from "../../lib/eval/references/files.ts";
import {
  checkReference,
  mergePartials,
  type PartialStatistics,
  type Provenance,
  referenceOf,
} from "../../lib/eval/references/reference.ts";
import { FeatureStatistics } from "../../lib/eval/statistics/statistics.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { ArrayToWrite } from "../../lib/formats/arrays/npy.ts";
import { NpzFile, writeNpz } from "../../lib/formats/arrays/npz.ts";
import { assertClose } from "../support/close.ts";
import { withTempFolder } from "../support/files.ts";
import { pseudoRandom } from "../support/examples/features.ts";

const PROVENANCE: Provenance = {
  version: 1,
  extractor: { id: "test", hash: "abc" },
  count: 20,
  images: "digits",
};

function moments() {
  const statistics = new FeatureStatistics(3);
  statistics.add(pseudoRandom(20, 3).data);
  return statistics.moments();
}

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(`${folder}/reference.npz`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readReference reads what writeReference wrote, to the last bit", () =>
  withFile(async (path) => {
    await writeReference(path, moments(), PROVENANCE);
    const expected = { ...moments(), name: path, provenance: PROVENANCE };
    deepStrictEqual(await readReference(path), expected);
  }));

for (
  const { who, names, type } of [
    { who: "EDM", names: ["mu", "sigma"], type: "f64" as const },
    { who: "MeanFlow", names: ["ref_mu", "ref_sigma"], type: "f64" as const },
    { who: "a single-precision program", names: ["mu", "sigma"], type: "f32" as const },
  ]
) {
  Deno.test(`readReference reads the statistics of ${who}`, () =>
    withFile(async (path) => {
      const { mean, covariance } = moments();
      const stored = (data: Float64Array) => type === "f64" ? data : Float32Array.from(data);
      await writeNpz(path, [
        ["arr_0", { type: "u8", shape: [1, 1, 1, 3], data: new Uint8Array(3) }],
        [names[0], { type, shape: [3], data: stored(mean) }],
        [names[1], { type, shape: [3, 3], data: stored(covariance) }],
      ]);
      const reference = await readReference(path);
      deepStrictEqual(reference.mean, Float64Array.from(stored(mean)));
      deepStrictEqual(reference.covariance, Float64Array.from(stored(covariance)));
      strictEqual(reference.count, undefined);
      strictEqual(reference.provenance, undefined);
    }));
}

Deno.test("readReference says what a file holds instead of statistics", () =>
  withFile(async (path) => {
    const f64 = (...shape: number[]): ArrayToWrite => ({
      type: "f64",
      shape,
      data: new Float64Array(shape.reduce((a, b) => a * b, 1)),
    });
    await writeNpz(path, [["mu", f64(3)], ["cov", f64(3, 3)]]);
    await rejects(readReference(path), /expected the arrays mu and sigma .* found mu, cov/);
    await writeNpz(path, [["mu", f64(3)], ["sigma", f64(3, 4)]]);
    await rejects(readReference(path), /sigma as f64 \[3, 4\]; expected floats/);
    await writeNpz(path, [["mu", f64(3)], ["sigma", f64(3, 3)], ["provenance", f64(1)]]);
    await rejects(readReference(path), /provenance of .* is not what this program writes/);
  }));

Deno.test("checkReference insists on the extractor that made a reference", () => {
  const reference = { ...moments(), name: "ref.npz", provenance: PROVENANCE };
  const extractor = { id: "test", hash: "abc", dimension: 3 };
  deepStrictEqual(checkReference(reference, extractor), []);
  const other = { ...extractor, id: "other", hash: "def" };
  throws(
    () => checkReference(reference, other),
    (error) =>
      error instanceof UsageError && /extractor test \(abc\), not by other \(def\)/
        .test(error.message),
  );
  const [forced] = checkReference(reference, other, { force: true });
  strictEqual(/the comparison was forced/.test(forced), true);
  throws(
    () => checkReference(reference, { ...extractor, dimension: 4 }, { force: true }),
    /statistics of 3 features, but the extractor test has 4/,
  );
  const [unknown] = checkReference({ ...reference, provenance: undefined }, extractor);
  strictEqual(/does not say which extractor made it/.test(unknown), true);
});

/** Parts of 200 vectors of 3 features each. */
function parts(): PartialStatistics[] {
  const { data } = pseudoRandom(600, 3);
  return [0, 1, 2].map((i) => {
    const statistics = new FeatureStatistics(3);
    statistics.add(data.subarray(i * 600, (i + 1) * 600));
    return {
      name: `part${i + 1}`,
      statistics,
      layers: {},
      provenance: { ...PROVENANCE, count: 200, shard: { index: i + 1, of: 3 } },
    };
  });
}

Deno.test("mergePartials gives the same bits in any order, and the statistics of the whole", () => {
  const [a, b, c] = parts();
  const merged = mergePartials([a, b, c], "all");
  deepStrictEqual(merged.provenance, { ...PROVENANCE, count: 600 });
  const expected = merged.statistics.toBytes();
  for (const order of [[c, b, a], [b, a, c], [c, a, b]]) {
    deepStrictEqual(mergePartials(order, "all").statistics.toBytes(), expected);
  }
  const whole = new FeatureStatistics(3);
  whole.add(pseudoRandom(600, 3).data);
  assertClose(merged.statistics.covariance(), whole.covariance(), { rel: 1e-12 });
  const reference = referenceOf(merged);
  strictEqual(reference.count, 600);
  deepStrictEqual(reference.mean, merged.statistics.mean());
});

Deno.test("mergePartials insists on one extractor and on every part once", () => {
  const [a, b, c] = parts();
  throws(() => mergePartials([a, c], "all"), /Of 3 parts part 2 is missing/);
  strictEqual(mergePartials([a, c], "all", { force: true }).statistics.count, 400);
  throws(() => mergePartials([a, b, b, c], "all"), /part2 is part 2 of 3, which is there twice/);
  const other = { ...b, provenance: { ...b.provenance, extractor: { id: "x", hash: "y" } } };
  throws(() => mergePartials([a, other, c], "all"), /only statistics of one extractor/);
  const odd = { ...b, provenance: { ...b.provenance, shard: { index: 2, of: 4 } } };
  throws(() => mergePartials([a, odd, c], "all"), /merge parts of one division/);
  throws(() => mergePartials([], "all"), /found none/);
});

Deno.test("readPartial reads what writePartial wrote; .stats files are references, too", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "part.stats");
    const [part] = parts();
    await writePartial(path, part);
    const read = await readPartial(path);
    deepStrictEqual(read.provenance, part.provenance);
    deepStrictEqual(read.statistics.toBytes(), part.statistics.toBytes());
    const reference = await readReference(path);
    deepStrictEqual(reference.covariance, part.statistics.covariance());
    await writePartial(path, { ...part, provenance: { ...part.provenance, count: 7 } });
    await rejects(readPartial(path), /sums of 200 images, but says that they are 7/);
  });
});

/** Files that numpy and PyTorch wrote: mu = [0.5, 1.5, 2.5], sigma = diag(1, 2, 3) but for (0, 1). */
const golden = (name: string) => fromFileUrl(import.meta.resolve(`../golden/references/${name}`));
const MU = Float64Array.of(0.5, 1.5, 2.5);
const SIGMA = Float64Array.of(1, 0.25, 0, 0.25, 2, 0, 0, 0, 3);

for (
  const { name, who, count } of [
    { name: "edm2.pkl", who: "EDM2", count: 1000 },
    { name: "edm2-protocol5.pkl", who: "EDM2 in the newest pickle protocol", count: 1000 },
    { name: "torch-fidelity.pt", who: "torch-fidelity" },
    { name: "torch-tensors.pt", who: "a program that saves tensors" },
    { name: "adm.npz", who: "ADM" },
  ]
) {
  Deno.test(`readReference reads the file of ${who}`, async () => {
    const path = golden(name);
    strictEqual(await holdsStatistics(path), true);
    const reference = await readReference(path);
    deepStrictEqual(reference.mean, MU);
    deepStrictEqual(reference.covariance, SIGMA);
    strictEqual(reference.count, count);
    const spatial = reference.layers?.spatial;
    deepStrictEqual(
      spatial && [spatial.mean, spatial.covariance],
      name === "adm.npz" ? [Float64Array.of(0.5, 1.5), Float64Array.of(1, 0.25, 0.25, 2)] : spatial,
    );
  });
}

Deno.test("readReference takes the set of a file of EDM2 that is asked for", async () => {
  const reference = await readReference(`${golden("edm2.pkl")}#fd_dinov2`);
  deepStrictEqual(reference.mean, Float64Array.of(1, 3));
  await rejects(readReference(`${golden("edm2.pkl")}#fid2`), /named fid2: .* fid, fd_dinov2/);
  await rejects(readReference(golden("evil.pkl")), /posix\.system.* nothing of the file was run/);
});

Deno.test("every format that is written reads back to the last bit, with its provenance", async () => {
  await withTempFolder(async (folder) => {
    const { mean, covariance } = moments();
    for (const name of ["a.npz", "a.pkl", "a.pt", "dinov2.pkl"]) {
      const path = join(folder, name);
      const id = name === "dinov2.pkl" ? "dinov2-l" : "test";
      const provenance = { ...PROVENANCE, extractor: { id, hash: "abc", details: { threads: 2 } } };
      await writeReference(path, moments(), provenance);
      const read = await readReference(path);
      // torch-fidelity insists on its own types: mu is float32 there.
      const rounded = name === "a.pt" ? Float64Array.from(Float32Array.from(mean)) : mean;
      deepStrictEqual([read.mean, read.covariance, read.count], [rounded, covariance, 20]);
      deepStrictEqual(read.provenance, provenance);
    }
    const meanflow = join(folder, "meanflow.npz");
    await writeReference(meanflow, moments(), PROVENANCE, "meanflow");
    using file = await NpzFile.open(meanflow);
    deepStrictEqual(file.names, ["ref_mu", "ref_sigma", "provenance"]);
    deepStrictEqual((await readReference(meanflow)).mean, mean);
    strictEqual(referenceFormat("x/y.PKL"), "edm2");
    throws(() => referenceFormat("y.txt"), /ends in .npz/);
  });
});

Deno.test("a format and the ending of its file must agree, for files are read by their endings", async () => {
  await withTempFolder(async (folder) => {
    const cases = [["a.npz", "edm2"], ["a.pt", "npz"], ["a.pkl", "torch-fidelity"], ["a", "npz"]];
    for (const [name, format] of cases) {
      await rejects(
        writeReference(join(folder, name), moments(), PROVENANCE, format as ReferenceFormat),
        /format .* are written to files that end in \.[a-z]+/,
      );
    }
    deepStrictEqual(Array.from(Deno.readDirSync(folder)), []);
    strictEqual(checkedFormat("x.NPZ", "meanflow"), "meanflow");
    strictEqual(checkedFormat("x.pt"), "torch-fidelity");
  });
});

Deno.test("clean-fid's features for KID are read as vectors, from which statistics follow", () =>
  withFile(async (path) => {
    const { data } = pseudoRandom(20, 3);
    await writeNpz(path, [["feats", { type: "f32", shape: [20, 3], data }]]);
    strictEqual(await holdsStatistics(path), true);
    const { features, mean, covariance, count } = await readReference(path);
    deepStrictEqual(features, { rows: 20, dimension: 3, data });
    deepStrictEqual([mean, covariance, count], [moments().mean, moments().covariance, 20]);
    await writeNpz(path, [["feats", { type: "u8", shape: [20, 3], data: new Uint8Array(60) }]]);
    await rejects(readReference(path), /holds features of u8 \[20, 3\]; expected floats/);
    await writeNpz(path, [["feats", { type: "f32", shape: [20, 3], data: data.map(() => NaN) }]]);
    await rejects(readReference(path), /reference\.npz: Feature 0 of image 0 is NaN/);
  }));

Deno.test("features and statistics that torch-fidelity keeps are read from its files", async () => {
  // torch.save(torch.arange(6.).reshape(3, 2), …), and its statistics.
  const features = await readReference(golden("torch-fidelity-features.pt"));
  deepStrictEqual(features.features!.data, Float32Array.of(0, 1, 2, 3, 4, 5));
  deepStrictEqual([features.mean, features.count], [Float64Array.of(2, 3), 3]);
});

Deno.test("how a program prepared its images is told from the habits in its files", () => {
  const npz = (file: Partial<ForeignFile> = {}) =>
    inferPipeline({
      path: "x/stats.npz",
      container: "npz",
      names: ["mu", "sigma"],
      dimension: 2048,
      type: "f64",
      isCompressed: false,
      ...file,
    });
  const cases: [ReturnType<typeof npz>, string | undefined][] = [
    [npz(), "fid"], // EDM
    [npz({ isCompressed: true }), "pytorch-fid"],
    [npz({ isCompressed: true, type: "f32" }), "clean-fid"],
    [npz({ type: "f32" }), undefined],
    [npz({ dimension: 64 }), undefined],
    [npz({ names: ["ref_mu", "ref_sigma"], type: "f32" }), "fid"],
    [npz({ names: ["arr_0", "mu", "sigma", "mu_s", "sigma_s"] }), "fid"],
    [npz({ path: "fid_stats_celeba.npz", isCompressed: true }), "fid"], // TTUR
    [
      npz({ path: "ffhq_clean_trainval70k_1024.npz", isCompressed: true, type: "f32" }),
      "clean-fid",
    ],
    [npz({ path: "cifar10_legacy_pytorch_train_32.npz", type: "f32" }), "pytorch-fid"],
    [npz({ path: "cifar10_legacy_tensorflow_train_32.npz", type: "f32" }), "fid"],
    [npz({ names: ["feats"], isCompressed: true, type: "f32" }), "clean-fid"],
    [npz({ container: "pickle" }), "fid"], // EDM2
    [npz({ container: "torch", path: "a.pt" }), "fid"],
    [npz({ container: "torch", path: "c-inception-v3-compat-stat-fid-2048.pt" }), "fid"],
    [npz({ container: "torch", path: "c-dinov2-vit-l-14-stat-fid-2048.pt" }), undefined],
  ];
  for (const [i, [inferred, pipeline]] of cases.entries()) {
    strictEqual(inferred?.pipeline, pipeline, `case ${i}`);
  }
});

Deno.test("statistics of another program go with the pipeline that they are inferred to be of", () => {
  const inferred = { pipeline: "clean-fid", why: "as clean-fid writes them" } as const;
  const reference = { ...moments(), name: "ref.npz", inferred };
  const extractor = (pipeline: string) => ({
    ...{ id: `inception-${pipeline}`, hash: "abc", dimension: 3, details: { pipeline } },
  });
  const [said] = checkReference(reference, extractor("clean-fid"));
  match(said, /does not say .*; it is as clean-fid writes them, so the pipeline is taken to be/);
  throws(() => checkReference(reference, extractor("fid")), /clean-fid, not fid; use --pipeline/);
  const [forced] = checkReference(reference, extractor("fid"), { force: true });
  match(forced, /the comparison with fid was forced/);
});
