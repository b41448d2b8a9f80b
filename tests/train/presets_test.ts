/** Presets are the configurations that they claim to be, and what they take is known. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { UsageError } from "../../lib/base/errors.ts";
import { decodePng } from "../../lib/formats/image/png.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { parseTrainConfig } from "../../lib/train/config/config.ts";
import { EightGaussians } from "../../lib/train/points.ts";
import { chooseMicroBatch, describeRun } from "../../lib/train/config/planner.ts";
import { preset, PRESET_NAMES, presetScores, presetShape } from "../../lib/train/config/presets.ts";
import { applySettings } from "../../lib/train/config/settings.ts";
import { withTempFolder } from "../support/files.ts";
import { imm } from "../support/examples/runs.ts";

/** The resolved configuration of a preset. */
function resolved(name: string, settings: readonly string[] = []) {
  return parseTrainConfig(applySettings(preset(name), settings), presetShape(name));
}

Deno.test("every preset is a valid configuration and says what it reached", () => {
  for (const name of PRESET_NAMES) {
    const config = resolved(name);
    const shape = presetShape(name);
    if ("resolution" in shape) {
      assert.ok(config.data.padTo === 0 || config.data.padTo === shape.resolution, name);
    }
    assert.ok(config.train.images >= config.train.batch, name);
    createNetwork(config.network); // throws where the sizes do not go together
    assert(presetScores(name).length > 5, name);
  }
});

Deno.test("a preset is a copy that may be changed", () => {
  const changed = preset("digits");
  (changed.network as { type: string }).type = "mlp";
  assert.equal(preset("digits").network.type, "song_unet");
});

Deno.test("an unknown preset is refused with the list, also names that all objects have", () => {
  for (const name of ["digit", "toString"]) {
    for (const look of [preset, presetShape]) {
      assert.throws(() => look(name), (error) => {
        assert.ok(error instanceof UsageError);
        for (const known of PRESET_NAMES) assert.ok(error.message.includes(known));
        return true;
      });
    }
  }
});

Deno.test("the paper's presets have the parameters, the arithmetic and the settings of its Table 5", () => {
  // Parameters of the official code; GFLOPs as the paper counts them, for one image.
  const table: [string, number, number][] = [
    ["cifar10", 56_062_595, 21.28],
    ["imagenet256-s", 33_203_728, 6.06],
    ["imagenet256-b", 131_288_080, 23.01],
    ["imagenet256-l", 459_399_184, 80.71],
    ["imagenet256-xl", 676_735_504, 118.64],
    ["imagenet256-xl-fp16", 676_735_504, 118.64],
  ];
  for (const [name, parameters, gigaflops] of table) {
    const config = resolved(name, ["train.microBatch=4"]);
    assert.equal(createNetwork(config.network).parameters.parameterCount, parameters, name);
    const { flopsPerImage } = describeRun(config);
    const ratio = flopsPerImage.forward / 2e9 / gigaflops;
    assert(Math.abs(ratio - 1) < 0.015, `${name}: ${flopsPerImage.forward / 2e9} GFLOP`);
    assert(Math.abs(flopsPerImage.training / flopsPerImage.forward - 4) < 0.05, name);
    const { imm, optimizer, train } = config;
    assert.deepEqual(
      [optimizer.lr, optimizer.betas, optimizer.eps, optimizer.weightDecay, train.batch, imm!.M],
      [1e-4, [0.9, 0.999], 1e-8, 0, 4096, 4],
      name,
    );
    assert.deepEqual([imm!.kernel, imm!.sigmaData, train.ema.decay], ["laplace", 0.5, 0.9999]);
    assert.equal(train.images, (name === "cifar10" ? 400_000 : 1_200_000) * 4096);
  }
  const { imm, network, optimizer } = resolved("cifar10");
  const cifar = imm!;
  assert.deepEqual([cifar.k, cifar.a, cifar.b, cifar.eps, cifar.T], [15, 1, 5, 0.006, 0.994]);
  assert.deepEqual([optimizer.name, network.type === "song_unet" && network.dropout], [
    "radam",
    0.2,
  ]);
  const headline = resolved("imagenet256-xl-fp16").imm!;
  assert.deepEqual(
    [headline.a, headline.timeConditioning, headline.minGap, headline.k, headline.eps],
    [2, "stride", 1e-4, 12, 0],
  );
});

