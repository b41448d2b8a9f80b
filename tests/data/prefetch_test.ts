/** Threads that make the items of a stream beforehand change no bit of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { augment, EDM_AUGMENT } from "../../lib/data/augment/mod.ts";
import { AugmentedStream } from "../../lib/data/stream/augmented.ts";
import type { Dataset } from "../../lib/data/dataset.ts";
import { LatentLoader, latentRule } from "../../lib/data/latents/loader.ts";
import { isLatents } from "../../lib/data/latents/dataset.ts";
import { type Batch, Loader } from "../../lib/data/stream/loader.ts";
import { openDataset, openImagesOrLatents } from "../../lib/data/open.ts";
import {
  defaultWorkers,
  type ItemStream,
  PrefetchingStream,
} from "../../lib/data/stream/prefetch.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { fixtures } from "../formats/fixtures.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { edm2Files, writeFolder, writeZip } from "../support/examples/latents.ts";

const [WIDTH, HEIGHT] = [21, 18];

/** Pictures as PNG and JPEG, in classes. */
function pictures(count = 9): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>([["b/0.jpg", fixtures.jpegColour]]);
  for (let n = 1; n < count; n++) {
    const data = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => i * n % 256);
    const png = encodePng({ width: WIDTH, height: HEIGHT, channels: 3, data });
    files.set(`${n % 2 === 0 ? "a" : "b"}/${n}.png`, png);
  }
  return files;
}

/** Batches from `start` on, of several sizes: over many epochs of nine pictures. */
async function batches(
  stream: { batch(position: number, count: number): Batch | Promise<Batch> },
  start = 0,
): Promise<Batch[]> {
  const found: Batch[] = [];
  let position = start;
  for (const count of [4, 4, 7, 1, 30, 2]) {
    found.push(await stream.batch(position, count));
    position += count;
  }
  return found;
}

Deno.test("decoded by any number of threads, from folders and archives, batches are the same", async () => {
  await withTempFolder(async (folder) => {
    const [plain, stored, deflated] = ["plain", "stored.zip", "deflated.zip"]
      .map((name) => join(folder, name));
    await writeFolder(plain, pictures());
    await writeZip(stored, pictures());
    await writeZip(deflated, pictures(), true);
    const options = { seed: 5, mirror: true };
    using alone = await openDataset(plain, { padTo: 24 });
    const expected = await batches(new Loader(alone, options));
    for (const path of [plain, stored, deflated]) {
      for (const workers of [1, 3]) {
        for (const keepBytes of [0, 2 ** 30]) {
          using dataset = await openDataset(path, { padTo: 24, keepBytes });
          const loader = new Loader(dataset, options);
          assert.equal(loader.itemBytes, WIDTH * HEIGHT * 3);
          using stream = new PrefetchingStream(loader, workers);
          assert.deepEqual(await batches(stream), expected);
          // From another place, as after a resumption, and back.
          assert.deepEqual(await stream.batch(100, 3), new Loader(alone, options).batch(100, 3));
          assert.deepEqual(await batches(stream), expected);
        }
      }
    }
  });
});

Deno.test("images are changed by threads as they are without, decoded before or not", async () => {
  await withTempFolder(async (folder) => {
    await writeFolder(folder, pictures());
    const config = { ...EDM_AUGMENT, probability: 0.6 };
    const make = (dataset: Dataset) =>
      new AugmentedStream(new Loader(dataset, { seed: 5, mirror: true }), config, 7);
    using alone = await openDataset(folder, { padTo: 24 });
    const expected = await batches(make(alone));
    // As they are changed batch by batch.
    const plain = new Loader(alone, { seed: 5, mirror: true }).batch(8, 7);
    const changed = augment(config, 7, plain.images, [24, 24, 3], 8);
    assert.deepEqual(expected[2], {
      images: changed.images,
      labels: plain.labels,
      augment: changed.labels,
    });
    for (const keepBytes of [0, 2 ** 30]) {
      using dataset = await openDataset(folder, { padTo: 24, keepBytes });
      for (const workers of [1, 3]) {
        using stream = new PrefetchingStream(make(dataset), workers);
        assert.deepEqual(await batches(stream), expected);
      }
    }
    using kept = await openDataset("digits");
    const images = make(kept);
    assert.equal(images.isSlow, false);
    const whole = images.batch(0, 20);
    using stream = new PrefetchingStream(make(kept), 2);
    assert.deepEqual(await stream.batch(0, 20), whole);
  });
});

