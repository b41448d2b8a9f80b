/** Fine-tuning: training that begins with the weights of a model. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { encodePng } from "../../lib/formats/image/png.ts";
import type { NetworkConfigInput } from "../../lib/models/registry.ts";
import { loadModel, saveModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { transferredWeights } from "../../lib/train/run/transfer.ts";
import { assertClose } from "../support/close.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { randomModel } from "../support/examples/models.ts";
import { BATCH, imm, logOf, startArguments, TINY_RUN } from "../support/examples/runs.ts";

/** A rate at which nothing changes: what a run ends with is what it began with. */
const STILL = [
  ...["optimizer.name=adam", "optimizer.lr=1e-12", "train.ema.decay=0.5"],
  ...[`train.images=${2 * BATCH}`, `report.status=${BATCH}`],
];

const set = (settings: readonly string[]) => settings.flatMap((setting) => ["--set", setting]);

/** Runs a command that must succeed. */
async function succeed(...args: string[]) {
  const ended = await imm(...args);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

/** A folder with four grey pictures of 8 x 8 in each of some classes. */
async function classFolder(path: string, classes: readonly string[]): Promise<void> {
  for (const [k, name] of classes.entries()) {
    await Deno.mkdir(join(path, name), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const noise = hostNormal([k, i], [64], 0);
      const data = Uint8Array.from(noise, (value) => 128 + 40 * value);
      const png = await encodePng({ width: 8, height: 8, channels: 1, data });
      await Deno.writeFile(join(path, name, `${i}.png`), png);
    }
  }
}

Deno.test("training goes on from a converted PyTorch file: its weights, all averages, and lower losses", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await succeed(...startArguments(at("base"), [`train.images=${60 * BATCH}`]));
    await succeed("convert", at("base"), "--to", "torch", "--out", at("digits.pt"));
    const config = ["--config", join(at("base"), "config.json")];
    await succeed("convert", at("digits.pt"), ...config, "--out", at("digits.safetensors"));

    const args = ["--preset", "digits", "--init", at("digits.safetensors"), "--device", "wasm"];
    // The network is the file's, whatever the preset has.
    const plain = TINY_RUN.filter((setting) => !setting.startsWith("network."));
    const still = [...plain, ...STILL, 'train.ema.profiles=[{"decay":0.9}]'];
    const { stderr } = await succeed("train", ...args, "--out", at("still"), ...set(still));
    assert.match(stderr, /^network: song_unet, .* with the weights of \S+digits\.safetensors$/m);
    const base = await loadModel(join(at("base"), "model.safetensors"));
    for (const average of ["model.safetensors", "model-decay0.9.safetensors"]) {
      const made = await loadModel(join(at("still"), average));
      assert.deepEqual(made.network, base.network);
      for (const [name, { data }] of base.weights) {
        assertClose(made.weights.get(name)!.data, data, { rel: 1e-6, abs: 1e-9 }, name);
      }
    }
    const first = async (run: string) => (await logOf(at(run)) as { loss: number }[])[0].loss;
    assert((await first("still")) < 0.9 * (await first("base")), "it begins where the other ended");

    // It can be resumed without the model that it began with.
    await Deno.remove(at("digits.safetensors"));
    await succeed("train", "--resume", at("still"), "--device", "wasm");

    // A run is model and configuration in one.
    const again = ["--init", at("base"), "--device", "wasm", "--out", at("again")];
    await succeed("train", ...again, ...set(STILL));
    const recorded = JSON.parse(await Deno.readTextFile(join(at("again"), "config.json")));
    assert.equal(recorded.train.init, at("base"));
    assert.equal(recorded.train.batch, BATCH);
  });
});

Deno.test("other classes are learned anew when that is asked for, and refused otherwise", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await classFolder(at("pets"), ["cat", "dog"]);
    await classFolder(at("wild"), ["dog", "fox"]);
    await classFolder(at("three"), ["a", "b", "c"]);
    const data = (name: string) => ["--data", at(name)];
    await succeed(...startArguments(at("base"), STILL), ...data("pets"));
    const tune = (out: string, ...more: string[]) =>
      imm("train", "--init", at("base"), "--device", "wasm", "--out", at(out), ...more);
    const refusals: [string[], RegExp][] = [
      [data("three"), /base\S* has 2 classes, but \S*three has 3; --reset-labels keeps/],
      [data("wild"), /class 0 of \S*base\S* is cat, but of \S*wild it is dog; --reset-labels/],
      [["--reset-labels", "--set", "data.padTo=12"], /of 8 x 8 x 1, but \S+ has 12 x 12 x 1/],
      [["--set", "network.modelChannels=8"], /expected \S+ of shape /],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await tune("refused", ...args);
      assert.match(stderr, message);
      assert(code === 1 || code === 2);
      assert.equal(await exists(at("refused")), false);
    }
    const { code, stderr } = await tune("tuned", ...data("three"), "--reset-labels");
    assert.equal(code, 0, stderr);
    const [base, tuned] = [
      await loadModel(join(at("base"), "model.safetensors")),
      await loadModel(join(at("tuned"), "model.safetensors")),
    ];
    assert.deepEqual([tuned.network.labelDim, tuned.classNames], [3, ["a", "b", "c"]]);
    const label = [...tuned.weights.keys()].filter((name) => name.includes("label"));
    assert(label.length > 0);
    for (const [name, { data }] of base.weights) {
      if (label.includes(name)) continue;
      assertClose(tuned.weights.get(name)!.data, data, { rel: 1e-6, abs: 1e-9 }, name);
    }
  });
});

Deno.test("of every network exactly what knows of classes begins anew", async () => {
  const size = { imgResolution: 8, imgChannels: 1, labelDim: 3 };
  const unet = { ...size, modelChannels: 8, channelMult: [1], numBlocks: 1, attnResolutions: [] };
  const networks: [NetworkConfigInput, readonly string[]][] = [
    [{ type: "mlp", hidden: 8, depth: 1, labelDim: 3 }, ["label"]],
    [{ type: "song_unet", ...unet }, ["map_label"]],
    [{ type: "dhariwal_unet", ...unet }, ["map_label"]],
    [{ type: "dit", ...size, hiddenSize: 16, depth: 1, numHeads: 2, timeChannels: 16 }, [
      "y_embedder",
    ]],
  ];
  await withTempFolder(async (folder) => {
    const file = join(folder, "model.safetensors");
    for (const [config, parts] of networks) {
      const model = randomModel(config);
      for (const { data } of model.weights.values()) data.forEach((v, i) => data[i] = v + 1);
      await saveModel(file, model);
      for (const labelDim of [0, 3, 5]) {
        const network = createNetwork({ ...model.network, labelDim });
        const weights = await transferredWeights(file, network, { resetLabels: true, seed: 1 });
        network.parameters.adopt(weights);
        for (const [name, { data }] of weights) {
          const old = model.weights.get(name)?.data;
          const isKept = old !== undefined && old.length === data.length &&
            data.every((value, i) => value === old[i]);
          const knowsClasses = parts.some((part) => name.includes(part));
          assert.equal(isKept, !knowsClasses, `${config.type}, ${labelDim} classes: ${name}`);
        }
      }
    }
  });
});
