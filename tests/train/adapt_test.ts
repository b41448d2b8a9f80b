/** What becomes of a preset when it meets other data, a file or settings, and what is said of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { UsageError } from "../../lib/base/errors.ts";
import { decodePng, encodePng } from "../../lib/formats/image/png.ts";
import { overlay } from "../../lib/train/config/adapt.ts";
import { type ConfigSource, resolveConfig } from "../../lib/train/run/run.ts";
import { withTempFolder } from "../support/files.ts";
import { imm, startArguments } from "../support/examples/runs.ts";

/** A folder with a picture of each of three classes. */
function pictures(folder: string, size: number, channels = 3): string {
  const path = join(folder, `photos${size}`);
  for (const name of ["bird", "cat", "dog"]) {
    Deno.mkdirSync(join(path, name), { recursive: true });
    const data = new Uint8Array(size * size * channels).fill(name.length);
    const png = encodePng({ width: size, height: size, channels, data });
    Deno.writeFileSync(join(path, name, "0.png"), png);
  }
  return path;
}

/** The configuration and the notes. */
async function resolved(source: ConfigSource) {
  const { config, data, notes = [] } = await resolveConfig(source);
  data.close();
  const { imgResolution, imgChannels, labelDim } = config.network as unknown as Record<
    string,
    number
  >;
  return { config, sizes: [imgResolution, imgChannels, labelDim], notes: notes.join("\n"), data };
}

