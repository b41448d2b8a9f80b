import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { withTempFolder } from "../support/files.ts";
import { memorySink } from "../support/cli/sink.ts";

async function runDataset(...args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(["dataset", ...args], { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

Deno.test("imm dataset prepare writes an archive that imm dataset info describes", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "digits.zip");
    const prepared = await runDataset("prepare", "digits", "--out", out, "--resolution", "16");
    assert.equal(prepared.code, 0, prepared.stderr);
    assert.match(prepared.stdout, /^1,797 pictures of 16 x 16 x 1 in 10 classes: /);

    const grid = join(folder, "grid.png");
    const { code, stdout } = await runDataset("info", out, "--json", "--grid", grid);
    assert.equal(code, 0);
    const info = JSON.parse(stdout);
    assert.deepEqual(info.imageShape, [16, 16, 1]);
    assert.deepEqual(info.classCounts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert.ok((await Deno.stat(grid)).size > 1000);
  });
});

Deno.test("imm dataset info counts and measures", async () => {
  const { code, stdout } = await runDataset("info", "digits", "--json");
  assert.equal(code, 0);
  const { count, mean, std, sha256 } = JSON.parse(stdout);
  // numpy: x = load_digits().images; p = numpy.round(x * 255 / 16) / 127.5 - 1; p.mean(), p.std()
  assert.equal(count, 1797);
  assert.ok(
    Math.abs(mean[0] + 0.389382562986) < 1e-9 && Math.abs(std - 0.751771823931) < 1e-9,
    stdout,
  );
  assert.match(sha256, /^[0-9a-f]{64}$/);
});

Deno.test("mistakes are told in a sentence and nothing is written", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "out.zip");
    for (
      const [args, pattern] of [
        [["prepare", "digits", "--out", join(folder, "out.tar")], /\.zip/],
        [["prepare", "digits", "--out", out, "--crop", "adm"], /--resolution/],
        [["prepare", join(folder, "nothing"), "--out", out], /nothing/],
        [["prepare", folder, "--out", out], /no pictures/],
      ] as const
    ) {
      const { code, stdout, stderr } = await runDataset(...args);
      assert.ok(code === 1 || code === 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, pattern);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    }
  });
});

Deno.test("a data set is not made in place of what it is made of, nor of another one", async () => {
  await withTempFolder(async (folder) => {
    const [first, second] = ["a.zip", "b.zip"].map((name) => join(folder, name));
    const succeeds = async (...args: string[]) => {
      const { code, stderr } = await runDataset(...args);
      assert.equal(code, 0, stderr);
    };
    const refuses = async (message: RegExp, ...args: string[]) => {
      const { code, stderr } = await runDataset(...args);
      assert.match(stderr, message);
      assert.equal(code, 2);
    };
    await succeeds("prepare", "digits", "--limit", "4", "--out", first);
    await Deno.link(first, second);
    const before = await Deno.readFile(first);
    for (const out of [first, second]) {
      await refuses(
        /what is read; give another name/,
        ...["prepare", first, "--out", out, "--limit", "1", "--overwrite"],
      );
    }
    await refuses(/is there already/, "prepare", "digits", "--limit", "3", "--out", first);
    assert.deepEqual(await Deno.readFile(first), before);
    await succeeds("prepare", "digits", "--limit", "3", "--out", first, "--overwrite");
    const grid = join(folder, "grid.png");
    await succeeds("info", first, "--grid", grid);
    await refuses(/grid\.png is there already/, "info", first, "--grid", grid);
    await refuses(/what is read/, "info", first, "--grid", first, "--overwrite");
  });
});

Deno.test("imm dataset info recommends statistics of latents, where there are some to recommend", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "latents.npz");
    const info = async (data: Float32Array) => {
      await writeNpz(path, [["latents", { type: "f32", shape: [2, 2, 2, 2], data }]]);
      return await runDataset("info", path);
    };
    const values = Float32Array.from({ length: 16 }, (_, i) => i % 3);
    assert.match(
      (await info(values)).stdout,
      /\ntraining: {2}--set 'data\.latents\.normalize=\{"mean":\[/,
    );
    const nan = await info(values.with(9, NaN));
    assert.deepEqual([nan.code, nan.stdout], [1, ""]);
    assert.match(
      nan.stderr,
      /latents\.npy\[1\] has 1 number that is not finite, of 8: the first is NaN/,
    );
    const constant = await info(values.map((value, i) => i % 8 < 4 ? value : 5));
    assert.match(constant.stdout, /\ntraining: {2}nothing to normalise by: channel 1 is the same/);
  });
});
