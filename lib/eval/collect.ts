/**
 * From a set of images to what the metrics are computed of: statistics, and where a metric needs
 * them, all feature vectors, logits and labels.
 *
 * @module
 */

import { joinArrays } from "../base/arrays.ts";
import { ImmError } from "../base/errors.ts";
import type { Extracted, FeatureExtractor } from "./extractors/extractor.ts";
import { CHUNK, FeatureCache } from "./feature_cache.ts";
import { type ImageBatch, type ImageSource, joinBatches, memoryImages } from "./images.ts";
import type { MetricSet } from "./metrics/metric.ts";
import { FeatureStatistics } from "./statistics/statistics.ts";
import { type StatisticsPool, withPool } from "./statistics/pool.ts";

/** How far the work is: images of one set, then of the other, then metrics. */
export interface EvaluationProgress {
  /** What is being worked on. */
  readonly part: "samples" | "reference" | "metrics";
  /** Images or metrics so far. */
  readonly done: number;
  /** All of them, where their number is known before. */
  readonly total?: number;
  /** Of metrics that compare images in pairs, together: pairs so far, and all of them. */
  readonly pairs?: { readonly done: number; readonly total: number };
  /** The metric that is being computed. */
  readonly metric?: string;
}

/** What to do with a set of images. */
export interface CollectOptions {
  /** What turns images into vectors. */
  readonly extractor: FeatureExtractor;
  /** Names of the other layers whose statistics are wanted. Default none. */
  readonly layers?: readonly string[];
  /** Keep all vectors. Default false. */
  readonly keep?: boolean;
  /** Where features are looked up before they are computed, and kept. */
  readonly cache?: FeatureCache;
  /** Is told after every batch. */
  readonly progress?: (progress: EvaluationProgress) => void;
  /** Ends the work between two batches; what is done by then is in the cache. */
  readonly signal?: AbortSignal;
  /** Threads that add up features. Default: one pool for this call. */
  readonly pool?: StatisticsPool;
}

/** A set of images after extraction. */
export interface Collected extends MetricSet {
  /** Mean and covariance of the features. */
  readonly statistics: FeatureStatistics;
  /** Of other layers, by name. */
  readonly layers: Readonly<Record<string, FeatureStatistics>>;
  /** Numbers of the images that were left out because they cannot be read. */
  readonly skipped: readonly number[];
  /** How many these are, with those that had no number because not even their headers can be read. */
  readonly unreadable: number;
}

/**
 * Extracts the features of all images.
 *
 * @throws {ImmError} when there are fewer images than the source said
 */
export function collect(
  part: EvaluationProgress["part"],
  source: ImageSource,
  options: CollectOptions,
): Promise<Collected> {
  return withPool(options.pool, (pool) => collectWith(pool, part, source, options));
}

async function collectWith(
  pool: StatisticsPool,
  part: EvaluationProgress["part"],
  source: ImageSource,
  options: CollectOptions,
): Promise<Collected> {
  const { extractor, layers = [], keep = false } = options;
  const { dimension, classes } = extractor;
  const statistics = new FeatureStatistics(dimension);
  const layerStatistics = Object.fromEntries(
    layers.map((layer) => [layer, new FeatureStatistics(extractor.layers![layer])]),
  );
  // Threads can read it without a copy of their own.
  const features = keep
    ? new Float32Array(new SharedArrayBuffer(4 * source.count * dimension))
    : null;
  const logits: Float32Array[] = [];
  const labels: Int32Array[] = [];
  const skipped: number[] = [];
  const report = (extra = 0) => {
    const done = statistics.count + skipped.length + extra;
    options.progress?.({ part, done, total: source.count });
  };
  report(); // whoever shows the pace counts from here
  for await (const { extracted, ...run } of extractRuns(source, options, report)) {
    features?.set(extracted.features, statistics.count * dimension);
    await statistics.addWith(extracted.features, pool);
    for (const layer of layers) {
      await layerStatistics[layer].addWith(extracted.layers![layer], pool);
    }
    if (extracted.logits) logits.push(extracted.logits);
    if (run.labels) labels.push(run.labels);
    skipped.push(...run.skipped);
    report();
  }
  const rows = statistics.count;
  const allLabels = Int32Array.from(labels.flatMap((part) => [...part]));
  return {
    name: source.name,
    statistics,
    layers: layerStatistics,
    features: features && { rows, dimension, data: features.subarray(0, rows * dimension) },
    logits: classes
      ? { data: joinArrays(Float32Array, logits), classes, names: extractor.classNames }
      : null,
    labels: rows > 0 && allLabels.length === rows ? allLabels : null,
    classes: source.classes,
    skipped,
    unreadable: skipped.length + (source.missing ?? 0),
  };
}

