/**
 * `imm eval` in Inception's features, with weights from the hash, against values of the programs that
 * each pipeline stands for. They were computed in Python with PyTorch 2.15, NumPy 2.4 and SciPy 1.17:
 *
 * - the network of pytorch-fid in torch.nn.functional, weights as tests/golden/README.md says;
 * - images resized and scaled as torch-fidelity (`fid`: its TensorFlow-1 bilinear in numpy float32,
 *   (x - 128) / 128), pytorch-fid (`interpolate(mode="bilinear", align_corners=False)`, 2x/255 - 1)
 *   and clean-fid (`Image.fromarray(channel, mode="F").resize((299, 299), Image.BICUBIC)`, clipped);
 * - `fid`: with A and B the centred features over sqrt(n - 1), |mu - mu'|^2 + |A|^2 + |B|^2 -
 *   2 sum(svd(A @ B.T)), exact for few images; `sqrtm` and `eigvals`: the same as pytorch-fid and as
 *   torch-fidelity compute it, which lose digits when there are fewer images than features;
 * - `kid`: (x @ y.T / 2048 + 1)^3, unbiased, all images; `sfid`, `fid64` as `fid`.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import type { Evaluation } from "../../lib/eval/evaluate.ts";
import type { PipelineName } from "../../lib/eval/inception/pipelines.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { withTempFolder } from "../support/files.ts";
import { hashedImages, hashedInception } from "../support/golden/inception.ts";
import { memorySink } from "../support/cli/sink.ts";
import { needing } from "../support/needs.ts";

/** Four images of 32 x 32; the fake ones have less contrast. */
const COUNT = 4;
const SIZE = 32;

const EXPECTED: Record<PipelineName, Record<string, number>> = {
  "fid": {
    fid: 185.44580627,
    sqrtm: 185.445805914,
    eigvals: 185.445805941,
    sfid: 186.259496307,
    fid64: 3.68799978012,
    kid: 0.753079781324,
  },
  "pytorch-fid": {
    fid: 184.653769149,
    sqrtm: 184.653768719,
    eigvals: 184.653768749,
    sfid: 186.927616578,
    fid64: 3.72400619224,
    kid: 0.744738263534,
  },
  "clean-fid": {
    fid: 289.574846591,
    sqrtm: 289.574846125,
    eigvals: 289.574846147,
    sfid: 268.798415884,
    fid64: 5.64302461026,
    kid: 1.53957533436,
  },
};

async function writeImages(path: string, name: string, change: (byte: number) => number) {
  const data = hashedImages(`trust.${name}`, COUNT, SIZE).data.map(change);
  await writeNpz(path, [["arr_0", { type: "u8", shape: [COUNT, SIZE, SIZE, 3], data }]]);
}

async function run(...args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(["eval", ...args], { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

async function writeWeights(path: string): Promise<void> {
  const tensors = [...hashedInception()].map(([name, { shape, data }]) =>
    [name, { dtype: "F32", shape, data }] as const
  );
  await writeSafetensors(path, tensors);
}

Deno.test("a run is scored in Inception's features while it trains", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const scores = { samples: 8, every: 16, steps: 1, extractor: "inception" };
    await writeWeights(at("weights.safetensors"));
    await writeImages(at("real.npz"), "real", (byte) => byte);
    const [stdout, stderr] = [memorySink(), memorySink()];
    const code = await main([
      "train",
      ...["--preset", "digits-small", "--data", at("real.npz"), "--out", at("run")],
      ...["--device", "wasm", "--threads", "1", "--data-workers", "0"],
      ...[
        "train.batch=16",
        "train.images=32",
        "network.modelChannels=8",
        "network.attnResolutions=[]",
        `report.scores.weights=${at("weights.safetensors")}`,
        ...Object.entries(scores).map(([key, value]) => `report.scores.${key}=${value}`),
      ].flatMap((setting) => ["--set", setting]),
    ], { stdout, stderr });
    strictEqual(code, 0, stderr.text);
    const lines = (await Deno.readTextFile(at("run/scores.jsonl"))).trim().split("\n")
      .map((line) => JSON.parse(line));
    deepStrictEqual(lines.map(({ images }) => images), [16, 32]);
    for (const { values } of lines) ok(values.fd > 0);
    await Deno.stat(at("run/best.safetensors"));
  });
});