Deno.test("the micro-batch that is chosen fits, the next larger one does not, and no group is split", () => {
  const config = resolved("cifar10-small");
  const describe = (microBatch: number, recompute: boolean) =>
    describeRun({ ...config, train: { ...config.train, microBatch, recompute } });
  for (const total of [200, 2000, 100_000].map((mebibytes) => mebibytes * 2 ** 20)) {
    const { microBatch, recompute, deviceBytes } = chooseMicroBatch(config, {
      total,
      buffer: Infinity,
    });
    assert.equal(microBatch % config.imm!.M, 0);
    assert.equal(config.train.batch % microBatch, 0);
    assert.equal(describe(microBatch, recompute).deviceBytes, deviceBytes);
    assert(deviceBytes <= total);
    if (microBatch < config.train.batch) {
      assert(describe(2 * microBatch, recompute).deviceBytes > total);
    }
  }
  // Plenty of memory is not spent on computing twice.
  assert.deepEqual(
    [2 ** 30, 2 ** 40].map((total) => chooseMicroBatch(config, { total, buffer: Infinity }))
      .map(({ recompute }) => recompute),
    [false, false],
  );
  const tight = chooseMicroBatch(config, { total: 200 * 2 ** 20, buffer: Infinity });
  assert.equal(tight.recompute, true);
  // A limit on single buffers counts as well.
  const { largestBufferBytes } = describe(32, false);
  const limited = chooseMicroBatch(config, { total: 2 ** 40, buffer: largestBufferBytes });
  assert(limited.microBatch >= 32 && limited.microBatch < config.train.batch);
  assert.throws(
    () => chooseMicroBatch(config, { total: 2 ** 20, buffer: Infinity }),
    /one group of 4 images needs \d+ MiB on the device/,
  );
});

Deno.test("--dry-run of a preset without its data plans it, and measures what is quick", async () => {
  const { code, stdout, stderr } = await imm(
    ...["train", "--preset", "imagenet256-s", "--dry-run", "--device", "wasm", "--memory", "1Gi"],
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^scores of imagenet256-s: paper: FID 20\.36/m);
  assert.match(stdout, /^parameters: 33,203,728$/m);
  assert.match(stdout, /^memory for training: 1\.0 GiB \(--memory\)$/m);
  assert.match(stdout, /^micro-batch that fits: \d+ of 4096/m);
  assert.match(stdout, /^speed: not measured/m);

  const json = await imm("train", "--preset", "toy2d", "--dry-run", "--device", "wasm", "--json");
  const { speed, suggestion } = JSON.parse(json.stdout);
  assert(speed.imagesPerSecond > 0);
  assert.deepEqual([suggestion.microBatch, suggestion.recompute], [256, false]);
});

Deno.test("--micro-batch auto leaves its choice in the configuration of the run", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const settings = ["train.images=1024", "report.grid=16", "network.hidden=32"];
    const args = ["train", "--preset", "toy2d", "--device", "wasm", "--out", out];
    const all = [...args, ...settings.flatMap((setting) => ["--set", setting])];
    const { code, stderr } = await imm(...all, "--micro-batch", "auto", "--memory", "700Ki");
    assert.equal(code, 0, stderr);
    const { train } = JSON.parse(await Deno.readTextFile(join(out, "config.json")));
    assert(train.microBatch < 256 && 256 % train.microBatch === 0, `${train.microBatch}`);
    const picture = decodePng(
      await Deno.readFile(join(out, "samples", "000001024-1-step.png")),
      "",
    );
    assert.equal(picture.width, 256);
    assert(picture.data.some((value) => value > 0));
    const wrong = await imm(...all, "--micro-batch", "some");
    assert.match(wrong.stderr, /--micro-batch expects auto or a number of images/);
    const resumed = await imm("train", "--resume", out, "--micro-batch", "8");
    assert.match(resumed.stderr, /^changed: train\.microBatch from \d+ to 8$/m);
  });
});

Deno.test("points of the toy are eight Gaussians, whatever the portions", () => {
  const source = new EightGaussians(3);
  const { images } = source.batch(0, 4000);
  assert.deepEqual(source.batch(1000, 500).images, images.slice(2000, 3000));
  assert.notDeepEqual(new EightGaussians(4).batch(0, 4000).images, images);
  const counts = new Array(8).fill(0);
  let squares = 0;
  for (let i = 0; i < images.length; i += 2) {
    const [x, y] = [images[i], images[i + 1]];
    counts[(Math.round(Math.atan2(y, x) / (Math.PI / 4)) + 8) % 8]++;
    squares += x * x + y * y;
    assert(Math.abs(Math.hypot(x, y) - 0.7) < 0.3);
  }
  assert(counts.every((count) => Math.abs(count - 500) < 100), `${counts}`);
  assert(Math.abs(Math.sqrt(squares / images.length) - 0.5) < 0.01);
});
