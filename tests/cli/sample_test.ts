/** `imm sample` with tiny models of random weights. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@^1";
import { main } from "../../cli/main.ts";
import { writeNpz } from "../../lib/format/npz.ts";
import { decodePng } from "../../lib/format/png.ts";
import { openSafetensors, writeSafetensors } from "../../lib/format/safetensors.ts";
import { latents } from "../../lib/imm/mod.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { availableDevices } from "../support/devices.ts";
import { withTempFolder } from "../support/files.ts";
import { imm } from "../support/imm.ts";
import { randomModel } from "../support/models.ts";
import { memorySink } from "../support/sink.ts";

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

/** Runs `body` with a folder in which the folder `run` holds a model. */
function withRun(body: (folder: string, model: string) => Promise<void>): Promise<void> {
  return withTempFolder(async (folder) => {
    const model = join(folder, "run");
    await Deno.mkdir(model);
    await saveModel(join(model, "model.safetensors"), randomModel(TINY));
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
const sampling = { ignore: kind === undefined };

Deno.test(
  "the result says what was done, as JSON on standard output alone",
  sampling,
  () =>
    withRun(async (folder, model) => {
      const out = join(folder, "grid.png");
      const { code, stdout, stderr } = await runJson(model, out);
      assert.equal(code, 0, stderr);
      const result = JSON.parse(stdout);
      assert.equal(result.out, out);
      assert.equal(result.format, "grid");
      assert.equal(result.files, 1);
      assert.equal(result.images, 6);
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
  sampling,
  () =>
    withRun(async (folder, model) => {
      const command = ["--checkpoint", join(model, "model.safetensors"), "--device", kind, "-q"];
      const [all, one] = [join(folder, "all"), join(folder, "one")];
      await succeed(...command, "--seeds", "2-5", "--out", all);
      await succeed(...command, "--seeds", "4", "--out", one);
      assert.deepEqual(await names(all), ["000002.png", "000003.png", "000004.png", "000005.png"]);
      assert.deepEqual(await names(one), ["000004.png"]);
      const picture = (folder: string) => Deno.readFileSync(join(folder, "000004.png"));
      assert.deepEqual(picture(one), picture(all));
      assert.notDeepEqual(Deno.readFileSync(join(all, "000005.png")), picture(all));
    }),
);

Deno.test(
  "latents from a file take the place of those of the seeds",
  sampling,
  () =>
    withRun(async (folder, model) => {
      const samples = async (...args: (string | number)[]) => {
        const out = join(folder, "out.safetensors");
        const command = ["--checkpoint", model, "--device", kind, "--out", out];
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

/** Arguments that are wrong, the exit code and what the error says. */
const WRONG: readonly [string[], number, RegExp][] = [
  [["--checkpoint", "RUN"], 2, /needs --out PATH, or --show/],
  [["--out", "OUT.npz"], 2, /needs --checkpoint RUN\|FILE/],
  [["--checkpoint", "RUN", "--out", "OUT.jpg"], 2, /OUT\.jpg: expected a name that ends in/],
  [["--checkpoint", "no", "--out", "OUT.npz"], 1, /no does not exist/],
  [["--checkpoint", "EMPTY", "--out", "OUT.npz"], 1, /EMPTY has no model\.safetensors/],
  [["--checkpoint", "OTHER", "--out", "OUT.npz"], 1, /OTHER.* has no description of a model/],
  [["--checkpoint", "TEXT", "--out", "OUT.npz"], 1, /TEXT/],
  [["--checkpoint", "RUN", "--out", "no/OUT.npz"], 2, /no does not exist; create it/],
  [["--checkpoint", "RUN", "--out", "TEXT", "--format", "folder"], 2, /TEXT is a file/],
  [["--checkpoint", "RUN", "--out", "OUT", "--classes", "4"], 2, /no class 4: .* classes 0 to 3/],
  [["--checkpoint", "PLAIN", "--out", "OUT", "--classes", "0"], 2, /the model has no classes/],
  [["--checkpoint", "PLAIN", "--out", "OUT", "--guidance", "2"], 2, /has no classes, which --gui/],
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
  sampling,
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
