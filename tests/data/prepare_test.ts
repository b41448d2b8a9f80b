import assert from "node:assert/strict";
import { join } from "node:path";
import { fitImage } from "../../lib/data/fit.ts";
import { openDataset } from "../../lib/data/open.ts";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import type { FormatError } from "../../lib/base/errors.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { hashPicture } from "../support/examples/pictures.ts";

const SIZES = [[20, 31], [40, 17], [16, 16], [33, 90], [18, 18]] as const;
const FIT = { resolution: 8, crop: "center" } as const;

/** Pictures of two classes and of many sizes; returns the folder. */
async function writePictures(folder: string): Promise<string> {
  const root = join(folder, "pictures");
  for (const name of ["cats", "dogs"]) await Deno.mkdir(join(root, name), { recursive: true });
  for (const [i, [height, width]] of SIZES.entries()) {
    const path = join(root, i % 2 === 0 ? "cats" : "dogs", `${i}.png`);
    await Deno.writeFile(path, encodePng(hashPicture(height, width, 3)));
  }
  return root;
}

Deno.test("pictures of many sizes become a data set of one, with the folders as classes", async () => {
  await withTempFolder(async (folder) => {
    const root = await writePictures(folder);
    const out = join(folder, "out.zip");
    const made = await prepareDataset(root, out, { ...FIT, workers: 1 });
    assert.deepEqual(made, { count: 5, skipped: 0, width: 8, height: 8, channels: 3, classes: 2 });
    using dataset = await openDataset(out);
    assert.deepEqual(dataset.labelNames, ["cats", "dogs"]);
    const order = [0, 2, 4, 1, 3]; // sorted by path
    for (const [n, i] of order.entries()) {
      const [height, width] = SIZES[i];
      const fit = { ...FIT, channels: 3, filter: null } as const;
      assert.deepEqual(
        new Uint8Array(dataset.image(n)),
        fitImage(hashPicture(height, width, 3), fit).data,
      );
      assert.equal(dataset.label(n), i % 2);
    }
  });
});

Deno.test("any number of Workers writes the same bytes", async () => {
  await withTempFolder(async (folder) => {
    const root = await writePictures(folder);
    const written = [];
    for (const workers of [1, 2, 3]) {
      const out = join(folder, `${workers}.zip`);
      await prepareDataset(root, out, { ...FIT, workers });
      written.push(await Deno.readFile(out));
    }
    assert.deepEqual(written[1], written[0]);
    assert.deepEqual(written[2], written[0]);
  });
});

Deno.test("other data sets are prepared as well, and keep labels and grey", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "digits.zip");
    const made = await prepareDataset("digits", out, { limit: 30, workers: 2 });
    assert.deepEqual(made, {
      count: 30,
      skipped: 0,
      width: 8,
      height: 8,
      channels: 1,
      classes: 10,
    });
    using digits = await openDataset("digits");
    using dataset = await openDataset(out);
    for (let i = 0; i < 30; i++) {
      assert.deepEqual(new Uint8Array(dataset.image(i)), new Uint8Array(digits.image(i)));
      assert.equal(dataset.label(i), digits.label(i));
    }
  });
});

Deno.test("a damaged picture is named, or left out when that is asked for", async () => {
  await withTempFolder(async (folder) => {
    const root = await writePictures(folder);
    await Deno.writeTextFile(join(root, "cats", "3.png"), "no picture");
    const out = join(folder, "out.zip");
    for (const workers of [1, 2]) {
      await assertFormatError(() => prepareDataset(root, out, { ...FIT, workers }), /3\.png/);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["pictures"]);
    }
    const skipped: FormatError[] = [];
    const options = { ...FIT, onCorrupt: (error: FormatError) => skipped.push(error) };
    const made = await prepareDataset(root, out, options);
    assert.deepEqual([made.count, made.skipped], [5, 1]);
    assert.match(skipped[0].message, /3\.png/);
    using dataset = await openDataset(out);
    assert.deepEqual(Array.from({ length: 5 }, (_, i) => dataset.label(i)), [0, 0, 0, 1, 1]);
  });
});

Deno.test("without a resolution the pictures must be alike already", async () => {
  await withTempFolder(async (folder) => {
    const root = await writePictures(folder);
    const out = join(folder, "out.zip");
    await assertFormatError(
      () => prepareDataset(root, out, { workers: 1 }),
      /2\.png/,
      /resolution/,
    );
  });
});

Deno.test("an interruption leaves nothing behind", async () => {
  await withTempFolder(async (folder) => {
    const root = await writePictures(folder);
    const controller = new AbortController();
    const onProgress = (done: number) => done === 2 && controller.abort();
    const options = { ...FIT, workers: 2, signal: controller.signal, onProgress };
    await assert.rejects(prepareDataset(root, join(folder, "out.zip"), options), {
      name: "AbortError",
    });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["pictures"]);
  });
});