/** Features of consecutive images. */
interface Run {
  readonly extracted: Extracted;
  readonly labels?: Int32Array;
  readonly skipped: readonly number[];
}

/** Images whose features are not known yet; `images` is null until they have been read. */
interface Missing {
  readonly first: number;
  readonly count: number;
  readonly key: string | null;
  readonly images: Images | null;
}

/** Images as they were read. */
interface Images {
  readonly count: number;
  /** One batch, or one for each image where they differ in size or were prepared one by one. */
  readonly batches: readonly ImageBatch[];
  /** Whether they are one by one, although there may be one only. */
  readonly isMixed: boolean;
  /** What {@link FeatureCache.key} would give for the images as they were read. */
  readonly key: string | null;
  readonly labels?: Int32Array;
  readonly skipped: readonly number[];
}

/**
 * Walks over the images in runs of the cache's size. What is not in the cache waits until there is
 * a batch for the extractor, which is then asked for all of it at once. Runs come in order.
 */
async function* extractRuns(
  source: ImageSource,
  { extractor, layers = [], cache, signal }: CollectOptions,
  onBatch: (done: number) => void,
): AsyncGenerator<Run> {
  const { dimension, classes } = extractor;
  const hash = extractor.cacheHash ?? extractor.hash;
  const wanted = { dimension, classes, layers: [...layers] };
  const enough = Math.max(extractor.batch, source.batch ?? 1);
  let missing: Missing[] = [];

  const flush = async (): Promise<Run[]> => {
    signal?.throwIfAborted();
    if (missing.length === 0) return [];
    const extracted = cache ? [...new Set([...layers, ...extractor.keptLayers ?? []])] : layers;
    const how = { extractor, layers: extracted, cache, signal };
    const runs = await extractMissing(source, missing, how, onBatch);
    missing = [];
    return runs;
  };
  const step = cache ? CHUNK : Math.min(enough, Math.max(1, extractor.batch));
  for (let first = 0; first < source.count; first += step) {
    signal?.throwIfAborted();
    const count = Math.min(step, source.count - first);
    const identity = cache ? source.identify?.(first, count) : undefined;
    const images = identity || !cache ? null : await readRun(source, first, count, extractor, hash);
    const key = identity ? FeatureCache.key(hash, identity.fingerprint) : images?.key ?? null;
    const found = cache && key && !images?.skipped.length
      ? await cache.get(key, count, wanted)
      : null;
    if (found) {
      yield* await flush();
      yield { extracted: found, labels: identity?.labels ?? images?.labels, skipped: [] };
      continue;
    }
    missing.push({ first, count, key, images });
    if (missing.reduce((sum, run) => sum + run.count, 0) >= enough) yield* await flush();
  }
  yield* await flush();
}

/** Reads what has not been read, extracts all of it together, and keeps it in the cache. */
async function extractMissing(
  source: ImageSource,
  missing: readonly Missing[],
  { extractor, layers, cache, signal }: CollectOptions,
  onBatch: (done: number) => void,
): Promise<Run[]> {
  const last = missing[missing.length - 1];
  const unread = missing.every(({ images }) => images === null);
  const [{ first }] = missing;
  const isMixed = missing.some(({ images }) => images?.isMixed);
  const images = unread
    ? await readRun(source, first, last.first + last.count - first, extractor)
    : {
      ...joinImages(missing.flatMap(({ images }) => images!.batches), isMixed),
      skipped: missing.flatMap(({ images }) => images!.skipped),
    };
  const all = await extractAll(images, { extractor, layers, signal }, onBatch);
  if (!cache || images.skipped.length > 0) {
    return [{ extracted: all, labels: images.labels, skipped: images.skipped }];
  }
  const runs: Run[] = [];
  for (const { first, count, key } of missing) {
    const begin = first - missing[0].first;
    const extracted = rowsOf(all, images.count, begin, count);
    await cache.put(key!, { count, ...extracted });
    runs.push({
      extracted,
      labels: images.labels?.subarray(begin, begin + count),
      skipped: [],
    });
  }
  return runs;
}

