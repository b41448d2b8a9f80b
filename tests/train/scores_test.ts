/** Scores while training: what is logged, and which weights are kept. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { loadModel, saveModel } from "../../lib/models/model_file.ts";
import { withTempFolder } from "../support/files.ts";
import { BATCH, imm, logOf, startArguments } from "../support/examples/runs.ts";

const SCORES = [
  `report.scores.every=${5 * BATCH}`,
  "report.scores.samples=60",
  "report.scores.steps=1",
  "report.tensorboard=true",
];

async function scoresOf(run: string): Promise<{ images: number; values: { fd: number } }[]> {
  const text = await Deno.readTextFile(join(run, "scores.jsonl"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("scores are logged, the best weights are kept, and training is the same with them", async () => {
  await withTempFolder(async (folder) => {
    const [plain, scored] = [join(folder, "plain"), join(folder, "scored")];
    assert.equal((await imm(...startArguments(plain))).code, 0);
    const { code, stderr } = await imm(...startArguments(scored, SCORES), "--verbose");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^fd \d/m);
    assert.deepEqual(await logOf(scored), await logOf(plain));
    const scores = await scoresOf(scored);
    assert.deepEqual(scores.map(({ images }) => images / BATCH), [5, 10, 15, 20]);
    const best = scores.reduce((a, b) => b.values.fd < a.values.fd ? b : a);
    const kept = await loadModel(join(scored, "best.safetensors"));
    assert.deepEqual(
      [Number(kept.notes.images), Number(kept.notes.fd)],
      [best.images, best.values.fd],
    );
    // The same model outside of the run has the same score.
    const evaluated = await imm(
      ...["eval", "--checkpoint", join(scored, "best.safetensors"), "--steps", "1"],
      ...["--reference", "digits", "--extractor", "pixels", "--num", "60", "--json"],
      ...["--device", "wasm", "--quiet"],
    );
    assert.equal(evaluated.code, 0, evaluated.stderr);
    const { values } = JSON.parse(evaluated.stdout);
    assert(Math.abs(values.fd / best.values.fd - 1) < 1e-6, `${values.fd}, ${best.values.fd}`);
    // What was scored after the checkpoint that a run resumes from is scored again.
    await Deno.remove(join(scored, "checkpoint-000000320.safetensors"));
    assert.equal((await imm("train", "--resume", scored, "--device", "wasm")).code, 0);
    assert.deepEqual(await scoresOf(scored), scores);
  });
});

Deno.test("the best weights are beaten by a better score of the same kind alone", () =>
  withTempFolder(async (folder) => {
    const run = join(folder, "run");
    assert.equal((await imm(...startArguments(run, SCORES))).code, 0);
    const path = join(run, "best.safetensors");
    const model = await loadModel(path);
    const resume = async (images: number, ...settings: string[]) => {
      const all = [`train.images=${images * BATCH}`, ...settings];
      const { code, stderr } = await imm(
        ...["train", "--resume", run, "--device", "wasm"],
        ...all.flatMap((each) => ["--set", each]),
      );
      assert.equal(code, 0, stderr);
    };
    // Weights that nothing beats stay, though the log, which anyone may edit or lose, has less.
    await saveModel(path, { ...model, notes: { ...model.notes, fd: "0" } });
    const kept = await Deno.readFile(path);
    await Deno.writeTextFile(join(run, "scores.jsonl"), '{"images": 1, "values"');
    await resume(25);
    assert.deepEqual(await Deno.readFile(path), kept);
    assert.deepEqual((await scoresOf(run)).map(({ images }) => images / BATCH), [25]);
    // Other scores are no better or worse: both weights are kept.
    await resume(30, "report.scores.samples=50");
    assert.equal((await loadModel(path)).notes.images, String(30 * BATCH));
    const aside = join(run, `best-${model.notes.images.padStart(9, "0")}.safetensors`);
    assert.deepEqual(await Deno.readFile(aside), kept);
    await Deno.writeTextFile(path, "damaged");
    await resume(35);
    assert.equal(await Deno.readTextFile(join(run, "best-damaged.safetensors")), "damaged");
    assert.equal((await loadModel(path)).notes.images, String(35 * BATCH));
  }));

Deno.test("scores of points and unknown features are refused", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const points = ["train", "--preset", "toy2d", "--out", out, "--set", "report.scores.every=256"];
    const refused = await imm(...points, "--device", "wasm");
    assert.deepEqual([refused.code, /are of pictures/.test(refused.stderr)], [2, true]);
    const unknown = await imm(...startArguments(out, [...SCORES, "report.scores.extractor=magic"]));
    assert.match(
      unknown.stderr,
      /report\.scores\.extractor expects inception, pixels, digits, or/,
    );
  });
});
