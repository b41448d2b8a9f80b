import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { openDigits } from "../../lib/data/images/digits.ts";
import { computeReference, evaluate } from "../../lib/eval/evaluate.ts";
import type { FeatureExtractor } from "../../lib/eval/extractors/extractor.ts";
import {
  datasetImages,
  generatedImages,
  type ImageBatch,
  type ImageSource,
  memoryImages,
} from "../../lib/eval/images.ts";
import type { Metric } from "../../lib/eval/metrics/registry.ts";
import { isInception } from "../../lib/eval/requirements.ts";
import type { MadeReference } from "../../lib/eval/references/reference.ts";
import { PixelExtractor } from "../../lib/eval/extractors/pixels.ts";
import { assertClose } from "../support/close.ts";

const SIZE = { height: 8, width: 8, channels: 1 };

/** The digits with even or with odd numbers. */
async function halfOfTheDigits(parity: 0 | 1): Promise<ImageBatch> {
  const digits = await openDigits();
  const indices = Array.from({ length: digits.length }, (_, i) => i).filter((i) =>
    i % 2 === parity
  );
  return {
    ...SIZE,
    count: indices.length,
    data: Uint8Array.from(indices.flatMap((i) => [...digits.image(i)])),
    labels: Int32Array.from(indices, (i) => digits.label(i)!),
  };
}

/** Predicts the class (sum of the image) mod 2, without a network. */
function parityClassifier(): FeatureExtractor {
  return {
    id: "parity",
    hash: "1234",
    dimension: 1,
    classes: 2,
    batch: 2,
    extract({ count, data }) {
      const odd = Array.from({ length: count }, (_, i) => data[i] % 2);
      return Promise.resolve({
        features: Float32Array.from({ length: count }, (_, i) => data[i]),
        logits: Float32Array.from(odd.flatMap((bit) => [1 - bit, bit])),
      });
    },
    async [Symbol.asyncDispose]() {},
  };
}

Deno.test("evaluate compares real digits with other real digits", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const samples = memoryImages("odd digits", await halfOfTheDigits(1));
  const reference = memoryImages("even digits", await halfOfTheDigits(0));
  const seen: string[] = [];
  const result = await evaluate({
    samples,
    reference,
    extractor,
    metrics: ["nn", "dc", "pr", "fd"],
    progress: ({ part, done, total, metric = "", pairs }) => {
      seen.push(`${part} ${done}/${total} ${metric} ${pairs ? pairs.done / pairs.total : ""}`);
    },
  });
  // Precision and recall share their pairs with density and coverage: 2 N² of them, and nn has N².
  const [m, n] = [898, 899];
  const all = m * m / 2 + n * n / 2 + 2 * m * n;
  deepStrictEqual(seen, [
    "samples 0/898  ",
    "samples 898/898  ",
    "reference 0/899  ",
    "reference 899/899  ",
    "metrics 0/4 fd 0",
    "metrics 1/4 pr 0",
    `metrics 1/4 pr ${n * n / 2 / all}`,
    `metrics 1/4 pr ${(n * n / 2 + m * m / 2) / all}`,
    `metrics 1/4 pr ${(n * n / 2 + m * m / 2 + m * n) / all}`,
    `metrics 2/4 dc ${(n * n / 2 + m * m / 2 + m * n) / all}`,
    `metrics 3/4 nn ${(n * n / 2 + m * m / 2 + m * n) / all}`,
    "metrics 3/4 nn 1",
    "metrics 4/4  1",
  ]);
  deepStrictEqual(Object.keys(result.values), [
    "fd",
    "precision",
    "recall",
    "density",
    "coverage",
    "nn_accuracy",
  ]);
  const { fd, precision, recall, density, coverage, nn_accuracy } = result.values;
  ok(fd > 0.1 && fd < 0.5, `Fréchet distance of two halves: ${fd}`);
  ok(precision > 0.8 && recall > 0.8 && density > 0.8 && coverage > 0.8, JSON.stringify(result));
  ok(nn_accuracy > 0.95, `nearest neighbours: ${nn_accuracy}`);
  deepStrictEqual(result.samples, { name: "odd digits", count: 898, skipped: 0 });
  deepStrictEqual(result.reference, {
    name: "even digits",
    count: 899,
    skipped: 0,
    provenance: null,
  });
  deepStrictEqual(result.warnings, []);
  deepStrictEqual(JSON.parse(JSON.stringify(result)), result);
});

Deno.test("evaluate tells noise from digits", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  let state = 1;
  const samples = generatedImages("noise", 500, (_, count) => {
    const data = Float32Array.from({ length: count * 64 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    });
    return Promise.resolve({ ...SIZE, count, data });
  });
  const { values } = await evaluate({
    samples,
    reference: datasetImages(await openDigits()),
    extractor,
    metrics: ["fd", "pr"],
  });
  ok(values.fd > 20, `Fréchet distance of noise: ${values.fd}`);
  strictEqual(values.precision, 0);
});

