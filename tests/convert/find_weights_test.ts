import assert from "node:assert/strict";
import { chooseWeightSet, findWeightSets } from "../../lib/convert/find_weights.ts";
import type { ForeignTensor } from "../../lib/convert/formats/format.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";

/** A file with these names. */
function file(...names: string[]): Map<string, ForeignTensor> {
  const tensor: ForeignTensor = {
    type: "f32",
    shape: [1],
    read: () => Promise.resolve(new Uint8Array(4)),
  };
  return new Map(names.map((name) => [name, tensor]));
}

const prefixes = (...names: string[]) =>
  findWeightSets(file(...names), "model.pt").map(({ prefix }) => prefix);

Deno.test("the average comes first, wherever a checkpoint keeps it", () => {
  const mark = "map_layer0.weight";
  assert.deepEqual(prefixes(mark), [""]);
  assert.deepEqual(prefixes(`model.${mark}`), ["model."]);
  assert.deepEqual(prefixes(`net.model.${mark}`, `ema.model.${mark}`), [
    "ema.model.",
    "net.model.",
  ]);
  assert.deepEqual(prefixes(`model.module.${mark}`, `model_ema.module.${mark}`), [
    "model_ema.module.",
    "model.module.",
  ]);
  assert.deepEqual(prefixes(`other.${mark}`, `state_dict.module.${mark}`), [
    "state_dict.module.",
    "other.",
  ]);
});

Deno.test("states of an optimiser are no weights, although they have their names", () => {
  const mark = "x_embedder.proj.weight";
  assert.deepEqual(
    prefixes(`model.${mark}`, `optimizer.exp_avg.${mark}`, `training.m.model.${mark}`),
    ["model."],
  );
});

Deno.test("tensors have official names, without their prefix and the marks of a compiler", () => {
  const [set] = findWeightSets(
    file("ema.module._orig_mod.x_embedder.proj.weight", "ema.module._orig_mod.pos_embed", "step"),
    "model.pt",
  );
  assert.deepEqual([...set.tensors.keys()], ["model.x_embedder.proj.weight", "model.pos_embed"]);
});

Deno.test("a set can be asked for by the beginning of its prefix", () => {
  const tensors = file("ema.model.map_layer0.weight", "net.model.map_layer0.weight");
  const sets = findWeightSets(tensors, "model.pt");
  const choose = (wanted: string | undefined) =>
    chooseWeightSet(sets, tensors, wanted, "model.pt").set.prefix;
  assert.equal(choose(undefined), "ema.model.");
  assert.equal(choose("net"), "net.model.");
  assert.equal(choose("net.model"), "net.model.");
  assert.throws(
    () => choose("ne"),
    (error) =>
      error instanceof UsageError && /"ne"; it has "ema\.model", "net\.model"/.test(error.message),
  );
});

Deno.test("a file without a network says what was looked for", () => {
  assert.throws(
    () => prefixes("encoder.conv_in.weight"),
    (error) =>
      error instanceof FormatError &&
      /none of its 1 tensors \(encoder\.conv_in\.weight, …\) ends in/.test(error.message),
  );
});
