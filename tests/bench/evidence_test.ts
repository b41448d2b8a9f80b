/** The experiment beside PyTorch: what is planned, its statistics and tables, and a tiny one. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { classifierOnnx } from "../../bench/evidence/classifier.ts";
import {
  parseSamplers,
  planRuns,
  runName,
  samplerOptions,
  samplesName,
} from "../../bench/evidence/plan.ts";
import { largestDifference, resultTables, type Score } from "../../bench/evidence/results.ts";
import { summarize, welch } from "../../bench/evidence/statistics.ts";
import { findPython } from "../../bench/python.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { OnnxExtractor } from "../../lib/eval/extractors/onnx_extractor.ts";
import type { HostTensor } from "../../lib/nn/parameters.ts";
import { withTempFolder } from "../support/files.ts";
import { runModule } from "../support/cli/imm.ts";
import { needing } from "../support/needs.ts";

const python = await findPython();
const main = new URL("../../bench/evidence/main.ts", import.meta.url).href;

Deno.test("every run is planned once, the comparison of the engines first", () => {
  const runs = planRuns({
    engines: ["imm", "pytorch"],
    seeds: [0, 1],
    M: 4,
    particles: [1, 4],
    particleSeeds: [0, 2],
  });
  assert.deepEqual(runs.map(runName), [
    ...["imm-m4-s0", "pytorch-m4-s0", "imm-m4-s1", "pytorch-m4-s1"],
    ...["imm-m1-s0", "imm-m1-s2", "imm-m4-s2"],
  ]);
});

Deno.test("samplers are numbers of steps, or the paper's two steps by eta", () => {
  const samplers = parseSamplers("8,eta:1.4");
  const run = { engine: "imm", M: 4, seed: 1 } as const;
  assert.deepEqual(samplers.map(samplerOptions), [["--steps", "8"], ["--schedule", "eta:1.4"]]);
  assert.deepEqual(samplers.map((sampler) => samplesName(run, sampler)), [
    "imm-m4-s1-8",
    "imm-m4-s1-eta1.4",
  ]);
  for (const wrong of ["0", "two", "eta:", ""]) {
    assert.throws(() => parseSamplers(wrong), UsageError, wrong);
  }
});

Deno.test("Welch's test gives the values of scipy.stats.ttest_ind(equal_var=False)", () => {
  const test = welch(summarize([1, 2, 4]), summarize([2.5, 3, 4.5, 5]))!;
  assert.ok(Math.abs(test.t + 1.3315427649795275) < 1e-9, `${test.t}`);
  assert.ok(Math.abs(test.freedom - 3.7216697016388847) < 1e-9, `${test.freedom}`);
  assert.ok(Math.abs(test.p - 0.25870624288685706) < 1e-6, `${test.p}`);
  assert.equal(welch(summarize([1]), summarize([1, 2])), null);
  assert.equal(welch(summarize([1, 1]), summarize([1, 1])), null);
});

Deno.test("the classifier's features are means over what its convolutions and pools leave", async () => {
  const size = 8;
  const model = classifierOnnx(pickingWeights(), size, "weights");
  const extractor = await OnnxExtractor.load(model, { threads: 1 });
  const data = Uint8Array.from({ length: size * size }, (_, i) => (i * 37) % 256);
  const { features } = await extractor.extract({
    data,
    count: 1,
    height: size,
    width: size,
    channels: 1,
  });
  // Every layer copies its first channel: what is left is the largest of each 4 x 4 pixels.
  const value = (y: number, x: number) => Math.max(0, data[y * size + x] / 127.5 - 1);
  let sum = 0;
  for (const top of [0, 4]) {
    for (const left of [0, 4]) {
      const block = Array.from({ length: 16 }, (_, i) => value(top + (i >> 2), left + i % 4));
      sum += Math.max(...block);
    }
  }
  assert.equal(features.length, 128);
  assert.ok(Math.abs(features[0] - sum / 4) < 1e-6);
  assert.equal(features[1], 0);
  await extractor[Symbol.asyncDispose]();
});

Deno.test("tables show means, spreads, differences and what real images score", () => {
  const values = { imm: [10, 11, 12], pytorch: [10.5, 11, 11.5] };
  const scores: Score[] = (["imm", "pytorch"] as const).flatMap((engine) =>
    values[engine].map((fd, seed) => ({
      run: { engine, M: 4, seed },
      sampler: "2",
      extractor: "pixels",
      values: { fd, fd_std: 1 },
    }))
  );
  scores.push({ run: null, sampler: "", extractor: "pixels", values: { fd: 3 } });
  const other = { run: { engine: "imm", M: 1, seed: 0 } as const, sampler: "2" };
  scores.push({ ...other, extractor: "pixels", values: { fd: 20 } });
  const line = { images: 64, step: 2, loss: 0.5, seconds: 1 };
  const text = resultTables({
    M: 4,
    samplers: ["2"],
    scores,
    logs: [
      { run: { engine: "imm", M: 4, seed: 0 }, lines: [line] },
      { run: { engine: "pytorch", M: 4, seed: 0 }, lines: [{ ...line, loss: 0.4 }] },
    ],
  });
  const cells = (start: RegExp) =>
    text.split("\n").find((line) => start.test(line))!.split("|").slice(1, -1).map((c) => c.trim());
  assert.deepEqual(cells(/\| 2 .*fd, pixels/), [
    ...["2", "fd, pixels", "11.00 ± 1", "11.00 ± 0.5", "+0.000", "1.00", "3.000"],
  ]);
  assert.deepEqual(cells(/^\| 1 /), ["1", "20.00"]);
  assert.deepEqual(cells(/^\| M = 4/), [
    ...["M = 4, seed 0", "0.5000", "0.4000", "2.5e-1", "2.5e-1", "500", "500"],
  ]);
  assert.ok(!text.includes("fd_std"));
});

Deno.test("losses are compared where both logs have a line", () => {
  const line = (images: number, loss: number) => ({ images, loss, step: 1, seconds: 1 });
  const a = [line(1, 1.1), line(2, 3), line(3, 7)];
  assert.ok(Math.abs(largestDifference(a, [line(1, 1), line(2, 4)]) - 0.25) < 1e-12);
  assert.equal(largestDifference(a, []), 0);
});

Deno.test("arguments that cannot be meant are refused before anything is done", async () => {
  const run = (...args: string[]) => runModule(main, ["--out", "nowhere", ...args]);
  for (
    const [args, message] of [
      [["--only", "training"], /--only takes classifier, train, sample, eval, table/],
      [["--engines", "jax"], /--engines takes imm, pytorch/],
      [["--preset", "digits", "--particles", "3"], /no multiple of 3/],
    ] as const
  ) {
    const { code, stderr } = await run("--data", "digits", ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

const TINY = [
  ...["--images", "24", "--num", "20", "--samplers", "1,2", "--seeds", "0", "--particles", "2"],
  ...["--particle-seeds", "0", "--device", "wasm", "--metrics", "fd"],
  ...["data.padTo=8", "train.batch=8", "report.status=8", "network.channelMult=[1,2]"]
    .flatMap((setting) => ["--set", setting]),
  ...["--set", "network.attnResolutions=[4]", "--set", "network.modelChannels=8"],
];

Deno.test("a tiny experiment without PyTorch trains, samples and scores, and is not repeated", async () => {
  await withTempFolder(async (folder) => {
    const data = await writeData(folder);
    const args = ["--data", data, "--out", join(folder, "out"), ...TINY, "--engines", "imm"];
    const stages = ["--only", "train,sample,eval,table"];
    const first = await runModule(main, [...args, ...stages, "--json"]);
    assert.equal(first.code, 0, first.stderr);
    const { scores, logs } = JSON.parse(first.stdout);
    assert.equal(scores.length, 1 + 2 * 2); // real images; two M, each in 1 and 2 steps
    assert.ok(scores.every(({ values }: Score) => values.fd > 0));
    assert.deepEqual(logs.map(({ lines }: { lines: unknown[] }) => lines.length), [3, 3]);
    const again = await runModule(main, [...args, ...stages, "--json"]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.stdout, first.stdout);
    assert.doesNotMatch(again.stderr, /training|sampling|evaluation/);
  });
});

Deno.test(needing("PyTorch", python !== null, {
  name: "PyTorch trains with the same losses and samples the same images",
  async fn() {
    await withTempFolder(async (folder) => {
      const data = await writeData(folder);
      const { code, stdout, stderr } = await runModule(main, [
        ...["--data", data, "--out", join(folder, "out"), ...TINY, "--particles", "4", "--json"],
      ]);
      assert.equal(code, 0, stderr);
      const { scores, logs } = JSON.parse(stdout);
      const [imm, pytorch] = logs.map(({ lines }: { lines: { loss: number }[] }) =>
        lines.map(({ loss }) => loss)
      );
      assert.equal(imm.length, 3);
      imm.forEach((loss: number, i: number) =>
        assert.ok(Math.abs(loss / pytorch[i] - 1) < 1e-4, `${loss} and ${pytorch[i]}`)
      );
      const scored = scores.filter(({ run }: Score) => run !== null);
      assert.equal(scored.length, 2 * 2 * 2); // two engines, two samplers, two extractors
      for (const { run, sampler, extractor, values } of scored as Score[]) {
        if (run!.engine !== "imm") continue;
        const other = (scored as Score[]).find((score) =>
          score.run!.engine === "pytorch" && score.sampler === sampler &&
          score.extractor === extractor
        )!;
        assert.ok(Math.abs(values.fd / other.values.fd - 1) < 1e-3, `${extractor}, ${sampler}`);
      }
    });
  },
}));

/** A folder with IDX files of 256 images of 8 x 8 for each part: a bright row tells the class. */
async function writeData(parent: string): Promise<string> {
  const folder = join(parent, "data");
  await Deno.mkdir(folder);
  const count = 256;
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const images = Uint8Array.from({ length: count * 64 }, (_, at) => {
    const [image, pixel] = [at >> 6, at & 63];
    return (pixel >> 3) === labels[image] % 8 ? 200 + image % 50 : (at * 29 + image * 7) % 60;
  });
  for (const part of ["train", "t10k"]) {
    await Deno.writeFile(
      join(folder, `${part}-images-idx3-ubyte`),
      Uint8Array.from([0, 0, 8, 3, ...[count, 8, 8].flatMap(bigEndian), ...images]),
    );
    await Deno.writeFile(
      join(folder, `${part}-labels-idx1-ubyte`),
      Uint8Array.from([0, 0, 8, 1, ...bigEndian(count), ...labels]),
    );
  }
  return folder;
}

function bigEndian(value: number): number[] {
  return [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
}

/** Convolutions that copy channel 0, and no others. */
function pickingWeights(): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  const add = (name: string, shape: number[]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    weights.set(name, { shape, data });
    return data;
  };
  for (
    const [layer, inputs, outputs] of [["conv0", 1, 32], ["conv1", 32, 64], ["conv2", 64, 128]]
  ) {
    add(`${layer}.weight`, [Number(outputs), Number(inputs), 3, 3])[4] = 1;
    add(`${layer}.bias`, [Number(outputs)]);
  }
  add("fc.weight", [10, 128]);
  add("fc.bias", [10]);
  return weights;
}