Deno.test("evaluate compares real images with others to know what real images score", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const samples = memoryImages("odd digits", await halfOfTheDigits(1));
  const run = async (reference: ImageSource, seed?: number) =>
    await evaluate({ samples, reference, extractor, metrics: ["fd", "nn"], floor: true, seed });
  const digits = datasetImages(await openDigits());
  const { values, floor } = await run(digits);
  deepStrictEqual(Object.keys(floor!), Object.keys(values));
  strictEqual(values.nn_accuracy, 1, "every sample is among the references");
  ok(floor!.nn_accuracy > 0.95 && floor!.nn_accuracy < 1, "no image is in both halves");
  ok(floor!.fd > 0.2 && floor!.fd < 0.35, `${floor!.fd}`);
  deepStrictEqual((await run(digits)).floor, floor);
  notStrictEqual((await run(digits, 1)).floor!.fd, floor!.fd);
  const few = await run(datasetImages(await openDigits(), { limit: 3 }));
  strictEqual(few.floor, null, "too few to be divided");
  const statistics = await computeReference(digits, extractor);
  strictEqual(
    (await evaluate({ samples, reference: statistics, extractor, floor: true })).floor,
    null,
  );
});

Deno.test("evaluate hands out the statistics of the reference", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const images = datasetImages(await openDigits());
  const found: MadeReference[] = [];
  await evaluate({
    samples: memoryImages("odd digits", await halfOfTheDigits(1)),
    reference: images,
    extractor,
    onReference: (reference) => found.push(reference),
  });
  deepStrictEqual(found, [await computeReference(images, extractor)]);
});

Deno.test("evaluate draws the subsets of the kernel distance by its seed", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const samples = datasetImages(await openDigits(), { limit: 40 });
  const reference = memoryImages("odd", await halfOfTheDigits(1));
  const run = async (seed?: number) =>
    (await evaluate({ samples, reference, extractor, metrics: ["kd"], seed })).values;
  const { kd, kd_std } = await run();
  ok(Math.abs(kd) < 0.1 && kd_std > 0, `${kd} ± ${kd_std}`);
  deepStrictEqual(await run(2020), { kd, kd_std });
  notStrictEqual((await run(1)).kd, kd);
});

Deno.test("evaluate against statistics equals evaluate against their images", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const samples = memoryImages("odd", await halfOfTheDigits(1));
  const images = datasetImages(await openDigits());
  const reference = await computeReference(images, extractor);
  strictEqual(reference.provenance.count, 1797);
  const fromImages = await evaluate({ samples, reference: images, extractor });
  const fromStatistics = await evaluate({ samples, reference, extractor });
  assertClose([fromStatistics.values.fd], [fromImages.values.fd], { rel: 1e-9 });
  strictEqual(fromStatistics.reference?.provenance?.extractor.hash, extractor.hash);
});

Deno.test("evaluate scores predictions", async () => {
  const images = (labels: number[]) =>
    memoryImages("bytes", {
      count: labels.length,
      height: 1,
      width: 1,
      channels: 1,
      data: Uint8Array.from(labels, (_, i) => i),
      labels: Int32Array.from(labels),
    });
  const labels = [0, 1, 0, 1, 0, 1, 0, 1, 1, 0];
  const { values } = await evaluate({
    samples: images(labels),
    extractor: parityClassifier(),
    metrics: ["class", "is"],
  });
  strictEqual(values.class_accuracy, 0.8);
  assertClose([values.is, values.is_std], [1, 0], { abs: 1e-12 });
});

Deno.test("evaluate warns of too few images and still gives the distance", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const few = datasetImages(await openDigits(), { limit: 40 });
  const { values, warnings } = await evaluate({ samples: few, reference: few, extractor });
  strictEqual(values.fd, 0, "rounding is no distance");
  strictEqual(warnings.length, 1, "the same words once");
  ok(/digits has 40 images for 64 features/.test(warnings[0]));
});

Deno.test("evaluate fails before it extracts when something is missing", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const untouchable = generatedImages("untouchable", 9, () => Promise.reject(new Error("asked")));
  const reference = await computeReference(datasetImages(await openDigits()), extractor);
  const run = (metrics: Metric[], withReference = true) =>
    evaluate({
      samples: untouchable,
      reference: withReference ? reference : undefined,
      extractor,
      metrics,
    });
  await rejects(run(["fd"], false), /The metric fd needs a reference/);
  await rejects(run(["kd"]), /kd needs reference images; statistics alone are not enough/);
  await rejects(run(["is"]), /is needs an extractor that classifies/);
  await rejects(run([]), /Metrics are fid, fd, fid_inf, .* found none/);
  await rejects(run(["fid"]), /fid needs Inception.s features/);
  await rejects(run(["fod" as Metric]), /found fod/);
});

