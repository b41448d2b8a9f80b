/** What stands in the place of a file, and files and folders of other kinds, are named. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import { findWeightsFile } from "../../lib/convert/folders.ts";
import { openDataset, openImagesOrLatents } from "../../lib/data/open.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { readReference } from "../../lib/eval/references/files.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { recognizeFile } from "../../lib/formats/recognize/file.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { openFileSource } from "../../lib/formats/source.ts";
import { writeTorch } from "../../lib/formats/torch/writer.ts";
import { findModel, openModel } from "../../lib/models/model_file.ts";
import { withTempFolder } from "../support/files.ts";
import { memorySink } from "../support/cli/sink.ts";
import { fixtures } from "./torch_fixtures.ts";

const LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 230123456\n";

/** In the place of any file, and what is said of it. */
const STAND_INS: readonly (readonly [content: string, message: RegExp])[] = [
  [LFS, /is a pointer of git-lfs to a file of 219 MiB: run "git lfs pull"/],
  ["/annex/objects/SHA256E-s3--ab.pt\n", /is a pointer of git-annex: run "git annex get"/],
  ["../.git/annex/objects/x/y", /is a pointer of git-annex/],
  [
    "\ufeff\n<!DOCTYPE html>\n<html><head><title>Sign in\x1b[2J</title>",
    /is a web page \("Sign in\\x1b\[2J"\): get the file itself again/,
  ],
  ["<html><body>502</body></html>", /is a web page: get/],
  [
    '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
    /is the message of a server \("AccessDenied"\)/,
  ],
  ['{"error":"Repository not found"}', /is the message of a server \("\{"error"/],
  ["Entry not found", /is the message of a server \("Entry not found"\)/],
  ["Invalid username or password.", /is the message of a server/],
];

Deno.test("what stands in the place of a file is named by whatever opens it", async () => {
  await withTempFolder(async (folder) => {
    for (const [content, message] of STAND_INS) {
      const file = (end: string) => join(folder, `x${end}`);
      for (const end of [".pt", ".safetensors", ".npz", ".npy", ".zip", "-images-idx3-ubyte"]) {
        await Deno.writeTextFile(file(end), content);
      }
      const refuses = (work: Promise<unknown>) => assert.rejects(work, message, content);
      await refuses(openFileSource(file(".pt")));
      await refuses(openModel(file(".safetensors")));
      for (const end of [".npz", ".npy", ".zip", "-images-idx3-ubyte", ".safetensors"]) {
        await refuses(openDataset(file(end)));
      }
    }
  });
});

Deno.test("every verb that opens a file says what it found", async () => {
  await withTempFolder(async (folder) => {
    const [file, out] = [join(folder, "x.npz"), join(folder, "out")];
    await Deno.writeTextFile(file, LFS);
    for (
      const args of [
        ["convert", file, "--out", `${out}.safetensors`],
        ["info", file],
        ["sample", "--checkpoint", file, "--out", `${out}.png`],
        ["sample", "--checkpoint", file, "--latents", file, "--out", `${out}.png`],
        ["eval", file, "--reference", "digits", "--extractor", "pixels"],
        ["eval", "digits", "--reference", file, "--extractor", "pixels"],
        ["eval", "--checkpoint", file, "--reference", "digits"],
        ["eval", "stats", file, "--out", `${out}.npz`, "--extractor", "pixels"],
        ["dataset", "info", file],
        ["dataset", "prepare", file, "--out", `${out}.zip`],
        ["train", "--preset", "digits", "--data", file, "--out", out],
      ]
    ) {
      const [stdout, stderr] = [memorySink(), memorySink()];
      const code = await main(args, { stdout, stderr });
      assert.match(stderr.text, /x\.npz is a pointer of git-lfs/, args.join(" "));
      assert.equal(code, 1, args.join(" "));
    }
  });
});

Deno.test("files of other kinds are named, and told what to do with", async () => {
  await withTempFolder(async (folder) => {
    const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
    const content: Record<string, [Uint8Array, RegExp]> = {
      "a.gz": [bytes("\x1f\x8b\x08"), /gzip.*unpack it first/],
      "a.h5": [bytes("\x89HDF\r\n\x1a\n"), /HDF5.*npz/],
      "a.gguf": [bytes("GGUF\x03"), /GGUF/],
      "a.png": [bytes("\x89PNG\r\n"), /a PNG picture/],
      "a.pkl": [fixtures.plain4, /a pickle of Python/],
      "b.pt": [fixtures.torchLegacy, /a pickle of Python, as PyTorch writes it/],
      "c.pt": [fixtures.torchZip, /a checkpoint of PyTorch/],
      "d.pt": [new Uint8Array(0), /empty/],
      "e.pt": [new Uint8Array(1000), /zeros at its beginning/],
      "f.py": [bytes("import torch\nimport os"), /a text \("import torch"\)/],
      "g.json": [bytes('{"a": 1}'), /JSON/],
      "h.tar": [bytes("x".repeat(257) + "ustar"), /a tar archive.*unpack/],
      "i.zip": [bytes("PK\x03\x04 and no more"), /a damaged zip archive/],
    };
    for (const [name, [data, expected]] of Object.entries(content)) {
      await Deno.writeFile(join(folder, name), data);
      const { what, advice } = (await recognizeFile(join(folder, name)))!;
      assert.match(`${what} ${advice}`, expected, name);
    }
    await Deno.writeFile(join(folder, "noise"), Uint8Array.of(0xE0, 1, 2, 3, 0xFF));
    assert.equal(await recognizeFile(join(folder, "noise")), null);
    const npz = join(folder, "a.npz");
    await writeNpz(npz, [["x", { type: "f32", shape: [1], data: new Float32Array(1) }]]);
    assert.match((await recognizeFile(npz))!.what, /numpy/);

    const convert = /: bring it here with "imm convert \S+ --out model\.safetensors"\.$/;
    const pt = join(folder, "model.pt");
    await writeTorch(pt, [["x", { type: "f32", shape: [1], data: new Float32Array(1) }]]);
    for (const path of [pt, npz, join(folder, "b.pt"), join(folder, "a.pkl")]) {
      await assert.rejects(openModel(path), convert);
    }
    await assert.rejects(
      openModel(join(folder, "a.png")),
      /a PNG picture: expected a file written/,
    );
    await assert.rejects(
      openDataset(pt),
      /is a checkpoint of PyTorch, which is no kind of data set/,
    );
    // Where pictures or statistics are expected, weights are told from other arrays.
    const hint = /It holds the weights of a model, of which pictures are made with --checkpoint/;
    const weights = [["a.weight", { type: "f32", shape: [1], data: new Float32Array(1) }]] as const;
    await writeNpz(npz, weights);
    await assert.rejects(openDataset(npz), hint);
    await writeTorch(pt, weights);
    await assert.rejects(readReference(pt), hint);
    const safe = join(folder, "a.safetensors");
    await writeSafetensors(safe, [["a.weight", {
      dtype: "F32",
      shape: [1],
      data: new Float32Array(1),
    }]]);
    await assert.rejects(openImagesOrLatents(safe), hint);
  });
});

Deno.test("folders of other programs are named, and told what to do with", async () => {
  await withTempFolder(async (folder) => {
    const make = async (name: string, files: Record<string, string>) => {
      for (const [file, content] of Object.entries(files)) {
        const path = join(folder, name, file);
        await Deno.mkdir(join(path, ".."), { recursive: true });
        await Deno.writeTextFile(path, content);
      }
      return join(folder, name);
    };
    const kinds: [Record<string, string>, RegExp][] = [
      [
        { "model_index.json": '{"_class_name":"DDPMPipeline"}', "unet/config.json": "{}" },
        /a pipeline of diffusers \(DDPMPipeline\), whose networks \(unet\) have other names/,
      ],
      [
        { "config.json": '{"_class_name":"UNet2DModel"}' },
        /a network of diffusers \(UNet2DModel\)/,
      ],
      [{ "config.json": '{"architectures":["ViTModel"]}' }, /a model of transformers \(ViTModel\)/],
      [{ ".metadata": "", "__0_0.distcp": "" }, /distributed checkpoint of PyTorch.*dcp_to_torch/],
      [{ "zero_to_fp32.py": "", "latest": "" }, /DeepSpeed.*zero_to_fp32\.py/],
      [{ "saved_model.pb": "" }, /TensorFlow/],
      [{ "manifest.ocdbt": "" }, /Orbax/],
    ];
    for (const [i, [files, message]] of kinds.entries()) {
      const path = await make(`kind${i}`, files);
      for (const find of [findModel, findWeightsFile]) {
        await assert.rejects(
          find(path),
          (error) => error instanceof FormatError && message.test(error.message),
        );
      }
    }
    const several = await make("several", { "a.pt": "", "b.ckpt": "", "c.txt": "" });
    await assert.rejects(
      findWeightsFile(several),
      /2 files that may be meant: a\.pt, b\.ckpt; give/,
    );
    const one = await make("one", { "a.pt": "", "config.json": "{}" });
    assert.equal(await findWeightsFile(one), join(one, "a.pt"));
    await assert.rejects(
      findWeightsFile(await make("none", { "c.txt": "" })),
      /no file of weights/,
    );
  });
});
