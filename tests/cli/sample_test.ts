/** `imm sample` with tiny models of random weights. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import { verb as sample } from "../../cli/sample/sample.ts";
import { prepareJob, type SampleArgs } from "../../cli/sample/job.ts";
import { generateAndWrite } from "../../cli/sample/run.ts";
import { Terminal } from "../../cli/base/terminal.ts";
import { parseVerb } from "../../cli/base/verb.ts";
import { openDataset } from "../../lib/data/open.ts";
import { openDevice } from "../../lib/device/open.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { decodePng } from "../../lib/formats/image/png.ts";
import { openSafetensors, writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { latents } from "../../lib/objectives/sampler.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { availableDevices } from "../support/devices/devices.ts";
import { withTempFolder } from "../support/files.ts";
import { imm } from "../support/cli/imm.ts";
import { randomModel } from "../support/examples/models.ts";
import { memorySink } from "../support/cli/sink.ts";

/** A transformer of one block for 4 x 4 pixels in RGB: a handful of kernels. */
const TINY = {
  type: "dit",
  imgResolution: 4,
  imgChannels: 3,
  labelDim: 4,
  hiddenSize: 16,
  depth: 1,
  numHeads: 2,
  timeChannels: 16,
} as const;

const devices = await availableDevices();
const kinds = devices.map(({ kind }) => kind);
for (const device of devices) device.close();

