/** Models of latents whose samples are decoded: `imm sample` and `imm eval` with `--decoder`. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { verb as sample } from "../../cli/sample/sample.ts";
import { prepareJob, type SampleArgs } from "../../cli/sample/job.ts";
import { generateAndWrite } from "../../cli/sample/run.ts";
import { Terminal } from "../../cli/base/terminal.ts";
import { parseVerb } from "../../cli/base/verb.ts";
import { latentNote } from "../../lib/data/latents/note.ts";
import { openDevice } from "../../lib/device/open.ts";
import { NpzFile } from "../../lib/formats/arrays/npz.ts";
import { decodePng } from "../../lib/formats/image/png.ts";
import { openSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { decodeRgb } from "../../lib/base/bytes.ts";
import { loadModel, type Model, saveModel } from "../../lib/models/model_file.ts";
import { decoded, decoderModel } from "../support/examples/decoder.ts";
import { withTempFolder } from "../support/files.ts";
import { randomModel } from "../support/examples/models.ts";
import { imm } from "../support/examples/runs.ts";
import { memorySink } from "../support/cli/sink.ts";

/** A transformer of one block for latents of 4 x 4: a handful of kernels. */
const TINY = {
  type: "dit",
  imgResolution: 4,
  imgChannels: 4,
  labelDim: 3,
  hiddenSize: 16,
  depth: 1,
  numHeads: 2,
  timeChannels: 16,
} as const;

const NORMALIZATION = { mean: [0.5, -0.25, 0.125, 1], std: [4, 2, 3, 1], finalStd: 0.5 };
const NOTES = { latents: latentNote(NORMALIZATION) };
const SIZE = 4 * 4 * 4;

/** Weights that begin as zeros would let no class and no time through. */
function lively(model: Model): Model {
  for (const { data } of model.weights.values()) {
    if (data.every((value) => value === 0)) data.forEach((_, i) => data[i] = 0.3 * Math.sin(7 * i));
  }
  return model;
}

interface Files {
  readonly folder: string;
  readonly model: string;
  readonly decoder: string;
}

/** Runs `body` with a model of latents and a decoder that makes pictures of 8 x 8 of them. */
function withFiles(body: (files: Files) => Promise<void>): Promise<void> {
  return withTempFolder(async (folder) => {
    const [model, decoder] = ["latents.safetensors", "vae.onnx"].map((name) => join(folder, name));
    await saveModel(model, { ...lively(randomModel(TINY)), notes: NOTES });
    await Deno.writeFile(decoder, decoderModel());
    await body({ folder, model, decoder });
  });
}

const common = (model: string) => ["sample", "--checkpoint", model, "--device", "wasm", "--quiet"];

