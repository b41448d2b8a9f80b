/** Scores while training: what is logged, and which weights are kept. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@^1";
import { loadModel } from "../../lib/models/model_file.ts";
import { withTempFolder } from "../support/files.ts";
import { BATCH, imm, logOf, startArguments } from "../support/runs.ts";

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

Deno.test("scores of points and unknown features are refused", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    const points = ["train", "--preset", "toy2d", "--out", out, "--set", "report.scores.every=256"];
    const refused = await imm(...points, "--device", "wasm");
    assert.deepEqual([refused.code, /are of pictures/.test(refused.stderr)], [2, true]);
    const unknown = await imm(...startArguments(out, [...SCORES, "report.scores.extractor=magic"]));
    assert.match(
      unknown.stderr,
      /report\.scores\.extractor: expected pixels, digits, inception or/,
    );
  });
});