async function run(...args: (string | number)[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(["sample", ...args.map(String)], { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Runs the command, which must succeed; returns what it printed. */
async function succeed(...args: (string | number)[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Weights that begin as zeros would let no class and no time through. */
function livelyModel() {
  const model = randomModel(TINY);
  for (const { data } of model.weights.values()) {
    if (data.every((value) => value === 0)) data.forEach((_, i) => data[i] = 0.3 * Math.sin(7 * i));
  }
  return model;
}

/** Runs `body` with a folder in which the folder `run` holds a model. */
function withRun(body: (folder: string, model: string) => Promise<void>): Promise<void> {
  return withTempFolder(async (folder) => {
    const model = join(folder, "run");
    await Deno.mkdir(model);
    await saveModel(join(model, "model.safetensors"), livelyModel());
    await body(folder, model);
  });
}

async function names(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map((entry) => entry.name).sort();
}

for (const kind of kinds) {
  Deno.test(`${kind}: the same command gives the same bytes, in batches of any size`, () =>
    withRun(async (folder, model) => {
      const command = ["--checkpoint", model, "--device", kind, "--seeds", "5-9", "--quiet"];
      const outs = ["a.npz", "b.npz", "c.npz"].map((name) => join(folder, name));
      const extra = [[], [], ["--batch", "2"]];
      for (const [i, out] of outs.entries()) await succeed(...command, "--out", out, ...extra[i]);
      const [a, b, c] = outs.map((out) => Deno.readFileSync(out));
      assert.deepEqual(b, a);
      assert.deepEqual(c, a);
    }));
}

// The last is the fastest to start where there is no graphics processor.
const kind = kinds.at(-1)!;

Deno.test(
  "the result says what was done, as JSON on standard output alone",
  () =>
    withRun(async (folder, model) => {
      const out = join(folder, "grid.png");
      const { code, stdout, stderr } = await runJson(model, out);
      assert.equal(code, 0, stderr);
      const result = JSON.parse(stdout);
      assert.equal(result.path, out);
      assert.equal(result.format, "grid");
      assert.equal(result.files, 1);
      assert.equal(result.count, 6);
      assert.equal(result.seeds, "0-4,9");
      assert.equal(result.classes, "1-3");
      assert.equal(result.sampler, "restart");
      assert.equal(result.steps, 3);
      assert.deepEqual(result.guidance, [1, 2, 0.5]);
      assert.equal(result.times.length, 4);
      assert.equal(result.times[0], 0.994);
      assert.equal(result.device.kind, kind);
      assert.equal(result.checkpoint, join(model, "model.safetensors"));
      assert.ok(result.seconds > 0);
      assert.match(stderr, /sampling: done/);
      // The picture for people: rows of characters, without colours since this is no terminal.
      assert.match(stderr, /\n.{10,}\n.{10,}\n/);
      assert.ok(!stderr.includes("\x1b"));
      // Three classes in turn make three columns of 4 pixels, 8 times enlarged.
      const { width, height, channels } = decodePng(await Deno.readFile(out), "grid");
      assert.deepEqual([width, height, channels], [(3 * 5 + 1) * 8, (2 * 5 + 1) * 8, 3]);
    }),
);

function runJson(checkpoint: string, out: string) {
  return run(
    ...["--checkpoint", checkpoint, "--out", out, "--device", kind, "--json", "--show"],
    ...["--seeds", "0-4,9", "--classes", "1-3", "--guidance", "1,2,0.5"],
    ...["--sampler", "restart", "--schedule", "eta:1.4,0.3"],
  );
}

Deno.test(
  "a folder gets a picture for each seed, the same alone and among others",
  () =>
    withRun(async (folder, model) => {
      const command = ["--checkpoint", join(model, "model.safetensors"), "--device", kind, "-q"];
      const [all, one] = [join(folder, "all"), join(folder, "one")];
      await succeed(...command, "--seeds", "2-5", "--out", all);
      await succeed(...command, "--seeds", "4", "--out", one);
      const pictures = ["000002.png", "000003.png", "000004.png", "000005.png"];
      assert.deepEqual(await names(all), [...pictures, "samples.json"]);
      assert.deepEqual(await names(one), ["000004.png", "samples.json"]);
      const picture = (folder: string) => Deno.readFileSync(join(folder, "000004.png"));
      assert.deepEqual(picture(one), picture(all));
      assert.notDeepEqual(Deno.readFileSync(join(all, "000005.png")), picture(all));
    }),
);

Deno.test(
  "latents from a file take the place of those of the seeds",
  () =>
    withRun(async (folder, model) => {
      const samples = async (...args: (string | number)[]) => {
        const out = join(folder, "out.safetensors");
        const command = ["--checkpoint", model, "--device", kind, "--out", out, "--overwrite"];
        const { code, stderr } = await run(...command, ...args);
        assert.equal(code, 0, stderr);
        using file = await openSafetensors(out);
        return { values: (await file.read("samples")).toFloat32(), stderr };
      };
      const own = await samples("--seeds", "0-2");
      const data = latents([0, 1, 2], 48, 0.5);
      const shape = [3, 4, 4, 3];
      const npz = join(folder, "noise.npz");
      await writeNpz(npz, [["arr_0", { type: "f32", shape, data }]]);
      const same = await samples("--latents", npz);
      assert.deepEqual(same.values, own.values);
      assert.doesNotMatch(same.stderr, /warning/);
      // Unit normal, as torch.randn gives them: a warning, unless they are scaled.
      const unit = join(folder, "unit.safetensors");
      await writeSafetensors(
        unit,
        new Map([["latents", { dtype: "F32", shape, data: data.map((value) => value * 2) }]]),
      );
      assert.deepEqual(
        (await samples("--latents", unit, "--latents-scale", 0.5)).values,
        own.values,
      );
      const wrong = await samples("--latents", unit);
      assert.notDeepEqual(wrong.values, own.values);
      assert.match(wrong.stderr, /warning: the latents .* 0\.5; --latents-scale/);
    }),
);

/** The command of the tests below, which write no more than they are told to. */
const common = (model: string) => ["--checkpoint", model, "--device", kind, "-q", "--steps", "1"];

Deno.test(
  "a folder is continued with the same settings, and refused with others",
  () =>
    withRun(async (folder, model) => {
      const out = join(folder, "pictures");
      const made = async (...args: (string | number)[]) => {
        const { code, stdout, stderr } = await run(
          ...common(model),
          ...["--out", out, "--json"],
          ...args,
        );
        assert.equal(code, 0, stderr);
        const { count, kept, files } = JSON.parse(stdout);
        return [count, kept, files];
      };
      assert.deepEqual(await made("--seeds", "0-4"), [5, 0, 5]);
      const third = Deno.readFileSync(join(out, "000003.png"));
      await Deno.remove(join(out, "000003.png"));
      await Deno.writeTextFile(join(out, "000002.png"), "kept as it is");
      assert.deepEqual(await made("--seeds", "0-5"), [6, 4, 2]);
      assert.deepEqual(Deno.readFileSync(join(out, "000003.png")), third);
      assert.equal(Deno.readTextFileSync(join(out, "000002.png")), "kept as it is");
      assert.deepEqual(await made("--seeds", "0-5"), [6, 6, 0]);

      const refuses = async (message: RegExp, ...args: (string | number)[]) => {
        const { code, stderr } = await run(...common(model), "--out", out, ...args);
        assert.equal(code, 2, stderr);
        assert.match(stderr, message);
      };
      await refuses(/made differently \(guidance: 1, now 2\).*--overwrite/, "--guidance", 2);
      await refuses(/made differently \(classes: .*now .*\[3\]/, "--classes", 3);
      await refuses(/made differently \(times: /, "--steps", 2);
      const other = join(folder, "other.safetensors");
      await saveModel(other, randomModel({ ...TINY, depth: 2 }));
      await refuses(/made differently \(by another model\)/, "--checkpoint", other);
      await Deno.remove(join(out, "samples.json"));
      await refuses(/holds 000000\.png already, but no samples\.json/);
      assert.deepEqual(await made("--seeds", "0-5", "--overwrite", "--guidance", 2), [6, 0, 6]);
      assert.notDeepEqual(Deno.readFileSync(join(out, "000003.png")), third);
    }),
);

for (const extension of ["npz", "zip", "safetensors", "png"]) {
  Deno.test(
    `a stopped run goes on behind what it has: .${extension}`,
    () =>
      withRun(async (folder, model) => {
        const [whole, out] = ["whole", "part"].map((name) => join(folder, `${name}.${extension}`));
        const command = [...common(model), "--seeds", "3-12", "--batch", "2"];
        await succeed(...command, "--out", whole);
        // What a run leaves that was stopped in its third batch.
        const journal = join(folder, `.part.${extension}.partial`);
        const [stop, stderr] = [new AbortController(), memorySink()];
        const job = await prepareJob(
          parseVerb(sample, [...command, "--out", out].map(String)) as SampleArgs,
          new Terminal({ stderr, quiet: true }),
        );
        const device = await openDevice({ device: kind });
        const watched = new Terminal({ stderr, quiet: true });
        let steps = 0;
        watched.progress = () => ({
          update: () => {
            if (++steps === 3) stop.abort();
          },
          clear: () => {},
          finish: () => {},
        });
        await assert.rejects(generateAndWrite(job, device, watched, stop.signal));
        device.close();
        assert.deepEqual(await names(folder), [
          `.part.${extension}.partial`,
          "run",
          `whole.${extension}`,
        ]);
        const { size } = await Deno.stat(journal);
        // A half written batch, as of a machine that lost its power.
        using file = await Deno.open(journal, { append: true });
        await file.write(Uint8Array.of(2, 0, 0, 0, 1, 2, 3));

        const refused = await run(...command, "--out", out, "--guidance", 3);
        assert.equal(refused.code, 2, refused.stderr);
        assert.match(refused.stderr, /made differently \(guidance: 1, now 3\)/);
        assert.equal((await Deno.stat(journal)).size, size + 7);
        await succeed(...command, "--out", out);
        assert.deepEqual(Deno.readFileSync(out), Deno.readFileSync(whole));
        assert.deepEqual(await names(folder), [`part.${extension}`, "run", `whole.${extension}`]);
      }),
  );
}

Deno.test(
  "parts of a set, merged, are the file of one process",
  () =>
    withRun(async (folder, model) => {
      for (const extension of ["npz", "zip", "safetensors"]) {
        const at = (name: string) => join(folder, `${name}.${extension}`);
        const command = [...common(model), "--seeds", "3-12,40"];
        await succeed(...command, "--out", at("whole"));
        for (const shard of ["2/3", "3/3", "1/3"]) {
          await succeed(...command, "--out", at("a"), "--shard", shard);
        }
        const parts = [3, 1, 2].map((index) => at(`a.${index}-of-3`));
        const merge = async (...args: string[]) => {
          const [stdout, stderr] = [memorySink(), memorySink()];
          const code = await main(["sample", "merge", ...args], { stdout, stderr });
          return { code, stderr: stderr.text };
        };
        const { code, stderr } = await merge(...parts, "--out", at("merged"));
        assert.equal(code, 0, stderr);
        assert.deepEqual(
          Deno.readFileSync(at("merged")),
          Deno.readFileSync(at("whole")),
          extension,
        );

        const refuses = async (message: RegExp, expected: number, ...args: string[]) => {
          const found = await merge(...args);
          assert.match(found.stderr, message);
          assert.equal(found.code, expected);
        };
        await refuses(/there already; give --overwrite/, 2, ...parts, "--out", at("merged"));
        await refuses(/part 2 of 3 is missing/, 2, parts[0], parts[1], "--out", at("b"));
        await refuses(/part 3 of 3 was given twice/, 2, ...parts, parts[0], "--out", at("b"));
        await refuses(/not named like a part/, 2, at("whole"), "--out", at("b"));
        await succeed(
          ...command,
          "--out",
          at("a"),
          "--shard",
          "2/3",
          "--guidance",
          2,
          "--overwrite",
        );
        await refuses(
          /2-of-3.* other settings or another model.*\(guidance: 1, now 2\)/,
          1,
          ...[...parts, "--out", at("b")],
        );
        // A part of another set: some images would be missing, and others there twice.
        const more = [...common(model), "--seeds", "0-20", "--out", at("a"), "--shard", "2/3"];
        await succeed(...more, "--overwrite");
        await refuses(
          /2-of-3.* is of the set with the seeds 0-20, but .*1-of-3.* with 3-12,40/,
          1,
          ...[...parts, "--out", at("b")],
        );
        await Deno.copyFile(at("a.1-of-3"), at("a.2-of-3"));
        await refuses(/2-of-3.* is part 1\/3 of its set/, 1, ...parts, "--out", at("b"));
        await refuses(/what is read/, 2, ...parts, "--out", parts[0], "--overwrite");
      }
    }),
);

Deno.test(
  "a file of other settings is replaced only when asked, and of the same ones always",
  () =>
    withRun(async (folder, model) => {
      for (const extension of ["png", "npz", "zip", "safetensors"]) {
        const out = join(folder, `a.${extension}`);
        const command = [...common(model), "--out", out, "--seeds", "0-3"];
        await succeed(...command);
        const made = Deno.readFileSync(out);
        await succeed(...command);
        assert.deepEqual(Deno.readFileSync(out), made);
        const refuses = async (message: RegExp, ...args: string[]) => {
          const { code, stderr } = await run(...command, ...args);
          assert.match(stderr, message);
          assert.equal(code, 2);
          assert.deepEqual(Deno.readFileSync(out), made);
        };
        await refuses(/made differently \(seeds: "0-3", now "0-4"\)/, "--seeds", "0-4");
        await refuses(/made differently \(guidance: 1, now 2\)/, "--guidance", "2");
        await succeed(...command, "--guidance", "2", "--overwrite");
        assert.notDeepEqual(Deno.readFileSync(out), made);
        await Deno.writeTextFile(out, "something of mine");
        const own = await run(...command);
        assert.match(own.stderr, /is there already; give --overwrite/);
        assert.equal(Deno.readTextFileSync(out), "something of mine");
      }
      const weights = join(model, "model.safetensors");
      const before = Deno.readFileSync(weights);
      const { stderr } = await run(...common(model), "--out", weights, "--overwrite");
      assert.match(stderr, /what is read/);
      assert.deepEqual(Deno.readFileSync(weights), before);
    }),
);

Deno.test(
  "parts in one folder are the folder of one process",
  () =>
    withRun(async (folder, model) => {
      const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
      const command = [...common(model), "--seeds", "0-6", "--classes", "random"];
      await succeed(...command, "--out", whole);
      for (const shard of ["2/2", "1/2"]) {
        await succeed(...command, "--out", parts, "--shard", shard);
      }
      assert.deepEqual(await names(parts), await names(whole));
      for (const name of await names(whole)) {
        assert.deepEqual(
          Deno.readFileSync(join(parts, name)),
          Deno.readFileSync(join(whole, name)),
        );
      }
      const empty = await run(...command, "--out", parts, "--shard", "1/9");
      assert.equal(empty.code, 2);
      assert.match(empty.stderr, /--shard 1\/9 is empty: there are 7 images/);
    }),
);

/** Samples of a command that writes safetensors. */
async function samplesOf(folder: string, ...args: (string | number)[]) {
  const out = join(folder, "out.safetensors");
  await succeed(...args, "--out", out, "--overwrite");
  using file = await openSafetensors(out);
  return (await file.read("samples")).toFloat32();
}

Deno.test(
  "a trajectory begins with the noise and ends with the image",
  () =>
    withRun(async (folder, model) => {
      const command = ["--checkpoint", model, "--device", kind, "-q", "--seeds", "4,9,2"];
      const images = await samplesOf(folder, ...command, "--steps", 3);
      const first = await samplesOf(folder, ...command, "--steps", 3, "--trajectory", "--batch", 2);
      const size = 48;
      assert.equal(first.length, 3 * 4 * size);
      const frame = (image: number, step: number) =>
        first.slice((image * 4 + step) * size, (image * 4 + step + 1) * size);
      const noise = latents([4, 9, 2], size, 0.5);
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(frame(i, 0), noise.slice(i * size, (i + 1) * size));
        assert.deepEqual(frame(i, 3), images.slice(i * size, (i + 1) * size));
        assert.notDeepEqual(frame(i, 2), frame(i, 3));
      }
      const out = join(folder, "way.png");
      await succeed(...command, "--steps", 3, "--trajectory", "--out", out);
      const { width, height } = decodePng(await Deno.readFile(out), "way");
      assert.deepEqual([width, height], [(4 * 5 + 1) * 8, (3 * 5 + 1) * 8]);
    }),
);

Deno.test(
  "an interpolation goes from the image of one seed to that of another",
  () =>
    withRun(async (folder, model) => {
      const command = [...common(model), "--classes", 1];
      const ends = await samplesOf(folder, ...command, "--seeds", "3,17,5");
      const rows = await samplesOf(
        folder,
        ...command,
        ...["--interpolate", "3,17", "--interpolate", "17,5", "--frames", 4],
      );
      const size = 48;
      const at = (all: Float32Array, n: number) => all.slice(n * size, (n + 1) * size);
      assert.equal(rows.length, 8 * size);
      const expected = [[0, 0], [3, 1], [4, 1], [7, 2]];
      for (const [row, end] of expected) assert.deepEqual(at(rows, row), at(ends, end));
      assert.notDeepEqual(at(rows, 1), at(rows, 0));
    }),
);

Deno.test("a dry run tells what sampling takes and what it will write, and writes nothing", () =>
  withRun(async (folder, model) => {
    const command = ["--checkpoint", model, "--seeds", "0-9", "--batch", "4", "--device", "wasm"];
    const dry = async (...args: (string | number)[]) =>
      JSON.parse(await succeed(...command, "--dry-run", "--json", ...args));
    const plan = await dry("--guidance", "1,2");
    assert.deepEqual([plan.count, plan.batch, plan.networkCalls], [10, 4, 3]);
    assert.deepEqual(plan.times.length, 3);
    assert.equal(plan.deviceBytes, plan.weightBytes + plan.scratchBytes);
    assert.equal(plan.output, null);
    assert.ok(plan.seconds > 0 && plan.seconds < 60, `${plan.seconds}`);
    assert.match(await succeed(...command, "--dry-run", "--guidance", "2"), / GFLOP in 4 network/);

    // What it says of files is what they are.
    for (const name of ["a.npz", "a.safetensors", "a.zip", "a.png", "pictures", "grids"]) {
      const out = join(folder, name);
      const more = ["--out", out, ...(name === "grids" ? ["--format", "class-grids"] : [])];
      const before = await names(folder);
      const { output } = await dry(...more);
      assert.deepEqual(await names(folder), before, name);
      await succeed(...command, ...more, "-q");
      const files = (await Deno.stat(out)).isFile
        ? [out]
        : (await names(out)).filter((file) => file.endsWith("png")).map((file) => join(out, file));
      assert.equal(files.length, output.files, name);
      const bytes = files.reduce((sum, file) => sum + Deno.statSync(file).size, 0);
      assert.ok(
        bytes <= output.bytes && bytes > output.bytes / 20,
        `${name}: ${bytes} of ${output.bytes}`,
      );
      if (name === "a.png") {
        const { width, height } = decodePng(await Deno.readFile(out), name);
        assert.deepEqual(output.pixels, [width, height]);
      }
    }
    const text = await succeed(...command, "--dry-run", "--out", join(folder, "pictures"));
    assert.match(text, /^images: 0 of 4 x 4 x 3; 10 are there already$/m);
    assert.match(text, /^time: none, all images are there$/m);
    const other = await run(...command, "--dry-run", "--out", join(folder, "a.npz"), "--steps", 1);
    assert.match(other.stderr, /made differently/);
    const rows = await succeed(...command, "--dry-run", "--steps", 3, "--trajectory");
    assert.match(rows, /^images: 10 of 4 x 4 x 3, each as a row of 4$/m);
  }));

Deno.test(
  "class grids are one picture for each class",
  () =>
    withRun(async (folder, model) => {
      const out = join(folder, "grids");
      const command = [...common(model), "--seeds", "0-5", "--format", "class-grids"];
      await succeed(...command, "--classes", "2,0,1", "--columns", 2, "--out", out);
      assert.deepEqual(await names(out), [
        "class-0.png",
        "class-1.png",
        "class-2.png",
        "samples.json",
      ]);
      const { width, height } = decodePng(await Deno.readFile(join(out, "class-2.png")), "2");
      assert.deepEqual([width, height], [(2 * 5 + 1) * 8, (1 * 5 + 1) * 8]);
    }),
);

Deno.test(
  "classes have their names: asked for, in names of grids, and in what an evaluation reads",
  () =>
    withTempFolder(async (folder) => {
      const classNames = ["cat", "guinea pig", "dog/wolf", "1"];
      const model = join(folder, "model.safetensors");
      await saveModel(model, { ...livelyModel(), classNames });
      const [grids, npz, png] = ["grids", "a.npz", "a.png"].map((name) => join(folder, name));
      const command = [...common(model), "--seeds", "0-5"];
      const asked = ["--classes", "guinea pig,dog/wolf"];
      await succeed(...command, ...asked, "--format", "class-grids", "--out", grids);
      assert.deepEqual(await names(grids), [
        "class-1-guinea_pig.png",
        "class-2-dog_wolf.png",
        "samples.json",
      ]);
      await succeed(...command, ...asked, "--out", npz);
      using dataset = await openDataset(npz);
      assert.deepEqual(dataset.labelNames, classNames);
      assert.deepEqual([0, 1, 2, 3].map((i) => dataset.label(i)), [1, 2, 1, 2]);
      const grid = await run(...command.filter((arg) => arg !== "-q"), ...asked, "--out", png);
      assert.match(grid.stderr, /^columns: guinea pig, dog\/wolf$/m);
      const wrong = await run(...command, "--classes", "gunea pig", "--out", join(folder, "b.png"));
      assert.match(wrong.stderr, /no class "gunea pig"; did you mean "guinea pig"/);
      const two = await run(...command, "--classes", "1", "--out", join(folder, "b.png"));
      assert.match(two.stderr, /number of the class "guinea pig" and the name of class 3/);
    }),
);

Deno.test(
  "presets sample as the public release does, and options win over them",
  () =>
    withRun(async (folder, model) => {
      const plan = async (...args: (string | number)[]) => {
        const out = join(folder, "a.npz");
        const base = ["--checkpoint", model, "--device", kind, "--seeds", "0-1", "--overwrite"];
        const found = JSON.parse(await succeed(...base, "--out", out, "--json", "-q", ...args));
        return [found.schedule, found.steps, found.guidance, found.classes];
      };
      assert.deepEqual(await plan(), ["uniform", 2, 1, "all"]);
      assert.deepEqual(await plan("--preset", "cifar10"), ["eta:1.4", 2, 1, "all"]);
      assert.deepEqual(await plan("--preset", "cifar10", "--steps", 1), ["uniform", 1, 1, "all"]);
      const imagenet = ["--preset", "imagenet256"];
      assert.deepEqual(await plan(...imagenet), ["uniform", 8, 1.5, "random"]);
      assert.deepEqual(
        await plan(...imagenet, "--steps", 4, "--guidance", 1.25, "--classes", 2),
        ["uniform", 4, 1.25, "2"],
      );
    }),
);

/** Arguments that are wrong, the exit code and what the error says. */
const WRONG: readonly [string[], number, RegExp][] = [
  [["--checkpoint", "RUN"], 2, /needs --out PATH, or --show/],
  [["--out", "OUT.npz"], 2, /needs --checkpoint RUN\|FILE/],
  [["--checkpoint", "RUN", "--out", "OUT.jpg"], 2, /OUT\.jpg: expected a name that ends in/],
  [["--checkpoint", "no", "--out", "OUT.npz"], 1, /no does not exist/],
  [["--checkpoint", "EMPTY", "--out", "OUT.npz"], 1, /EMPTY has no model\.safetensors/],
  [
    ["--checkpoint", "OTHER", "--out", "OUT.npz"],
    1,
    /OTHER.* without the description of a model.*imm convert/,
  ],
  [["--checkpoint", "TEXT", "--out", "OUT.npz"], 1, /TEXT/],
  [["--checkpoint", "RUN", "--out", "no/OUT.npz"], 2, /no of --out does not exist; create it/],
  [["--checkpoint", "RUN", "--out", "TEXT", "--format", "folder"], 2, /TEXT is a file/],
  [["--checkpoint", "RUN", "--out", "OUT", "--classes", "4"], 2, /no class 4: .* classes 0 to 3/],
  [["--checkpoint", "PLAIN", "--out", "OUT", "--classes", "0"], 2, /the model has no classes/],
  [["--checkpoint", "PLAIN", "--out", "OUT", "--guidance", "2"], 2, /has no classes, which --gui/],
  [
    ["--checkpoint", "RUN", "--out", "OUT", "--classes", "none", "--guidance", "3"],
    2,
    /--guidance leads towards the classes of images, but --classes is none/,
  ],
  [["--checkpoint", "RUN", "--out", "OUT", "--guidance", "1,x"], 2, /--guidance expects numbers/],
  [["--checkpoint", "RUN", "--out", "OUT", "--guidance", "1,2,3"], 2, /one weight or 2/],
  [["--checkpoint", "RUN", "--out", "OUT", "--schedule", "cosine"], 2, /--schedule expects unif/],
  [["--checkpoint", "RUN", "--out", "OUT", "--schedule", "eta:0.5,1.4"], 2, /etas .* must fall/],
  [
    ["--checkpoint", "RUN", "--out", "OUT", "--schedule", "eta:1.4", "--steps", "3"],
    2,
    /makes 2 steps, but --steps is 3/,
  ],
  [["--checkpoint", "RUN", "--out", "OUT", "--steps", "0"], 2, /--steps must be between 1 and/],
  [["--checkpoint", "RUN", "--out", "OUT", "--seeds", "9-3"], 2, /--seeds expects/],
  [["--checkpoint", "RUN", "--out", "OUT", "--seeds", "1,2,1"], 2, /--seeds names 1 twice/],
  [["--checkpoint", "RUN", "--out", "OUT", "--shard", "4/3"], 2, /part from 1\/3 to 3\/3/],
  [["--checkpoint", "RUN", "--out", "OUT.png", "--shard", "1/3"], 2, /parts of a picture/],
  [["--checkpoint", "RUN", "--out", "OUT", "--trajectory"], 2, /--trajectory makes rows/],
  [["--checkpoint", "RUN", "--out", "OUT", "--frames", "3"], 2, /without --interpolate/],
  [["--checkpoint", "RUN", "--out", "OUT", "--latents-scale", "3"], 2, /without --latents/],
  [["--checkpoint", "RUN", "--out", "OUT.npz", "--columns", "3"], 2, /without a grid/],
  [["--checkpoint", "RUN", "--out", "OUT", "--interpolate", "3-7"], 2, /two seeds as in 3,17/],
  [
    ["--checkpoint", "RUN", "--out", "OUT", "--interpolate", "3,7", "--seeds", "1"],
    2,
    /--interpolate and --seeds do not go together/,
  ],
  [
    ["--checkpoint", "PLAIN", "--out", "OUT", "--preset", "imagenet256"],
    2,
    /guides by classes, but the model has none/,
  ],
  [["--checkpoint", "RUN", "--out", "OUT", "--latents", "no.npz"], 1, /no\.npz does not exist/],
  [["--checkpoint", "RUN", "--out", "OUT", "--latents", "NOISE.npz"], 1, /expected latents of/],
];

Deno.test("wrong arguments are one sentence, and nothing is written", () =>
  withRun(async (folder, model) => {
    const at = (name: string) => join(folder, name);
    const { network } = randomModel({ ...TINY, labelDim: 0 });
    await saveModel(at("PLAIN"), randomModel(network));
    await Deno.mkdir(at("EMPTY"));
    await Deno.writeTextFile(at("TEXT"), "This is not a model.");
    const vector = { dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
    await writeSafetensors(at("OTHER"), new Map([["weight", vector]]));
    const noise = { type: "f32", shape: [2, 5, 5, 3], data: new Float32Array(150) } as const;
    await writeNpz(at("NOISE.npz"), [["arr_0", noise]]);
    const before = await names(folder);
    for (const [args, code, message] of WRONG) {
      const paths = args.map((arg, i) =>
        arg === "RUN" ? model : /^--(checkpoint|out|latents)$/.test(args[i - 1]) ? at(arg) : arg
      );
      const found = await run(...paths);
      assert.equal(found.code, code, `${args.join(" ")}: ${found.stderr}`);
      assert.match(found.stderr, message);
      assert.match(found.stderr, /^error: [^\n]+\n$/, "one line");
      assert.equal(found.stdout, "");
      assert.deepEqual(await names(folder), before, args.join(" "));
    }
  }));

Deno.test("without an adapter --device webgpu says what to install, and nothing is written", () =>
  withRun(async (folder, model) => {
    const env = { DENO_WEBGPU_BACKEND: "none", VK_DRIVER_FILES: "/no/such.json" };
    const out = join(folder, "a.npz");
    const args = ["sample", "--checkpoint", model, "--device", "webgpu", "--out", out];
    const { code, stdout, stderr } = await imm(args, { env });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /error: expected a WebGPU adapter but found none; install/);
    assert.deepEqual(await names(folder), ["run"]);
  }));

Deno.test(
  "a model whose weights do not fit its network is refused",
  () =>
    withTempFolder(async (folder) => {
      const model = randomModel(TINY);
      const path = join(folder, "model.safetensors");
      model.weights.delete([...model.weights.keys()][3]);
      await saveModel(path, model);
      const { code, stderr } = await run(
        ...["--checkpoint", path, "--device", kind, "--out", join(folder, "a.npz")],
      );
      assert.equal(code, 1);
      assert.match(stderr, /model\.safetensors: expected the \d+ tensors .* it lacks/);
      assert.deepEqual(await names(folder), ["model.safetensors"]);
    }),
);