async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await imm(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Samples in a file that `imm sample` wrote. */
async function samplesIn(path: string): Promise<Float32Array> {
  using file = await openSafetensors(path);
  return (await file.read("samples")).toFloat32();
}

Deno.test("latents are decoded to files of every form, in batches of any size", () =>
  withFiles(async ({ folder, model, decoder }) => {
    const at = (name: string) => join(folder, name);
    const command = [...common(model), "--seeds", "3-7"];
    await succeed(...command, "--out", at("latents.safetensors.safetensors"));
    const latents = await samplesIn(at("latents.safetensors.safetensors"));
    assert.equal(latents.length, 5 * SIZE);
    const decoding = [...command, "--decoder", decoder];

    await succeed(...decoding, "--out", at("pictures.safetensors"));
    const pictures = await samplesIn(at("pictures.safetensors"));
    const { mean, std, finalStd } = NORMALIZATION;
    const expected = [0, 1, 2, 3, 4].flatMap((n) => {
      const own = [...latents.subarray(n * SIZE, (n + 1) * SIZE)];
      return decoded(own.map((x, i) => x / finalStd * std[i % 4] + mean[i % 4]), 4);
    });
    assert.equal(pictures.length, expected.length);
    expected.forEach((value, i) => assert(Math.abs(pictures[i] - value) < 2e-6, `${i}`));
    assert(Math.max(...expected) - Math.min(...expected) > 0.5, "the pictures are grey");

    const pixels = decodeRgb(pictures);
    await succeed(...decoding, "--out", at("a.npz"));
    await succeed(...decoding, "--batch", "2", "--out", at("b.npz"));
    assert.deepEqual(Deno.readFileSync(at("a.npz")), Deno.readFileSync(at("b.npz")));
    {
      using file = await NpzFile.open(at("a.npz"));
      const array = await file.array("arr_0");
      assert.deepEqual([array.type, array.shape], ["u8", [5, 8, 8, 3]]);
      assert.deepEqual(array.rows(0, 5).bytes, pixels);
    }
    const result = JSON.parse(await succeed(...decoding, "--out", at("folder/"), "--json"));
    assert.deepEqual([result.count, result.decoder], [5, decoder]);
    const third = decodePng(Deno.readFileSync(at("folder/000005.png")), "third");
    assert.deepEqual([third.width, third.height, third.channels], [8, 8, 3]);
    assert.deepEqual(third.data, pixels.slice(2 * 192, 3 * 192));
    const grid = async (...more: string[]) => {
      await succeed(...decoding, "--out", at("grid.png"), "--overwrite", ...more);
      const { width, height } = decodePng(Deno.readFileSync(at("grid.png")), "grid");
      return [width, height];
    };
    // Enlarged four times, with a pixel between: three classes make three columns.
    assert.deepEqual(await grid(), [3 * 36 + 4, 2 * 36 + 4]);
    assert.deepEqual(await grid("--trajectory", "--steps", "3"), [4 * 36 + 4, 5 * 36 + 4]);

    // A folder goes on with the same decoder only.
    const other = at("other.onnx");
    await Deno.writeFile(other, decoderModel({ input: [1, 4, 4, 4] }));
    const refused = await imm(...command, "--decoder", other, "--out", at("folder/"));
    assert.deepEqual([refused.code, /made differently \(decoder:/.test(refused.stderr)], [2, true]);
  }));

Deno.test("parts of a decoded set, and a run that was stopped, make the same file", () =>
  withFiles(async ({ folder, model, decoder }) => {
    const at = (name: string) => join(folder, name);
    const command = [...common(model), "--decoder", decoder, "--seeds", "0-6"];
    await succeed(...command, "--out", at("whole.npz"));
    const whole = Deno.readFileSync(at("whole.npz"));
    for (const shard of ["1/2", "2/2"]) {
      await succeed(...command, "--shard", shard, "--out", at("part.npz"));
    }
    const parts = ["part.1-of-2.npz", "part.2-of-2.npz"].map(at);
    await succeed("sample", "merge", ...parts, "--out", at("merged.npz"));
    assert.deepEqual(Deno.readFileSync(at("merged.npz")), whole);

    // Stopped when the third picture of the only batch is there.
    const stopped = [...command.slice(1), "--out", at("stopped.npz")];
    const stop = new AbortController();
    const terminal = new Terminal({ stderr: memorySink(), quiet: true });
    const job = await prepareJob(parseVerb(sample, stopped) as SampleArgs, terminal);
    terminal.progress = () => ({
      update: (done) => done === 3 && stop.abort(),
      clear: () => {},
      finish: () => {},
    });
    const device = await openDevice({ device: "wasm", threads: 1 });
    await assert.rejects(generateAndWrite(job, device, terminal, stop.signal));
    device.close();
    await job.decoder![Symbol.asyncDispose]();
    const seen: number[] = [];
    terminal.progress = (_, total, __, done) => {
      seen.push(total, done ?? 0);
      return { update: () => {}, clear: () => {}, finish: () => {} };
    };
    const again = await prepareJob(parseVerb(sample, stopped) as SampleArgs, terminal);
    const other = await openDevice({ device: "wasm", threads: 1 });
    await generateAndWrite(again, other, terminal, new AbortController().signal);
    other.close();
    await again.decoder![Symbol.asyncDispose]();
    assert.deepEqual(seen, [7, 3]);
    assert.deepEqual(Deno.readFileSync(at("stopped.npz")), whole);
  }));

Deno.test("imm eval scores what a decoder makes, as of the same pictures in a file", () =>
  withFiles(async ({ folder, model, decoder }) => {
    const at = (name: string) => join(folder, name);
    await succeed(
      ...[...common(model), "--decoder", decoder, "--seeds", "0-19", "--out", at("samples.npz")],
    );
    const evaluation = async (...args: string[]) =>
      JSON.parse(
        await succeed(
          ...["eval", ...args, "--reference", at("samples.npz"), "--extractor", "pixels"],
          ...["--metrics", "fd", "--json", "--quiet"],
        ),
      );
    const checkpoint = ["--checkpoint", model, "--device", "wasm", "--num", "20"];
    const made = await evaluation(
      ...[...checkpoint, "--decoder", decoder, "--save-samples", at("kept.npz")],
    );
    assert(made.values.fd < 1e-3, `${made.values.fd}`);
    assert.match(made.inputs.samples.decoder.sha256, /^[0-9a-f]{64}$/);
    for (const name of ["arr_0", "arr_1"]) {
      using kept = await NpzFile.open(at("kept.npz"));
      using samples = await NpzFile.open(at("samples.npz"));
      const [found, expected] = [await kept.array(name), await samples.array(name)];
      assert.deepEqual(found.read().bytes, expected.read().bytes, name);
    }
    const dark = await evaluation(...checkpoint, "--decoder", decoder, "--decoder-range", "unit");
    assert(dark.values.fd > 100 * made.values.fd, "another range, the same pictures");

    const without = await imm("eval", ...checkpoint, "--reference", at("samples.npz"));
    assert.equal(without.code, 2);
    assert.match(
      without.stderr,
      /only pictures can be evaluated, which --decoder FILE\.onnx makes/,
    );
    const useless = await imm("eval", at("samples.npz"), "--metrics", "fd", "--decoder", decoder);
    assert.equal(useless.code, 2);
    assert.match(useless.stderr, /--decoder says how a model makes images/);
  }));

Deno.test("what does not go together is told, with what to do", () =>
  withFiles(async ({ folder, model, decoder }) => {
    const at = (name: string) => join(folder, name);
    const pictures = at("pictures.safetensors");
    await saveModel(pictures, randomModel({ ...TINY, imgChannels: 3 }));
    const silent = at("silent.safetensors");
    await saveModel(silent, randomModel(TINY));
    const three = at("three.safetensors");
    await saveModel(three, {
      ...randomModel({ ...TINY, imgChannels: 3 }),
      notes: { latents: latentNote({ mean: [0, 0, 0], std: [1, 1, 1], finalStd: 0.5 }) },
    });
    const [text, large] = [at("text.onnx"), at("large.onnx")];
    await Deno.writeTextFile(text, "oops");
    await Deno.writeFile(large, decoderModel({ input: ["N", 4, 32, 32] }));
    const png = ["--out", at("out.png")];
    const before = [...Deno.readDirSync(folder)].length;
    for (
      const [code, pattern, args] of [
        [2, /are not grey or colour.*make pictures of latents with --decoder/, [model, ...png]],
        [2, /--show needs .* of latents, --decoder FILE\.onnx makes them/, [model, "--show"]],
        [2, /makes pictures, not latents; leave out --decoder/, [pictures, ...png, decoder]],
        [1, /does not note how .*imm convert .* --latents imm --out/, [silent, ...png, decoder]],
        [2, /latents with 3 channels, which are not colours; give --decoder/, [three, ...png]],
        [1, /text\.onnx cannot be run/, [model, ...png, text]],
        [1, /decodes latents of \[N, 4, 32, 32\], but .*dynamic axes/, [model, ...png, large]],
        [1, /none\.onnx does not exist/, [model, ...png, at("none.onnx")]],
        [2, /give it with --decoder/, [model, ...png, "--decoder-range", "unit"]],
      ] as const
    ) {
      const [checkpoint, ...rest] = args as readonly string[];
      const more = rest.flatMap((arg) => arg.endsWith(".onnx") ? ["--decoder", arg] : [arg]);
      const found = await imm(...common(checkpoint), ...more);
      assert.match(found.stderr, pattern);
      assert.equal(found.code, code, found.stderr);
    }
    assert.equal([...Deno.readDirSync(folder)].length, before);

    // The way out that a message shows.
    const noted = at("noted.safetensors");
    await succeed("convert", silent, "--latents", "imm", "--out", noted, "--quiet");
    const { notes } = await loadModel(noted);
    assert.equal(JSON.parse(notes.latents).finalStd, 0.5);
    await succeed(...common(noted), "--decoder", decoder, "--seeds", "0-1", ...png);
    for (const latents of ["sd", '{"mean":[0],"std":[1]}']) {
      const wrong = await imm(
        "convert",
        silent,
        "--latents",
        latents,
        "--out",
        at("x.safetensors"),
      );
      assert.notEqual(wrong.code, 0);
      assert.match(wrong.stderr, /--latents: expected imm, edm2|have 4 channels, .* are 1 means/);
    }
  }));