Deno.test("evaluate fails before it extracts when there are too few images for a metric", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const untouchable = (name: string, count: number) =>
    generatedImages(name, count, () => Promise.reject(new Error("asked")));
  const run = (metrics: Metric[], [samples, reference]: [number, number], options = {}) =>
    evaluate({
      samples: untouchable("samples", samples),
      reference: untouchable("real", reference),
      extractor,
      metrics,
      ...options,
    });
  await rejects(run(["fd"], [1, 9]), /fd needs 2 images at least of each side, but samples has 1/);
  await rejects(run(["fd", "kd"], [9, 1]), /fd needs 2 images .* but real has 1/);
  await rejects(run(["kd"], [50, 40], { subsets: { size: 41 } }), /kd needs 41 .* real has 40/);
  await rejects(run(["pr"], [9, 3]), /pr needs 4 images .* real has 3/);
  await rejects(run(["dc"], [9, 9], { manifoldImages: 5 }), /dc needs 6 images .* look at 5 only/);
  await rejects(run(["fd_inf"], [5000, 9]), /fd_inf needs 5001 images .* of the samples/);
  await rejects(run(["fd"], [2, 2]), /asked/, "else it begins");
});

Deno.test("evaluate gives the other values when one metric fails, if it is to keep going", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const { labels: _, ...unlabelled } = await halfOfTheDigits(0);
  const options = {
    samples: memoryImages("unlabelled", unlabelled),
    reference: memoryImages("labelled", await halfOfTheDigits(1)),
    extractor,
    metrics: ["fd", "nn"] as Metric[],
  };
  const { values, failed } = await evaluate({ ...options, keepGoing: true });
  deepStrictEqual(Object.keys(values), ["fd"]);
  match(failed.nn, /nn needs a label for every image/);
  deepStrictEqual((await evaluate({ ...options, metrics: ["fd"] })).failed, {});
});

Deno.test("evaluate compares classes by their names", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const digits = await halfOfTheDigits(0);
  const named = (name: string, shift: number, names: readonly string[] | null): ImageSource => ({
    ...memoryImages(name, { ...digits, labels: digits.labels!.map((label) => label + shift) }),
    classes: { count: 10 + shift, names },
  });
  const names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
  const plain = named("plain", 0, names);
  const shifted = named("shifted", 1, ["ape", ...names]);
  const run = async (samples: ImageSource, reference: ImageSource) =>
    await evaluate({ samples, reference, extractor, metrics: ["nn"] });
  strictEqual((await run(plain, shifted)).values.nn_accuracy, 1);
  const ape = { ...shifted, classes: { ...shifted.classes!, present: [0, 1] } };
  await rejects(
    run(ape, plain),
    /shifted has the class ape, which plain has not: shifted has ape, /,
  );
  strictEqual((await run(shifted, named("numbers", 1, null))).values.nn_accuracy, 1);
  match((await run(plain, named("numbers", 0, null))).warnings[0], /compared by number: .*numbers/);
});

Deno.test("the real images that are compared with others are as many as the samples", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const reference = datasetImages(await openDigits());
  const run = (limit: number) => {
    const samples = memoryImages("odd", digitsBefore(limit));
    return evaluate({ samples, reference, extractor, floor: true });
  };
  const odd = await halfOfTheDigits(1);
  const digitsBefore = (limit: number) => ({
    ...odd,
    count: limit,
    data: odd.data.subarray(0, 64 * limit),
    labels: odd.labels!.subarray(0, limit),
  });
  const few = await run(100);
  deepStrictEqual(few.floorCounts, [100, 1697]);
  ok(few.floor!.fd > 1, `${few.floor!.fd}: few real images are far from many`);
  ok(few.values.fd / few.floor!.fd < 2, "and samples that are real as far");
  deepStrictEqual((await run(898)).floorCounts, [898, 899]);
});

Deno.test("evaluate needs labels on both sides for nearest neighbours", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const { labels: _, ...unlabelled } = await halfOfTheDigits(0);
  await rejects(
    evaluate({
      samples: memoryImages("unlabelled", unlabelled),
      reference: memoryImages("labelled", await halfOfTheDigits(1)),
      extractor,
      metrics: ["nn"],
    }),
    /nn needs a label for every image/,
  );
});

Deno.test("evaluate can be aborted and notices samples that end early", async () => {
  const extractor = await PixelExtractor.create(SIZE);
  const all = datasetImages(await openDigits());
  const abort = new AbortController();
  await rejects(
    evaluate({
      samples: all,
      reference: all,
      extractor,
      signal: abort.signal,
      progress: () => abort.abort(new Error("enough")),
    }),
    /enough/,
  );
  const digits = datasetImages(await openDigits());
  const short = generatedImages(
    "digits",
    100,
    (first, count) => digits.read(first, Math.min(count, 90 - first)),
  );
  await rejects(
    evaluate({ samples: short, reference: all, extractor }),
    /digits ended after 90 of 100 images/,
  );
});

Deno.test("features are Inception's where they say so, or say nothing and have the length", () => {
  const inception = (id: string, dimension: number, details?: Record<string, string>) =>
    isInception({ id, dimension, details });
  strictEqual(inception("inception-fid", 2048, { pipeline: "fid" }), true);
  strictEqual(inception("unknown", 2048), true);
  strictEqual(inception("unknown", 768), false);
  strictEqual(inception("pixels-8x8x32", 2048), false);
});
