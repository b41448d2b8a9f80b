/** Names of the classes, from the data set into everything that a run and `imm convert` write. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../../lib/base/errors.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import {
  loadModel,
  openModel,
  parseModelMetadata,
  saveModel,
} from "../../lib/models/model_file.ts";
import { withTempFolder } from "../support/files.ts";
import { tinyModel } from "../support/examples/models.ts";
import { hashPicture } from "../support/examples/pictures.ts";
import { BATCH, imm, startArguments } from "../support/examples/runs.ts";

Deno.test("the names of the classes are in all models of a run, and stay there", async () => {
  await withTempFolder(async (folder) => {
    const pets = join(folder, "pets");
    for (const name of ["cat", "dog", "a cow"]) {
      await Deno.mkdir(join(pets, name), { recursive: true });
      await Deno.writeFile(join(pets, name, "0.png"), encodePng(hashPicture(8, 8, 1)));
    }
    const run = join(folder, "run");
    const settings = [
      `train.images=${4 * BATCH}`,
      'train.ema.profiles=[{"sigmaRel":0.1}]',
      `train.ema.snapshots=${2 * BATCH}`,
      "report.scores.every=32",
      "report.scores.samples=16",
    ];
    const { code, stderr } = await imm(...startArguments(run, settings), "--data", pets);
    assert.equal(code, 0, stderr);
    const made = join(folder, "made.safetensors");
    assert.equal(
      (await imm("ema", "reconstruct", run, "--sigma-rel", "0.1", "--out", made)).code,
      0,
    );
    const copy = join(folder, "copy.safetensors");
    assert.equal((await imm("convert", run, "--out", copy)).code, 0);
    const models = [
      join(run, "model.safetensors"),
      join(run, "model-sigma0.1.safetensors"),
      join(run, "best.safetensors"),
      join(run, "snapshots", "000000064-sigma0.1.safetensors"),
      join(run, "checkpoint-000000064.safetensors"),
      made,
      copy,
    ];
    for (const model of models) {
      using file = await openModel(model);
      assert.deepEqual(file.classNames, ["a cow", "cat", "dog"], model);
      assert.equal("classNames" in file.notes, false);
    }
    const info = await imm("info", run);
    assert.match(info.stdout, /^classes +0 a cow, 1 cat, 2 dog$/m);
    const { stdout } = await imm("info", copy, "--json");
    assert.deepEqual(JSON.parse(stdout).model.classNames, ["a cow", "cat", "dog"]);
  });
});

Deno.test("names outlive data that have none: other containers, and training on from a model", () =>
  withTempFolder(async (folder) => {
    const pets = join(folder, "pets");
    for (const name of ["cat", "dog"]) {
      await Deno.mkdir(join(pets, name), { recursive: true });
      await Deno.writeFile(join(pets, name, "0.png"), encodePng(hashPicture(8, 8, 1)));
    }
    const npz = join(folder, "pets.npz");
    const { data } = hashPicture(8, 8, 1);
    await writeNpz(npz, [
      ["arr_0", { type: "u8", shape: [2, 8, 8, 1], data: Uint8Array.from([...data, ...data]) }],
      ["arr_1", { type: "i64", shape: [2], data: BigInt64Array.of(0n, 1n) }],
    ]);
    const run = join(folder, "run");
    const short = [`train.images=${2 * BATCH}`];
    assert.equal((await imm(...startArguments(run, short), "--data", pets)).code, 0);
    const { code, stderr } = await imm(
      ...["train", "--resume", run, "--data", npz, "--device", "wasm"],
      ...["--set", `train.images=${3 * BATCH}`],
    );
    assert.equal(code, 0, stderr);
    const next = join(folder, "next");
    const more = await imm(...startArguments(next, short), "--init", run, "--data", npz);
    assert.equal(more.code, 0, more.stderr);
    for (const file of [run, next]) {
      const { classNames, notes } = await loadModel(join(file, "model.safetensors"));
      assert.deepEqual([classNames, notes.images], [["cat", "dog"], file === run ? "48" : "32"]);
    }
    const anew = join(folder, "anew");
    const reset = [...startArguments(anew, short), "--init", run, "--reset-labels", "--data", npz];
    const { code: done, stderr: said } = await imm(...reset);
    assert.equal(done, 0, said);
    assert.equal((await loadModel(join(anew, "model.safetensors"))).classNames, undefined);
  }));

Deno.test("a model file without names of classes is read as before; wrong names are refused", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    const model = tinyModel({ labelDim: 2 });
    await saveModel(path, model);
    assert.equal((await loadModel(path)).classNames, undefined);
    const names = ["left\nright", "ünïcode"];
    await saveModel(path, { ...model, classNames: names });
    assert.deepEqual((await loadModel(path)).classNames, names);
    await saveModel(path, { ...model, classNames: ["one"] });
    await assert.rejects(loadModel(path), (error) => {
      assert.ok(error instanceof FormatError);
      assert.match(error.message, /model\.safetensors: .*2 classes, but classNames is a list of 1/);
      return true;
    });
    const metadata = { format: "imm", network: JSON.stringify(model.network), imm: "{}" };
    for (const classNames of ["[", "{}", "[1, 2]", "null"]) {
      assert.throws(() => parseModelMetadata("file", { ...metadata, classNames }), FormatError);
    }
  });
});
