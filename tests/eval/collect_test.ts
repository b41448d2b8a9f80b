import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { collect } from "../../lib/eval/collect.ts";
import type { FeatureExtractor } from "../../lib/eval/extractors/extractor.ts";
import { CHUNK, FeatureCache } from "../../lib/eval/feature_cache.ts";
import {
  edmSubset,
  generatedImages,
  imageRange,
  type ImageSource,
  memoryImages,
} from "../../lib/eval/images.ts";
import { withTempFolder } from "../support/files.ts";

const COUNT = 5 * CHUNK + 7;

/** Images of one pixel that count up. */
function counting(offset = 0): ImageSource {
  const data = Uint8Array.from({ length: COUNT }, (_, i) => (i * 7 + offset) % 251);
  const labels = Int32Array.from({ length: COUNT }, (_, i) => i % 3);
  return memoryImages("counting", { count: COUNT, height: 1, width: 1, channels: 1, data, labels });
}

/** Squares and cubes; remembers how many images it was given at a time. */
function powers(batch = 10): FeatureExtractor & { readonly seen: number[] } {
  const seen: number[] = [];
  return {
    id: "powers",
    hash: "powers-1",
    dimension: 2,
    classes: 2,
    layers: { spatial: 1 },
    batch,
    seen,
    extract({ count, data }, layers = []) {
      seen.push(count);
      const pixels = [...data.subarray(0, count)];
      return Promise.resolve({
        features: Float32Array.from(pixels.flatMap((x) => [x ** 2, x ** 3])),
        logits: Float32Array.from(pixels.flatMap((x) => [x, -x])),
        ...(layers.includes("spatial")
          ? { layers: { spatial: Float32Array.from(pixels, (x) => x / 2) } }
          : {}),
      });
    },
    async [Symbol.asyncDispose]() {},
  };
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

Deno.test("collect gives the same with a cache, without, and from the cache", async () => {
  await withTempFolder(async (folder) => {
    const run = async (extractor: FeatureExtractor, cache?: FeatureCache) => {
      const set = await collect("samples", counting(), { extractor, keep: true, cache });
      return { ...set, statistics: set.statistics.moments() };
    };
    const plain = powers();
    const expected = await run(plain);
    strictEqual(sum(plain.seen), COUNT);
    ok(Math.max(...plain.seen) === 10);

    const [first, second, large] = [powers(), powers(), powers(1000)];
    const cache = new FeatureCache(folder);
    deepStrictEqual(await run(first, cache), expected);
    strictEqual(sum(first.seen), COUNT);
    deepStrictEqual([cache.hits, cache.misses], [0, COUNT]);
    deepStrictEqual(await run(second, cache), expected);
    deepStrictEqual(second.seen, [], "nothing is computed twice");
    strictEqual(cache.hits, COUNT);
    deepStrictEqual(await run(large), expected);
    deepStrictEqual(large.seen, [COUNT], "as many at once as the extractor likes");
  });
});

Deno.test("collect goes on where it was interrupted", async () => {
  await withTempFolder(async (folder) => {
    const abort = new AbortController();
    const extractor = powers();
    await rejects(
      collect("samples", counting(), {
        extractor,
        cache: new FeatureCache(folder),
        signal: abort.signal,
        progress: ({ done }) => done >= 3 * CHUNK && abort.abort(new Error("enough")),
      }),
      /enough/,
    );
    strictEqual(sum(extractor.seen), 3 * CHUNK);
    const resumed = powers();
    await collect("samples", counting(), { extractor: resumed, cache: new FeatureCache(folder) });
    strictEqual(sum(resumed.seen), COUNT - 3 * CHUNK);
  });
});

Deno.test("images of different sizes are extracted one by one, with and without a cache", async () => {
  const COUNT = CHUNK + 6;
  const size = (i: number) => 1 + i % 3;
  const source: ImageSource = {
    name: "mixed",
    count: COUNT,
    mixed: true,
    read(first, count) {
      strictEqual(count, 1);
      const [height, width] = [size(first), 2];
      const data = new Uint8Array(height * width).fill(first);
      const labels = Int32Array.of(first);
      if (first === 5) data[0]++; // the same size and other pixels
      return Promise.resolve({ count, height, width, channels: 1, data, labels });
    },
  };
  const extractor = (together: boolean): FeatureExtractor & { calls: number[] } => {
    const calls: number[] = [];
    const of = (image: { data: Uint8Array | Float32Array; height: number }) => [
      image.data[0],
      image.height,
    ];
    return {
      id: "sizes",
      hash: "sizes",
      dimension: 2,
      batch: 4,
      calls,
      extract(image) {
        calls.push(image.count);
        return Promise.resolve({ features: Float32Array.from(of(image)) });
      },
      ...(together
        ? {
          extractMixed(images) {
            calls.push(images.length);
            return Promise.resolve({ features: Float32Array.from(images.flatMap(of)) });
          },
        }
        : {}),
      async [Symbol.asyncDispose]() {},
    };
  };
  const expected = Float32Array.from(
    Array.from({ length: COUNT }, (_, i) => [i === 5 ? 6 : i, size(i)]).flat(),
  );
  await withTempFolder(async (folder) => {
    const found: [number, number][] = [];
    for (const cache of [undefined, new FeatureCache(folder), new FeatureCache(folder)]) {
      for (const together of [false, true]) {
        const { calls, ...one } = extractor(together);
        const { features, labels } = await collect("samples", source, {
          extractor: one,
          keep: true,
          cache,
        });
        deepStrictEqual(Float32Array.from(features!.data), expected);
        deepStrictEqual([...labels!], Array.from({ length: COUNT }, (_, i) => i));
        if (!cache) strictEqual(calls.length, together ? Math.ceil(COUNT / 4) : COUNT);
      }
      if (cache) found.push([cache.hits, cache.misses]);
    }
    deepStrictEqual(found, [[COUNT, COUNT], [2 * COUNT, 0]]);
  });
});

Deno.test("large images are prepared one by one, before the next is read", async () => {
  const events: string[] = [];
  const source: ImageSource = {
    name: "large",
    count: CHUNK + 2,
    size: 2 ** 21, // as it says; the test has no use for them
    read(first, count) {
      events.push(`read ${first} +${count}`);
      return Promise.resolve({
        count,
        height: 1,
        width: 1,
        channels: 1,
        data: Uint8Array.of(first),
      });
    },
  };
  const extractor: FeatureExtractor = {
    id: "large",
    hash: "large",
    dimension: 1,
    batch: 4,
    extract: () => Promise.reject(new Error("not prepared")),
    extractMixed(images) {
      events.push(`extract ${images.length}`);
      return Promise.resolve({ features: Float32Array.from(images, ({ data }) => data[0]) });
    },
    prepare(image) {
      events.push(`prepare ${image.data[0]}`);
      return { ...image, data: Float32Array.of(image.data[0] + 0.5) };
    },
    async [Symbol.asyncDispose]() {},
  };
  await withTempFolder(async (folder) => {
    const run = async (cache?: FeatureCache) => {
      events.length = 0;
      const options = { extractor, keep: true, cache };
      return [...(await collect("samples", source, options)).features!.data];
    };
    const expected = Array.from({ length: CHUNK + 2 }, (_, i) => i + 0.5);
    deepStrictEqual(await run(), expected);
    deepStrictEqual(events.slice(0, 5), [
      ...["read 0 +1", "prepare 0", "read 1 +1", "prepare 1"],
      "read 2 +1",
    ]);
    strictEqual(events.indexOf("extract 4"), 8, "and a batch of the extractor is let go");
    deepStrictEqual(await run(new FeatureCache(folder)), expected);
    deepStrictEqual(await run(new FeatureCache(folder)), expected);
    strictEqual(events.some((event) => event.startsWith("extract")), false, "found in the cache");
  });
});

Deno.test("skipped images of different sizes are named, with and without a cache", async () => {
  const COUNT = CHUNK + 6;
  const skips = new Set([1, 2, 3, CHUNK + 1]);
  const source: ImageSource = {
    name: "mixed",
    count: COUNT,
    mixed: true,
    read(first, count) {
      const skipped = skips.has(first) ? [first] : [];
      const data = new Uint8Array(skipped.length ? 0 : 2).fill(first);
      const shape = { height: 1, width: 2, channels: 1 };
      return Promise.resolve({ count: count - skipped.length, ...shape, data, skipped });
    },
  };
  const kept = Array.from({ length: COUNT }, (_, i) => i).filter((i) => !skips.has(i));
  await withTempFolder(async (folder) => {
    for (const cache of [undefined, new FeatureCache(folder), new FeatureCache(folder)]) {
      const extractor = powers(1);
      const { features, skipped } = await collect("samples", source, {
        extractor: { ...extractor, extract: (image, layers) => extractor.extract(image, layers) },
        layers: ["spatial"],
        keep: true,
        cache,
      });
      deepStrictEqual([...skipped], [...skips]);
      deepStrictEqual(
        Float32Array.from(features!.data),
        Float32Array.from(kept.flatMap((i) => [(i % 256) ** 2, (i % 256) ** 3])),
      );
    }
  });
});

Deno.test("a cache keeps vectors that cost nothing for whoever asks for them later", async () => {
  await withTempFolder(async (folder) => {
    const run = async (layers: string[], keptLayers?: string[]) => {
      const extractor = { ...powers(), keptLayers };
      const cache = new FeatureCache(folder);
      const { layers: found } = await collect("samples", counting(), { extractor, layers, cache });
      return { computed: sum(extractor.seen), found: found.spatial?.mean() };
    };
    strictEqual((await run([], ["spatial"])).computed, COUNT);
    const { computed, found } = await run(["spatial"]);
    strictEqual(computed, 0);
    const { layers } = await collect("samples", counting(), {
      extractor: powers(),
      layers: ["spatial"],
    });
    deepStrictEqual(found, layers.spatial.mean());
  });
});

Deno.test("a cache that is full forgets what was not looked at for the longest time", async () => {
  await withTempFolder(async (folder) => {
    const key = (i: number) => FeatureCache.key("some", String(i));
    const features = { count: 1, features: new Float32Array(1000) };
    const wanted = { dimension: 1000, layers: [] };
    const big = new FeatureCache(folder);
    for (let i = 0; i < 10; i++) {
      await big.put(key(i), features);
      const [name, long] = [key(i), new Date(Date.now() - (100 - i) * 1000)];
      await Deno.utime(join(folder, name.slice(0, 2), `${name.slice(2)}.safetensors`), long, long);
    }
    await Deno.writeTextFile(join(folder, key(0).slice(0, 2), "mine.txt"), "not the cache's");
    const { files, bytes } = await big.usage();
    strictEqual(files, 10);
    ok(bytes > 40_000);
    ok(await big.get(key(0), 1, wanted), "now the one that was looked at last");
    const small = new FeatureCache(folder, 0.6 * bytes);
    await small.put(key(10), features);
    const left = await small.usage();
    ok(left.bytes <= 0.6 * bytes && left.bytes > 0.4 * bytes);
    const found = [];
    for (let i = 0; i <= 10; i++) found.push((await small.get(key(i), 1, wanted)) !== null);
    deepStrictEqual(found, [true, ...Array(6).fill(false), ...Array(3).fill(true), true]);
    deepStrictEqual(await small.clear(), { files: left.files, bytes: left.bytes });
    deepStrictEqual(await small.usage(), { files: 0, bytes: 0 });
    strictEqual(
      await Deno.readTextFile(join(folder, key(0).slice(0, 2), "mine.txt")),
      "not the cache's",
    );
  });
});

Deno.test("a cache can be pruned while others read and write", async () => {
  await withTempFolder(async (folder) => {
    const computed = async () => {
      const extractor = powers();
      const cache = new FeatureCache(folder, 2000);
      const { statistics } = await collect("samples", counting(), { extractor, cache });
      strictEqual(cache.problem, null);
      return statistics.moments();
    };
    const expected = (await collect("samples", counting(), { extractor: powers() })).statistics
      .moments();
    const all = await Promise.all(Array.from({ length: 6 }, computed));
    for (const moments of all) deepStrictEqual(moments, expected);
    ok((await new FeatureCache(folder).usage()).bytes <= 2 * 2000);
  });
});

Deno.test("the cache tells images, extractors and wanted outputs apart, and survives damage", async () => {
  await withTempFolder(async (folder) => {
    const computed = async (
      extractor: ReturnType<typeof powers>,
      source = counting(),
      layers: string[] = [],
    ) => {
      const before = sum(extractor.seen);
      await collect("samples", source, { extractor, layers, cache: new FeatureCache(folder) });
      return sum(extractor.seen) - before;
    };
    strictEqual(await computed(powers()), COUNT);
    strictEqual(await computed(powers(), counting(1)), COUNT, "other images");
    strictEqual(await computed({ ...powers(), hash: "powers-2" }), COUNT, "another extractor");
    strictEqual(await computed(powers(), counting(), ["spatial"]), COUNT, "more vectors");
    strictEqual(await computed(powers(), counting(), ["spatial"]), 0);
    strictEqual(await computed(powers()), 0, "fewer vectors");

    for await (const { name } of Deno.readDir(folder)) {
      for await (const file of Deno.readDir(join(folder, name))) {
        const path = join(folder, name, file.name);
        await Deno.truncate(path, (await Deno.stat(path)).size - 1);
      }
    }
    strictEqual(await computed(powers()), COUNT, "damaged files are made again");
    strictEqual(await computed(powers()), 0);
  });
});

Deno.test("one flipped bit in a file of the cache is noticed, told, and mended", async () => {
  await withTempFolder(async (folder) => {
    const run = async () => {
      const cache = new FeatureCache(folder);
      const { statistics } = await collect("samples", counting(), { extractor: powers(), cache });
      return { mean: statistics.mean(), damaged: cache.damaged, hits: cache.hits };
    };
    const { mean } = await run();
    const [{ name }] = await Array.fromAsync(Deno.readDir(folder));
    const [file] = await Array.fromAsync(Deno.readDir(join(folder, name)));
    const path = join(folder, name, file.name);
    const bytes = await Deno.readFile(path);
    // In the numbers, and in the header: a shape, a name.
    for (const at of [bytes.length - 3, 20, 60]) {
      await Deno.writeFile(path, bytes.map((byte, i) => i === at ? byte ^ 1 : byte));
      const found = await run();
      deepStrictEqual(found.mean, mean, `byte ${at}`);
      strictEqual(found.damaged > 0 && found.hits < COUNT, true, `byte ${at}`);
      deepStrictEqual(await run(), { mean, damaged: 0, hits: COUNT }, "made again");
    }
  });
});

Deno.test("images that say what they are made of need not be made again", async () => {
  await withTempFolder(async (folder) => {
    let made = 0;
    const source: ImageSource = {
      ...generatedImages("made", COUNT, (first, count) => {
        made += count;
        return counting().read(first, count);
      }),
      identify: (first, count) => ({
        fingerprint: `${first}+${count}`,
        labels: Int32Array.from({ length: count }, (_, i) => (first + i) % 3),
      }),
    };
    const run = (keep = true) =>
      collect("samples", source, { extractor: powers(), keep, cache: new FeatureCache(folder) });
    const first = await run();
    strictEqual(made, COUNT);
    const second = await run();
    strictEqual(made, COUNT);
    deepStrictEqual(second.features, first.features);
    deepStrictEqual(second.labels, first.labels);
  });
});

Deno.test("edmSubset chooses what EDM's data sets choose", () => {
  // idx = np.arange(n); np.random.RandomState(seed % (1 << 31)).shuffle(idx); np.sort(idx[:count])
  deepStrictEqual([...edmSubset(20, 6, 0)], [1, 8, 10, 17, 18, 19]);
  deepStrictEqual([...edmSubset(20, 6, 7)], [0, 1, 2, 5, 11, 17]);
  deepStrictEqual([...edmSubset(1797, 5, 2 ** 31 + 3)], [221, 266, 356, 642, 1241]);
});

Deno.test("imageRange is a part of a source", async () => {
  const part = imageRange(counting(), 64, 80);
  strictEqual(part.count, 16);
  deepStrictEqual(await part.read(3, 5), await counting().read(67, 5));
});

Deno.test("a cache that cannot be written stops nothing, and says why", async () => {
  await withTempFolder(async (folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "in the way");
    const cache = new FeatureCache(file);
    const set = await collect("samples", counting(), { extractor: powers(), cache });
    strictEqual(set.statistics.count, COUNT);
    match(cache.problem!, /file/);
  });
});