/** Extracts in batches that the extractor likes, and tells after each but the last how many. */
async function extractAll(
  { count: total, batches, isMixed }: Images,
  { extractor, layers = [], signal }: CollectOptions,
  onBatch: (done: number) => void,
): Promise<Extracted> {
  if (total === 0) {
    const none = new Float32Array(0);
    return { features: none, layers: Object.fromEntries(layers.map((layer) => [layer, none])) };
  }
  const parts: Extracted[] = [];
  const source = isMixed ? null : memoryImages("", batches[0]);
  let rested = performance.now();
  for (let first = 0; first < total; first += extractor.batch) {
    // An extractor may compute without a pause; Ctrl-C is heard in one.
    if (performance.now() - rested > 200) {
      await new Promise((resolve) => setTimeout(resolve));
      rested = performance.now();
    }
    if (first > 0) onBatch(first);
    signal?.throwIfAborted();
    const count = Math.min(extractor.batch, total - first);
    parts.push(
      source
        ? await extractor.extract(await source.read(first, count), layers)
        : await extractMixed(extractor, batches.slice(first, first + count), layers),
    );
  }
  return joinExtracted(parts);
}

/** Features of images of different sizes. */
async function extractMixed(
  extractor: FeatureExtractor,
  images: readonly ImageBatch[],
  layers: readonly string[],
): Promise<Extracted> {
  if (extractor.extractMixed) return await extractor.extractMixed(images, layers);
  const parts: Extracted[] = [];
  for (const image of images) parts.push(await extractor.extract(image, layers));
  return joinExtracted(parts);
}

function joinExtracted(parts: readonly Extracted[]): Extracted {
  const [{ logits, layers: others }] = parts;
  const names = Object.keys(others ?? {});
  return {
    features: joinArrays(Float32Array, parts.map(({ features }) => features)),
    ...(logits ? { logits: joinArrays(Float32Array, parts.map(({ logits }) => logits!)) } : {}),
    ...(others
      ? {
        layers: Object.fromEntries(
          names.map((layer) => [
            layer,
            joinArrays(Float32Array, parts.map(({ layers }) => layers![layer])),
          ]),
        ),
      }
      : {}),
  };
}

/** Numbers of an image beyond which it is brought to the network's size before the next is read. */
const LARGE = 2 ** 20;

/**
 * Reads some images. Large ones, and those that differ in size, are prepared one by one where the
 * extractor can do that, so that memory follows its batch and not the size of the files.
 *
 * @param hash of the extractor, where a key is wanted
 */
async function readRun(
  source: ImageSource,
  first: number,
  count: number,
  extractor: FeatureExtractor,
  hash?: string,
): Promise<Images> {
  const read: ImageBatch[] = [];
  const isSingle = source.mixed || (!!extractor.prepare && (source.size ?? 0) > LARGE);
  const key = hash === undefined ? null : FeatureCache.startKey(hash);
  for (let i = first; i < first + count; i += isSingle ? 1 : count) {
    const batch = await source.read(i, isSingle ? 1 : count);
    if (batch.count > 0 || !isSingle) key?.add(batch);
    const isPrepared = isSingle && batch.count === 1 && extractor.prepare;
    read.push(isPrepared ? extractor.prepare!(batch) : batch);
  }
  const images = { ...joinImages(read, isSingle), key: key?.finish() ?? null };
  if (images.count + images.skipped.length !== count) {
    throw new ImmError(
      `${source.name} ended after ${first + images.count} of ${source.count} images; check where ` +
        `they come from.`,
    );
  }
  return images;
}

/** Batches behind each other: as one, unless their images are one by one. */
function joinImages(read: readonly ImageBatch[], isMixed: boolean): Images {
  const batches = isMixed ? read.filter(({ count }) => count > 0) : [joinBatches(read)];
  const labels = batches.every((batch) => batch.labels !== undefined)
    ? Int32Array.from(batches.flatMap((batch) => [...batch.labels!]))
    : undefined;
  return {
    count: batches.reduce((sum, { count }) => sum + count, 0),
    batches,
    isMixed,
    key: null,
    ...(labels ? { labels } : {}),
    skipped: read.flatMap(({ skipped }) => skipped ?? []),
  };
}

/** Some rows of everything that was extracted of `total` images. */
function rowsOf(all: Extracted, total: number, begin: number, count: number): Extracted {
  const part = (data: Float32Array) => {
    const width = data.length / total;
    return data.slice(begin * width, (begin + count) * width);
  };
  return {
    features: part(all.features),
    ...(all.logits ? { logits: part(all.logits) } : {}),
    ...(all.layers
      ? { layers: Object.fromEntries(Object.entries(all.layers).map(([k, v]) => [k, part(v)])) }
      : {}),
  };
}
