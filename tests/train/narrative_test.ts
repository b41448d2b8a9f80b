/** What a run says when it starts and ends, and keeps in log.txt. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { shellWord } from "../../cli/base/shell_word.ts";
import { openDevice } from "../../lib/device/open.ts";
import { EightGaussians } from "../../lib/train/points.ts";
import { expectedLine } from "../../lib/train/run/narrative.ts";
import { RunFolder } from "../../lib/train/run/folder.ts";
import { train } from "../../lib/train/trainer.ts";
import { describeRun } from "../../lib/train/config/planner.ts";
import { parseTrainConfig } from "../../lib/train/config/config.ts";
import { formatBytes } from "../../lib/base/units.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { BATCH, imm, startArguments } from "../support/examples/runs.ts";

/** Lines of a run's log without their times. */
async function logText(run: string): Promise<string> {
  const text = await Deno.readTextFile(join(run, "log.txt"));
  for (const line of text.trimEnd().split("\n")) {
    assert.match(line, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}\S/);
  }
  return text.replace(/^.{22}/gm, "");
}

Deno.test("a start tells what is trained on what, an end what comes next, and log.txt has it all", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "my run");
    const settings = [`report.scores.every=${8 * BATCH}`, "report.scores.samples=4"];
    const { code, stderr } = await imm(...startArguments(out, settings));
    assert.equal(code, 0, stderr);
    const config = parseTrainConfig(
      JSON.parse(await Deno.readTextFile(join(out, "config.json"))),
      null,
    );
    const { parameters, deviceBytes, stateBytes } = describeRun(config);
    const start = [
      /^device: WebAssembly, /,
      /^data: digits: 1,797 pictures of 8 x 8 x 1; 10 classes/,
      new RegExp(`^network: song_unet, ${parameters.toLocaleString("en")} parameters$`),
      // The same that a dry run says before.
      new RegExp(
        `^memory: ${formatBytes(deviceBytes)} on .* which ${formatBytes(stateBytes)} are `,
      ),
      /^training: 320 images in steps of 16$/,
      /^folder: .*my run$/,
    ];
    const log = (await logText(out)).split("\n");
    const said = stderr.split("\n");
    start.forEach((line, i) => {
      assert.match(log[i], line);
      assert(said.some((text) => line.test(text)), `${line} in ${stderr}`);
    });
    const rest = log.slice(start.length).join("\n");
    assert.match(
      rest,
      /^48 of 320 images, loss [\d.]+, gradient [\d.]+, lr 0\.002, [\d.]+ images\/s, \d+ m?s left$/m,
    );
    assert.match(rest, /^fd [\d.]+, the best so far$/m);
    assert.match(rest, /^wrote checkpoint-000000320\.safetensors\ntrained in \S+ m?s\n$/m);

    // What is suggested can be typed.
    const next = /^next: imm (sample .*)\n {6}imm (eval .*)$/m.exec(stderr);
    assert(next, stderr);
    for (const command of next.slice(1)) {
      const words = [...command.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
      const made = words.map((word) => word === "samples.png" ? join(folder, word) : word);
      const few = words[0] === "sample" ? ["--seeds", "0-3"] : ["--num", "8"];
      assert.equal((await imm(...made, ...few, "--device", "wasm")).code, 0, command);
    }
    assert.equal(await exists(join(folder, "samples.png")), true);
  });
});

Deno.test("how long a run takes is said once, as soon as it is known", async () => {
  const { now } = performance;
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    await withTempFolder(async (path) => {
      // A clock that runs so fast that the few steps take seconds.
      performance.now = () => now.call(performance) * 1000;
      const config = parseTrainConfig({
        data: { source: "toy2d" },
        network: { type: "mlp", hidden: 8, depth: 1 },
        train: { batch: 8, images: 8 * 500 },
        report: { status: 8 * 500, samples: 0, checkpoint: 0 },
      }, { dimensions: 2 });
      await using folder = await RunFolder.create(path, config);
      const told: number[] = [];
      const observer = { expects: (seconds: number) => void told.push(seconds) };
      const source = new EightGaussians(0);
      await train({ device, config, source, folder, resume: false, observer });
      assert.equal(told.length, 1);
      assert(told[0] > 0);
      assert.match(
        await Deno.readTextFile(join(path, "log.txt")),
        /expected: .* more, at [\d.,]+ images\/s\n/,
      );
    });
  } finally {
    performance.now = now;
    device.close();
  }
});

Deno.test("numbers of images and rates are written for people", () => {
  assert.equal(expectedLine(200, 1234.5), "expected: 3 min 20 s more, at 1,235 images/s");
  assert.equal(expectedLine(200, 3.2109), "expected: 3 min 20 s more, at 3.21 images/s");
});

Deno.test("a run without anything to keep takes its log with it, and leaves another's", async () => {
  await withTempFolder(async (folder) => {
    const settings = ["optimizer.lr=1e30"];
    const mine = join(folder, "mine");
    assert.equal((await imm(...startArguments(mine, settings))).code, 1);
    assert.equal(await exists(mine), false);
    const other = join(folder, "other");
    await Deno.mkdir(other);
    await Deno.writeTextFile(join(other, "log.txt"), "of a shell\n");
    assert.equal((await imm(...startArguments(other, settings))).code, 1);
    const names = await Array.fromAsync(Deno.readDir(other), ({ name }) => name);
    assert.deepEqual(names, ["log.txt"]);
    assert.match(await Deno.readTextFile(join(other, "log.txt")), /^of a shell\n.*device: /);
  });
});

Deno.test("words are quoted for a shell where they need it", () => {
  assert.equal(shellWord("runs/a-b_1.npz"), "runs/a-b_1.npz");
  assert.equal(shellWord("my run"), "'my run'");
  assert.equal(shellWord("it's; rm"), `'it'\\''s; rm'`);
  assert.equal(shellWord(""), "''");
});
