/** `imm convert` and `imm info`: models of PyTorch and back. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { openTorchFile } from "../../lib/formats/torch/file.ts";
import { namedTensors } from "../../lib/formats/torch/module.ts";
import { writeTorch } from "../../lib/formats/torch/writer.ts";
import { loadModel, type Model, saveModel } from "../../lib/models/model_file.ts";
import { toOfficial } from "../../lib/models/official.ts";
import { fixtures } from "../formats/torch_fixtures.ts";
import { withTempFolder } from "../support/files.ts";
import { exampleModel, randomModel } from "../support/examples/models.ts";
import { memorySink } from "../support/cli/sink.ts";

async function imm(...args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(args, { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Runs a command that must succeed and returns what it printed as JSON. */
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await imm(...args, "--json", "--quiet");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Tensors of a state dict for the writer of PyTorch's files, their names changed. */
function asTorch({ weights }: Model, rename: (name: string) => string) {
  return [...weights].map(([name, { shape, data }]) =>
    [rename(name), { type: "f32", shape, data }] as const
  );
}

function sameWeights(found: Model, expected: Model): void {
  assert.deepEqual([...found.weights.keys()], [...expected.weights.keys()]);
  for (const [name, { shape, data }] of expected.weights) {
    assert.deepEqual(found.weights.get(name)!.shape, shape, name);
    assert.deepEqual(found.weights.get(name)!.data, data, name);
  }
}

Deno.test("a pickled module of the public code converts without any further word", async () => {
  await withTempFolder(async (folder) => {
    const [pickle, out] = [join(folder, "snapshot.pkl"), join(folder, "model.safetensors")];
    await Deno.writeFile(pickle, fixtures.immSnapshot);
    const result = await json("convert", pickle, "--out", out);
    assert.equal(result.weights, "ema.model");
    const { network, imm: method, weights, notes } = await loadModel(out);
    assert.deepEqual(network, {
      type: "dit",
      imgResolution: 4,
      imgChannels: 3,
      labelDim: 2,
      patchSize: 2,
      hiddenSize: 8,
      depth: 1,
      numHeads: 4, // from the arguments that the pickle keeps
      mlpRatio: 2,
      qkNorm: false,
      embeddingType: "positional",
      timeChannels: 8,
      fourierScale: 0.02,
      sEmbed: true,
    });
    assert(method);
    assert.equal(method.timeConditioning, "stride");
    assert.equal(method.eps, 0.006);
    assert.deepEqual(notes, { source: "snapshot.pkl", weights: "ema.model" });
    const { data } = weights.get("model.pos_embed")!;
    assert.deepEqual([...data], Array.from({ length: 32 }, (_, i) => i / 8));
  });
});

for (const name of ["ddpmpp", "ncsnpp", "skip", "dit_qknorm"] as const) {
  Deno.test(`${name}: a checkpoint of PyTorch and back, number by number`, async () => {
    await withTempFolder(async (folder) => {
      const model = exampleModel(name, { parameterization: "simple_edm", eps: 0.006 });
      const [pt, out, back] = ["a.pt", "b.safetensors", "c.pth"].map((f) => join(folder, f));
      const current = asTorch(model, (name) => `model.module.${name}`);
      await writeTorch(pt, [
        ...current.map(([name, tensor]) =>
          [name, { ...tensor, data: new Float32Array(tensor.data.length) }] as const
        ),
        ...asTorch(model, (name) => `ema.${name}`),
      ]);
      const settings = ["--set", "imm.parameterization=simple_edm", "--set", "imm.eps=0.006"];
      const result = await json("convert", pt, "--out", out, ...settings);
      assert.equal(result.weights, "ema.model");
      const converted = await loadModel(out);
      sameWeights(converted, model);
      assert.deepEqual(converted.imm, model.imm);

      const { to } = await json("convert", out, "--out", back);
      assert.equal(to, "torch");
      using file = await openTorchFile(back);
      const tensors = namedTensors(file.value);
      assert.deepEqual([...tensors.keys()], [...model.weights.keys()]);
      for (const [name, tensor] of tensors) {
        assert.deepEqual(await tensor.toFloat32(), model.weights.get(name)!.data, name);
      }
    });
  });
}

