/** Averages of the weights: several in one run, and those that are made after it. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { loadModel } from "../../lib/models/model_file.ts";
import type { StateDict } from "../../lib/nn/parameters.ts";
import {
  averageWeight,
  gammaFromSigma,
  reconstructionWeights,
  sigmaFromGamma,
} from "../../lib/train/step/ema.ts";
import { loadCheckpoint } from "../../lib/train/run/checkpoint.ts";
import { withTempFolder } from "../support/files.ts";
import { checkpointsIn, imm } from "../support/examples/runs.ts";

const STEPS = 400;
const PROFILES = [{ sigmaRel: 0.05 }, { sigmaRel: 0.1 }, { sigmaRel: 0.075 }, { decay: 0.98 }];

function start(out: string, settings: readonly string[] = []): string[] {
  const all = [
    "network.hidden=16",
    "network.depth=1",
    "train.batch=8",
    `train.images=${8 * STEPS}`,
    "train.ema.decay=0.98",
    "train.ema.ramp=false",
    `train.ema.profiles=${JSON.stringify(PROFILES)}`,
    `train.ema.snapshots=${8 * STEPS / 20}`,
    "report.status=800",
    "report.samples=0",
    "report.checkpoint=800",
    "report.steps=[1]",
    "report.grid=16",
    ...settings,
  ].flatMap((setting) => ["--set", setting]);
  return ["train", "--preset", "toy2d", "--device", "wasm", "--out", out, ...all];
}

/** Root mean square of the difference of all weights. */
function distance(a: StateDict, b: StateDict): number {
  let [sum, count] = [0, 0];
  for (const [name, { data }] of a) {
    data.forEach((value, i) => sum += (value - b.get(name)!.data[i]) ** 2);
    count += data.length;
  }
  return Math.sqrt(sum / count);
}

Deno.test("sigma_rel and gamma belong together as in EDM2, and impossible widths are refused", () => {
  // Section 3.1 of the paper: gamma 6.94 and 16.97 for 10 % and 5 %.
  assert.equal(gammaFromSigma(0.1).toFixed(2), "6.94");
  assert.equal(gammaFromSigma(0.05).toFixed(2), "16.97");
  for (const sigma of [0.01, 0.13, 0.28]) {
    assert(Math.abs(sigmaFromGamma(gammaFromSigma(sigma)) - sigma) < 1e-12);
  }
  for (const sigma of [0, -1, 0.3, NaN]) {
    assert.throws(() => gammaFromSigma(sigma), /sigma_rel must be above 0 and below 0\.2887/);
  }
});

Deno.test("weights of a power-function average add up to its profile", () => {
  const [steps, sigmaRel] = [50, 0.15];
  const gamma = gammaFromSigma(sigmaRel);
  const shares = new Array(steps).fill(0);
  for (let step = 1; step <= steps; step++) {
    const weight = averageWeight({ sigmaRel }, step);
    for (let i = 0; i < step - 1; i++) shares[i] *= 1 - weight;
    shares[step - 1] = weight;
  }
  shares.forEach((share, i) => {
    const exact = (((i + 1) / steps) ** (gamma + 1)) - ((i / steps) ** (gamma + 1));
    assert(Math.abs(share - exact) < 1e-12, `${i}: ${share}, expected ${exact}`);
  });
  assert.equal(averageWeight({ decay: 0.75 }, 9), 0.25);
});

Deno.test("a snapshot of the wanted average is taken alone", () => {
  const snapshots = [
    { step: 100, sigmaRel: 0.05 },
    { step: 200, sigmaRel: 0.1 },
    { step: 200, sigmaRel: 0.05 },
  ];
  const weights = reconstructionWeights(snapshots, { step: 200, sigmaRel: 0.1 });
  [0, 1, 0].forEach((expected, i) => assert(Math.abs(weights[i] - expected) < 1e-6, `${weights}`));
  assert.throws(() => reconstructionWeights([], snapshots[0]), /no snapshot/);
});

Deno.test("an average that is reconstructed is the one that the run tracked", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const { code, stderr } = await imm(...start(out));
    assert.equal(code, 0, stderr);
    const model = async (name: string) =>
      (await loadModel(join(out, `model-${name}.safetensors`))).weights;
    const [short, long, tracked] = [
      await model("sigma0.05"),
      await model("sigma0.1"),
      await model("sigma0.075"),
    ];
    // What was tracked must not help: its snapshots go.
    for await (const { name } of Deno.readDir(join(out, "snapshots"))) {
      if (name.includes("sigma0.075")) await Deno.remove(join(out, "snapshots", name));
    }
    const file = join(folder, "made.safetensors");
    const made = await imm(
      ...["ema", "reconstruct", out, "--sigma-rel", "0.075", "--out", file, "--json"],
    );
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(JSON.parse(made.stdout), {
      path: file,
      sigmaRel: 0.075,
      images: 8 * STEPS,
      snapshots: 40,
    });
    const { weights } = await loadModel(file);
    const error = distance(weights, tracked);
    const nearest = Math.min(distance(short, tracked), distance(long, tracked));
    assert(error < 0.05 * nearest, `${error} against ${nearest}`);
    // Also of an earlier time, and it samples like any model.
    const early = join(folder, "early.safetensors");
    const args = ["ema", "reconstruct", out, "--sigma-rel", "0.08", "--out", early];
    assert.equal((await imm(...args, "--images", "1600")).code, 0);
    assert.equal((await loadModel(early)).notes.images, "1600");
    const [newer, rel] = [join(folder, "newer.safetensors"), ["--sigma-rel", "0.08"]];
    const to = (out: string, ...more: string[]) =>
      imm("ema", "reconstruct", ...more, ...rel, "--out", out);
    assert((await to(newer, out, "--images", "5")).stderr.includes("first snapshot"));
    const none = await to(newer, folder);
    assert.match(none.stderr, /holds no snapshots of averages; train with train\.ema\.profiles/);
    // Neither an earlier average goes unasked, nor what the run needs at all.
    assert.match((await to(early, out)).stderr, /early\.safetensors is there already/);
    assert.match(
      (await to(join(out, "model.safetensors"), out, "--overwrite")).stderr,
      /belongs to the training run/,
    );
    // An exponential profile of the run's own decay is its average.
    const own = (await loadModel(join(out, "model.safetensors"))).weights;
    assert.deepEqual(await model("decay0.98"), own);
  });
});

Deno.test("a resumed run goes on with all its averages", async () => {
  await withTempFolder(async (folder) => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    assert.equal((await imm(...start(whole))).code, 0);
    assert.equal((await imm(...start(parts, ["train.images=1600"]))).code, 0);
    const config = join(parts, "config.json");
    const text = await Deno.readTextFile(config);
    await Deno.writeTextFile(config, text.replace('"images": 1600', `"images": ${8 * STEPS}`));
    assert.equal((await imm("train", "--resume", parts, "--device", "wasm")).code, 0);
    const last = (await checkpointsIn(whole)).at(-1)!;
    const [a, b] = [
      await loadCheckpoint(join(whole, last)),
      await loadCheckpoint(join(parts, last)),
    ];
    assert.equal(a.state.averages.length, PROFILES.length);
    assert.deepEqual(b.state, a.state);
  });
});