async function refuses(source: ConfigSource, pattern: RegExp): Promise<void> {
  await assert.rejects(resolveConfig(source), (error) => {
    assert(error instanceof UsageError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

Deno.test("a preset takes size, channels and classes from the data, and says so", async () => {
  await withTempFolder(async (folder) => {
    const data = pictures(folder, 32);
    const { sizes, notes, data: { summary } } = await resolved({ preset: "cifar10-small", data });
    assert.deepEqual(sizes, [32, 3, 3]);
    assert.match(
      notes,
      /^preset cifar10-small is for pictures of 32 x 32 x 3 in 10 classes; .* 32 x 32 x 3 in 3 classes$/,
    );
    assert.match(
      summary,
      /: 3 pictures of 32 x 32 x 3; 3 classes from folders: bird 1, cat 1, dog 1$/,
    );
    // What the person chose stays, and must fit.
    const settings = ["network.labelDim=10"];
    await refuses(
      { preset: "cifar10-small", data, settings },
      /labelDim is 10, but .* has 3; leave it out, or --set network\.labelDim=3$/,
    );
    const plain = await resolved({ preset: "cifar10", data });
    assert.deepEqual(plain.sizes, [32, 3, 0]);
    assert.match(plain.notes, /--set data\.labels=true takes the 3 classes of/);
  });
  const own = await resolved({ preset: "digits" });
  assert.deepEqual([own.sizes, own.notes], [[8, 1, 10], ""]);
});

Deno.test("what a preset cannot fit to the data is left to the person, with the setting", async () => {
  await withTempFolder(async (folder) => {
    const large = await resolved({ preset: "fashion-mnist", data: pictures(folder, 64, 1) });
    assert.deepEqual([large.sizes, large.config.data.padTo], [[64, 1, 3], 0]);
    assert.match(large.notes, /pads pictures to 32, which is left out for .*photos64/);
    assert.match(large.notes, /resolutions are 64, 32, 16,.*'network\.attnResolutions=\[16\]'/);
    const near = await resolved({ preset: "fashion-mnist", data: pictures(folder, 28, 1) });
    assert.deepEqual([near.sizes, near.config.data.padTo], [[32, 1, 3], 32]);
    assert.doesNotMatch(near.notes, /pads|attention/);

    const odd = pictures(folder, 30);
    await refuses({ preset: "cifar10", data: odd }, /found 30, the size of .*data\.padTo=32 pads/);
    await resolved({ preset: "cifar10", data: odd, settings: ["data.padTo=32"] });
    await refuses(
      { preset: "imagenet256-s", data: odd },
      /imm dataset prepare --encoder makes them/,
    );
  });
});

Deno.test("another batch than the preset's is answered with the rate and the average that go with it", async () => {
  const notes = async (...settings: string[]) =>
    (await resolved({ preset: "digits", settings })).notes;
  // digits: lr 2e-3, decay 0.995, batch 128; a quarter of it: half the rate, the fourth root.
  assert.match(
    await notes("train.batch=32"),
    /^train\.batch is 32, .* preset's for 128; .*optimizer\.lr=0\.001, .*ema\.decay=0\.998748 /,
  );
  assert.equal(await notes("train.batch=32", "optimizer.lr=1e-3"), "");
  assert.equal(await notes("train.microBatch=32"), "");
});

Deno.test("a file goes over a preset key by key, and settings over both", async () => {
  await withTempFolder(async (folder) => {
    const configFile = join(folder, "my.json");
    await Deno.writeTextFile(
      configFile,
      JSON.stringify({ network: { modelChannels: 8 }, train: { images: 1280, batch: 64 } }),
    );
    const settings = ["train.images=2560"];
    const { config, notes } = await resolved({ preset: "digits", configFile, settings });
    assert(config.network.type === "song_unet");
    const { modelChannels, channelMult } = config.network;
    assert.deepEqual([modelChannels, channelMult], [8, [1, 2]]);
    assert.deepEqual([config.train.images, config.train.batch], [2560, 64]);
    assert.equal(config.train.ema.decay, 0.995);
    assert.match(notes, /train\.batch is 64/);
    await refuses(
      { settings },
      /give a preset \(--preset NAME\), a file \(--config FILE\), or both/,
    );
    await assert.rejects(resolveConfig({ configFile }), UsageError, "a part alone is not complete");
  });
});

Deno.test("a network of another type replaces that of the layer below", () => {
  const below = { network: { type: "song_unet", numBlocks: 1 }, train: { batch: 4, images: 8 } };
  assert.deepEqual(
    overlay(below, { network: { type: "dit", depth: 2 }, train: { batch: 8 }, report: [1] }),
    { network: { type: "dit", depth: 2 }, train: { batch: 8, images: 8 }, report: [1] },
  );
});

// With its own data it gives them: presets_test.ts.
Deno.test("a dry run gives no scores of a preset with other data, and says what the data are", async () => {
  await withTempFolder(async (folder) => {
    const { code, stdout, stderr } = await imm(
      ...["train", "--preset", "digits-small", "--dry-run", "--device", "wasm"],
      ...["--data", pictures(folder, 8, 4), "--memory", "1Gi"],
    );
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout, /scores of/);
    assert.match(stderr, /^data: .*: 3 pictures of 8 x 8 x 3; 3 classes from folders: bird 1,/m);
    assert.match(stderr, /^warning: .* 3 of 3 pictures have an alpha channel, which is dropped/m);
  });
});

Deno.test("pictures with transparency are trained on, drawn in grids and sampled as RGB", async () => {
  await withTempFolder(async (folder) => {
    const [out, grid] = [join(folder, "run"), join(folder, "grid.png")];
    const data = pictures(folder, 8, 4);
    const settings = ["train.images=32", "report.samples=32"];
    const trained = await imm(...startArguments(out, settings), "--data", data);
    assert.equal(trained.code, 0, trained.stderr);
    const drawn = await Deno.readFile(join(out, "samples", "000000032-1-step.png"));
    assert.equal(decodePng(drawn, "").channels, 3);
    const args = ["--checkpoint", out, "--seeds", "0-3", "--device", "wasm", "--out", grid];
    const sampled = await imm("sample", ...args);
    assert.equal(sampled.code, 0, sampled.stderr);
    assert.equal(decodePng(await Deno.readFile(grid), "").channels, 3);
  });
});