Deno.test("safetensors and npz of others are read like the files of PyTorch", async () => {
  await withTempFolder(async (folder) => {
    const model = exampleModel("dit");
    const config = join(folder, "config.json");
    await Deno.writeTextFile(config, JSON.stringify(toOfficial(model.network, model.imm!)));
    const [npz, safe, out] = ["a.npz", "a.safetensors", "b.safetensors"].map((f) =>
      join(folder, f)
    );
    await writeNpz(npz, asTorch(model, (name) => name));
    await writeSafetensors(
      safe,
      [...model.weights].map(([name, { shape, data }]) => [
        name.replace("model.", "module."),
        { dtype: "F32", shape, data },
      ]),
    );
    for (const [file, format] of [[npz, "npz"], [safe, "safetensors"]]) {
      const { from } = await json("convert", file, "--config", config, "--out", out, "--overwrite");
      assert.equal(from, format);
      const converted = await loadModel(out);
      sameWeights(converted, model);
      assert.deepEqual(converted.network, model.network);
      assert.deepEqual(converted.imm, model.imm);
    }
  });
});

Deno.test("what follows from the sizes need not be in the file", async () => {
  await withTempFolder(async (folder) => {
    const model = exampleModel("ncsnpp");
    const [pt, out] = [join(folder, "a.pt"), join(folder, "b.safetensors")];
    const some = asTorch(model, (name) => name).filter(([name]) => !name.includes("resample"));
    await writeTorch(pt, some);
    await json("convert", pt, "--set", "imm.parameterization=euler_fm", "--out", out);
    const converted = await loadModel(out);
    assert.deepEqual(new Set(converted.weights.keys()), new Set(model.weights.keys()));
    for (const [name, { data }] of model.weights) {
      const found = converted.weights.get(name)!.data;
      // The fixture stores its filters in float32, computed in another order.
      assert(data.every((value, i) => Math.abs(value - found[i]) < 1e-6), name);
    }
  });
});

Deno.test("--dtype halves a file, and the model is still read", async () => {
  await withTempFolder(async (folder) => {
    const model = randomModel({ type: "mlp", hidden: 16, depth: 1 });
    const [file, half] = [join(folder, "a.safetensors"), join(folder, "b.safetensors")];
    await saveModel(file, model);
    const { bytes } = await json("convert", file, "--dtype", "f16", "--out", half);
    assert.equal(
      bytes,
      2 * [...model.weights.values()].reduce((n, { data }) => n + data.length, 0),
    );
    const { weights, notes } = await loadModel(half);
    assert.deepEqual(notes, {});
    for (const [name, { data }] of model.weights) {
      assert.deepEqual(weights.get(name)!.data, Float32Array.from(Float16Array.from(data)), name);
    }
  });
});

Deno.test("--dtype writes no infinities: the tensor is named, and the type that holds it", async () => {
  await withTempFolder(async (folder) => {
    const model = randomModel({ type: "mlp", hidden: 16, depth: 1 });
    const [name, { data }] = [...model.weights][1];
    const [file, out] = [join(folder, "a.safetensors"), join(folder, "b.pt")];
    const convert = async (value: number, type: string) => {
      data[5] = value;
      await saveModel(file, model);
      return await imm("convert", file, "--dtype", type, "--out", out);
    };
    const refused = async (value: number, type: string, way: string) => {
      const { code, stderr } = await convert(value, type);
      assert.equal(code, 1);
      const number = String(value).replace("+", "\\+");
      assert.match(
        stderr,
        new RegExp(`${name} has ${number} at element 5.*infinite; write ${way}`),
      );
      assert.equal(await Deno.stat(out).catch(() => null), null);
    };
    await refused(-65520, "f16", "bf16");
    await refused(Math.fround(3.4e38), "bf16", "f32");
    for (const [value, type] of [[65519, "f16"], [65520, "bf16"], [3.38e38, "bf16"]] as const) {
      const { code, stderr } = await convert(value, type);
      assert.equal(code, 0, stderr);
      using written = await openTorchFile(out);
      const numbers = await namedTensors(written.value).get(name)!.toFloat32();
      assert.ok(numbers.every(Number.isFinite), `${value} as ${type}`);
      await Deno.remove(out);
    }
  });
});

Deno.test("what sample would refuse is refused at the door: filters of other numbers", async () => {
  await withTempFolder(async (folder) => {
    const model = exampleModel("ncsnpp");
    const [pt, out] = [join(folder, "a.pt"), join(folder, "b.safetensors")];
    const filter = [...model.weights.keys()].find((name) => name.endsWith("resample_filter"))!;
    model.weights.get(filter)!.data[0] *= 2;
    await writeTorch(pt, asTorch(model, (name) => name));
    const settings = ["--set", "imm.parameterization=euler_fm"];
    const { code, stderr } = await imm("convert", pt, ...settings, "--out", out);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`expected ${filter} to be \\[0\\.0156`));
    assert.equal(await Deno.stat(out).catch(() => null), null);
  });
});