Deno.test("the next batches are decoded while a batch is used", async () => {
  await withTempFolder(async (folder) => {
    await writeFolder(folder, pictures(40));
    using dataset = await openDataset(folder, { keepBytes: 0 });
    const loader = new Loader(dataset, { seed: 1 });
    using stream = new PrefetchingStream(loader, 2);
    await stream.batch(0, 8);
    const next = Array.from({ length: 16 }, (_, i) => 8 + i);
    while (next.some((position) => loader.isMissing(position))) {
      await new Promise((resolve) => setTimeout(resolve, 5)); // the test fails by taking for ever
    }
    assert(loader.isMissing(24), "and no further");
    assert(loader.isMissing(0), "what was used is given up");
  });
});

Deno.test("a damaged picture fails in the batch that has it, with the same sentence", async () => {
  await withTempFolder(async (folder) => {
    const files = pictures();
    files.set("b/3.png", files.get("b/3.png")!.subarray(0, 60));
    await writeFolder(folder, files);
    using dataset = await openDataset(folder);
    const loader = new Loader(dataset, { seed: 2 });
    const bad = Array.from({ length: 9 }, (_, n) => n)
      .find((n) => dataset.decoding!.place(loader.item(n).index).name.endsWith("3.png"))!;
    using stream = new PrefetchingStream(loader, 1);
    for (let n = 0; n < bad; n++) await stream.batch(n, 1);
    await assertFormatError(() => stream.batch(bad, 1), /3\.png is truncated/);
    Deno.removeSync(join(folder, "b/3.png"));
    await assertFormatError(() => stream.batch(bad, 1), /3\.png does not exist/);
  });
});

Deno.test("a damaged latent fails in the batch that has it, and not before", async () => {
  await withTempFolder(async (folder) => {
    const files = await edm2Files();
    await writeFolder(folder, files);
    using dataset = await openImagesOrLatents(folder);
    assert(isLatents(dataset));
    await Deno.truncate(join(folder, "00000/img-mean-std-00000003.npy"), 100);
    const rule = latentRule(dataset, { moments: null, normalize: "imm", finalStd: 0.5 });
    const failing = async (stream: { batch(at: number, count: number): unknown }) => {
      for (let n = 0;; n++) {
        try {
          await stream.batch(n, 1);
        } catch (error) {
          return { n, message: (error as Error).message };
        }
      }
    };
    const expected = await failing(new LatentLoader(dataset, rule, { seed: 1 }));
    assert.match(expected.message, /00000003\.npy is truncated/);
    assert(expected.n > 1, "the test has to look ahead");
    using stream = new PrefetchingStream(new LatentLoader(dataset, rule, { seed: 1 }), 1);
    assert.deepEqual(await failing(stream), expected);
  });
});

Deno.test("latents are drawn by threads as they are without", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "latents.zip");
    await writeZip(path, await edm2Files());
    using dataset = await openImagesOrLatents(path);
    assert(isLatents(dataset));
    const rule = latentRule(dataset, { moments: null, normalize: "imm", finalStd: 0.5 });
    const make = () => new LatentLoader(dataset, rule, { seed: 9 });
    const expected = await batches(make(), 1000);
    for (const workers of [1, 2]) {
      using stream = new PrefetchingStream(make(), workers);
      assert.deepEqual(await batches(stream, 1000), expected);
    }
    const wrong = { ...rule, moments: "mean-std" as const, finalStd: NaN };
    using stream = new PrefetchingStream(new LatentLoader(dataset, wrong, { seed: 9 }), 1);
    assert.equal((await stream.batch(0, 1)).images.length, 64);
  });
});

Deno.test("threads are started where there is enough for them to do", () => {
  const slow: Pick<ItemStream, "isSlow"> = { isSlow: true };
  assert.deepEqual([1, 2, 4, 64].map((n) => defaultWorkers(slow, n)), [1, 1, 3, 8]);
  assert.equal(defaultWorkers({ isSlow: false }, 64), 0);
});

Deno.test("pictures that fit in memory and are few need no threads", async () => {
  await withTempFolder(async (folder) => {
    await writeFolder(folder, pictures());
    using kept = await openDataset(folder);
    assert.equal(new Loader(kept, { seed: 0 }).isSlow, false);
    using large = await openDataset(folder, { keepBytes: 0 });
    assert.equal(new Loader(large, { seed: 0 }).isSlow, true);
    using digits = await openDataset("digits");
    const loader = new Loader(digits, { seed: 0 });
    assert.deepEqual([loader.isSlow, loader.itemBytes, loader.isMissing(3)], [false, 0, false]);
  });
});