Deno.test("imm eval reproduces torch-fidelity, pytorch-fid and clean-fid", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await writeImages(at("real.npz"), "real", (byte) => byte);
    await writeImages(at("fake.npz"), "fake", (byte) => (byte >> 1) + 64);
    await writeWeights(at("weights.safetensors"));
    const common = ["--weights", at("weights.safetensors"), "--allow-other-weights"];
    common.push("--cache", at("cache"), "--json");
    common.push("--device", "wasm", "--threads", "1");
    const report = async (...args: string[]): Promise<Evaluation> => {
      const { code, stdout, stderr } = await run(...args, ...common);
      strictEqual(code, 0, stderr);
      return JSON.parse(stdout);
    };

    for (const pipeline of Object.keys(EXPECTED) as PipelineName[]) {
      const options = ["--pipeline", pipeline, "--metrics", "fid,sfid,fid64,kid", "--no-floor"];
      const { values, extractor } = await report(
        at("fake.npz"),
        "--reference",
        at("real.npz"),
        ...options,
      );
      strictEqual(extractor.details!.pipeline, pipeline);
      const { sqrtm, eigvals, ...exact } = EXPECTED[pipeline];
      for (const [name, expected] of Object.entries(exact)) {
        const error = Math.abs(values[name] / expected - 1);
        ok(error < 1e-5, `${pipeline}: ${name} is ${values[name]}, expected ${expected}`);
      }
      for (const expected of [sqrtm, eigvals]) ok(Math.abs(values.fid / expected - 1) < 1e-5);
    }

    // Statistics know their pipeline: it need not be said again, and must not be another.
    const stats = ["stats", at("real.npz"), "--pipeline", "pytorch-fid", "--out", at("stats.npz")];
    const made = await run(...stats, ...common);
    strictEqual(made.code, 0, made.stderr);
    const reference = [at("fake.npz"), "--reference", at("stats.npz")];
    const { values, extractor, reference: of } = await report(...reference);
    strictEqual(extractor.details!.pipeline, "pytorch-fid");
    strictEqual(of!.provenance!.extractor.hash, extractor.hash);
    deepStrictEqual(Object.keys(values), ["fid"]);
    const other = await run(...reference, "--pipeline", "fid", ...common);
    strictEqual(other.code, 2);
    match(other.stderr, /stats\.npz was made by the extractor inception-pytorch-fid-other/);
  });
});

/**
 * Of the same images with the published weights, by torch-fidelity 0.4.0, pytorch-fid 0.3.0 and
 * clean-fid's resizing on PyTorch 2.15: `exact` above of the features of each.
 */
const PUBLISHED_FID: Record<PipelineName, number> = {
  "fid": 231.3402989030991,
  "pytorch-fid": 212.79734146314206,
  "clean-fid": 103.42896415017631,
};

const PUBLISHED = Deno.env.get("IMM_TEST_INCEPTION");

Deno.test(needing("published Inception weights", PUBLISHED !== undefined, {
  name: "with the published weights imm eval reproduces the three tools, too",
  async fn() {
    await withTempFolder(async (folder) => {
      const [real, fake] = ["real.npz", "fake.npz"].map((name) => join(folder, name));
      await writeImages(real, "real", (byte) => byte);
      await writeImages(fake, "fake", (byte) => (byte >> 1) + 64);
      for (const [pipeline, expected] of Object.entries(PUBLISHED_FID)) {
        const { code, stdout, stderr } = await run(
          ...[fake, "--reference", real, "--pipeline", pipeline, "--weights", PUBLISHED!],
          ...["--cache", "none", "--json", "--no-floor", "--device", "wasm", "--threads", "1"],
        );
        strictEqual(code, 0, stderr);
        const { values } = JSON.parse(stdout) as Evaluation;
        ok(Math.abs(values.fid / expected - 1) < 1e-5, `${pipeline}: ${values.fid}, ${expected}`);
      }
      // The classifier is not in every file of them.
      const score = await run(fake, "--metrics", "is", "--weights", PUBLISHED!);
      if (score.code !== 0) match(score.stderr, /needs .*the classifier's fc\.weight/);
    });
  },
}));