Deno.test("mistakes are said before anything is written", async () => {
  await withTempFolder(async (folder) => {
    const model = exampleModel("dit");
    const [pt, out, config] = ["a.pt", "b.safetensors", "c.json"].map((f) => join(folder, f));
    await writeTorch(pt, asTorch(model, (name) => name));
    const refuses = async (code: number, message: RegExp, ...args: string[]) => {
      const found = await imm("convert", ...args, "--out", out);
      assert.match(found.stderr, message);
      assert.equal(found.code, code, found.stderr);
      assert.equal(await Deno.stat(out).catch(() => null), null);
    };
    await refuses(2, /does not say how its network is to be called.*--preset/s, pt);
    await refuses(2, /give one of them/, pt, "--preset", "cifar10", "--config", config);
    await refuses(1, /it lacks model\.map_layer0.*does not/s, pt, "--preset", "cifar10");
    await refuses(1, /does not exist/, join(folder, "nothing.pt"));
    await refuses(2, /cannot be read/, pt, "--config", config);
    await Deno.writeTextFile(config, "{}");
    await refuses(2, /neither network nor imm/, pt, "--config", config);
    await Deno.writeTextFile(config, "{");
    await refuses(2, /is not JSON/, pt, "--config", config);
    await refuses(2, /keys of network or imm, but got "train"/, pt, "--set", "train.batch=1");
    await refuses(2, /has no weights under "ema"; it has "model"/, pt, "--weights", "ema");
    const settings = ["--set", "imm.parameterization=euler_fm"];
    await refuses(
      2,
      /network\.depht is not a setting/,
      pt,
      ...settings,
      "--set",
      "network.depht=3",
    );
    const damaged = asTorch(model, (name) => name);
    damaged[7][1].data[3] = NaN;
    await writeTorch(pt, damaged);
    await refuses(1, new RegExp(`${damaged[7][0]} is NaN at element 3`), pt, ...settings);
    await Deno.writeTextFile(pt, "<html>not found</html>");
    await refuses(1, /a\.pt is a web page: get the file itself/, pt, ...settings);
    await Deno.writeTextFile(pt, "import torch");
    await refuses(1, /a\.pt is a text \("import torch"\): expected a checkpoint/, pt, ...settings);
    await Deno.writeFile(pt, fixtures.edm);
    await refuses(1, /has no network of a known kind/, pt, ...settings);
  });
});

Deno.test("a network of EDM is called what it is", async () => {
  await withTempFolder(async (folder) => {
    const file = join(folder, "edm.pkl");
    // The class of the wrapper, and the names of its options, in as many letters.
    const text = Array.from(fixtures.immSnapshot, (byte) => String.fromCharCode(byte)).join("")
      .replace("IMMPrecond", "EDMPrecond").replaceAll("temb_type", "other_one")
      .replaceAll("f_type", "f_kind");
    await Deno.writeFile(file, Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    const { code, stderr } = await imm("convert", file, "--out", join(folder, "b.safetensors"));
    assert.equal(code, 2);
    assert.match(stderr, /a network in a EDMPrecond, which is called with one noise level/);
  });
});

Deno.test("a model in several files is read from their list, or their folder", async () => {
  await withTempFolder(async (folder) => {
    const model = exampleModel("dit");
    const parts = join(folder, "parts");
    const list = join(parts, "model.safetensors.index.json");
    await Deno.mkdir(parts);
    const name = (part: number) => `model-0000${part + 1}-of-00002.safetensors`;
    const weights = [...model.weights];
    const map: Record<string, string> = {};
    for (const part of [0, 1]) {
      const own = weights.filter((_, i) => i % 2 === part);
      for (const [key] of own) map[key] = name(part);
      await writeSafetensors(
        join(parts, name(part)),
        own.map(([key, { shape, data }]) => [key, { dtype: "F32", shape, data }]),
      );
    }
    const write = (map: object) => Deno.writeTextFile(list, JSON.stringify({ weight_map: map }));
    await write(map);
    const out = join(folder, "out.safetensors");
    const settings = ["--set", "imm.parameterization=euler_fm", "--set", "network.numHeads=4"];
    for (const from of [list, parts]) {
      await json("convert", from, "--out", out, ...settings);
      sameWeights(await loadModel(out), model);
      const { tensorCount, format } = await json("info", from);
      assert.deepEqual([tensorCount, format], [weights.length, "safetensors"]);
      await Deno.remove(out);
    }
    const refuses = async (file: string, message: RegExp) => {
      const { code, stderr } = await imm("convert", file, "--out", out, ...settings);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    };
    await refuses(
      join(parts, name(0)),
      /one part of a model; give .*model\.safetensors\.index\.json/,
    );
    await write({ ...map, [weights[0][0]]: name(1) });
    await refuses(list, /expected model\.\S+ in model-00002-of-00002\.safetensors, but/);
    await write({ ...map, [weights[0][0]]: "../x.safetensors" });
    await refuses(list, /expected the name of a file beside it/);
    await write(map);
    await Deno.remove(join(parts, name(1)));
    await refuses(list, /model-00002-of-00002\.safetensors does not exist/);
    await Deno.writeTextFile(list, "{}");
    await refuses(list, /has no weight_map/);
  });
});

Deno.test("no file is replaced unasked, and what is read never", async () => {
  await withTempFolder(async (folder) => {
    const [model, out] = ["run/model.safetensors", "a.pt"].map((name) => join(folder, name));
    await Deno.mkdir(join(folder, "run"));
    await saveModel(model, exampleModel("dit"));
    const before = await Deno.readFile(model);
    const refuses = async (message: RegExp, ...args: string[]) => {
      const found = await imm("convert", ...args);
      assert.match(found.stderr, message);
      assert.equal(found.code, 2, found.stderr);
    };
    await json("convert", model, "--out", out);
    const made = await Deno.readFile(out);
    await refuses(
      /a\.pt is there already; give --overwrite/,
      model,
      "--out",
      out,
      "--dtype",
      "f16",
    );
    assert.deepEqual(await Deno.readFile(out), made);
    await json("convert", model, "--out", out, "--dtype", "f16", "--overwrite");
    assert.notDeepEqual(await Deno.readFile(out), made);
    const same = join(folder, "same.safetensors");
    await Deno.symlink(model, same);
    for (const input of [model, join(folder, "run")]) {
      for (const output of [model, same]) {
        await refuses(/what is read; give another name/, input, "--out", output, "--overwrite");
      }
    }
    assert.deepEqual(await Deno.readFile(model), before);
  });
});

Deno.test("info describes models, foreign files and files without a model", async () => {
  await withTempFolder(async (folder) => {
    const file = (name: string) => join(folder, name);
    const model = exampleModel("dit");
    await saveModel(file("model.safetensors"), model);
    const own = await json("info", file("model.safetensors"));
    assert.deepEqual((own.model as Record<string, unknown>).network, model.network);
    assert.deepEqual((own.model as Record<string, unknown>).imm, model.imm);
    assert.equal((own.model as Record<string, unknown>).parameters, 202_768);

    await Deno.writeFile(file("snapshot.pkl"), fixtures.immSnapshot);
    const text = await imm("info", file("snapshot.pkl"), "--tensors");
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /^format +pickle, /m);
    assert.match(text.stdout, /^network +dit$/m);
    assert.match(text.stdout, /^ +timeConditioning +"stride"$/m);
    assert.match(text.stdout, /^ema\.model\.x_embedder\.proj\.weight +f32 +\[8, 3, 2, 2\]$/m);

    await writeTorch(file("bare.pt"), asTorch(model, (name) => name));
    const bare = await imm("info", file("bare.pt"));
    assert.match(bare.stdout, /^method +not in the file; imm convert needs --preset/m);

    await Deno.writeFile(file("state.pt"), fixtures.stateDict);
    const none = await json("info", file("state.pt"), "--tensors");
    assert.equal(none.model, null);
    assert.match(none.problem as string, /has no network of a known kind/);
    assert.deepEqual(none.tensors, [
      { name: "weight", type: "f32", shape: [1, 2] },
      { name: "bias", type: "f32", shape: [1] },
    ]);
  });
});

Deno.test("info of a run tells its configuration and how far it is", async () => {
  await withTempFolder(async (folder) => {
    const run = join(folder, "run");
    const settings = ["network.modelChannels=8", "network.channelMult=[1]", "train.images=256"];
    await json(
      "train",
      "--preset=digits-small",
      `--out=${run}`,
      ...settings.map((setting) => `--set=${setting}`),
      "--set=report.status=128",
    );
    const { stdout } = await imm("info", run);
    assert.match(stdout, /^network +song_unet$/m);
    assert.match(stdout, /^trained +256 of 256 \(100\.0 %\) images$/m);
    assert.match(stdout, /^loss +[\d.e-]+$/m);
    assert.match(stdout, /^ +lr +0\.003$/m);
    const checkpoint = join(run, "checkpoint-000000256.safetensors");
    const info = await json("info", checkpoint);
    assert.deepEqual(
      (info.training as Record<string, Record<string, unknown>>).progress.images,
      256,
    );
  });
});
