import assert from "node:assert/strict";
import { FormatError } from "../../lib/base/errors.ts";
import { type ByteSource, bytesSource } from "../../lib/formats/source.ts";
import { torchFileFrom } from "../../lib/formats/torch/file.ts";
import { isModule, namedTensors } from "../../lib/formats/torch/module.ts";
import type { PickleObject } from "../../lib/formats/torch/pickle.ts";
import type { TorchTensor } from "../../lib/formats/torch/tensor.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./torch_fixtures.ts";

const NAME = "model.pt";

const open = (bytes: Uint8Array) => torchFileFrom(bytesSource(bytes, NAME));

const sequence = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Type, shape and numbers of each tensor of the three fixtures below, as PyTorch has them. */
const EXPECTED: Record<string, [string, number[], number[]]> = {
  f32: ["f32", [4, 6], sequence(24)],
  transposed: ["f32", [6, 4], sequence(24).map((i) => (i % 4) * 6 + Math.floor(i / 4))],
  part: ["f32", [2, 3], [6, 8, 10, 12, 14, 16]],
  scalar: ["f32", [], [2.5]],
  expanded: ["f32", [3, 2], [1, 2, 1, 2, 1, 2]],
  empty: ["f32", [0, 3], []],
  channels_last: ["f32", [1, 2, 2, 4], sequence(16)],
  f64: ["f64", [1], [0.1]],
  f16: ["f16", [2], [1.5, -2]],
  bf16: ["bf16", [2], [1.5, -2]],
  i64: ["i64", [1], [2 ** 40]],
  i32: ["i32", [1], [-7]],
  i16: ["i16", [1], [-7]],
  i8: ["i8", [1], [-7]],
  u8: ["u8", [1], [200]],
  flag: ["bool", [2], [1, 0]],
  parameter: ["f32", [1], [3]],
};

for (
  const [fixture, format] of [
    ["torchZip", "zip"],
    ["torchLegacy", "legacy"],
    ["torchPickle", "pickle"],
  ] as const
) {
  Deno.test(`${fixture}: all element types and strides are read`, async () => {
    using file = await open(fixtures[fixture]);
    assert.equal(file.format, format);
    const checkpoint = file.value as Map<string, unknown>;
    assert.equal(checkpoint.get("step"), 12);
    const tensors = namedTensors(checkpoint.get("ema"), NAME);
    assert.deepEqual([...tensors.keys()], Object.keys(EXPECTED));
    for (const [name, [type, shape, values]] of Object.entries(EXPECTED)) {
      const tensor = tensors.get(name)!;
      assert.equal(tensor.type, type, name);
      assert.deepEqual(tensor.shape, shape, name);
      assert.deepEqual([...await tensor.toFloat64()], values, name);
    }
    // In a plain pickle each tensor comes with a file of its own.
    const storage = (name: string) => (tensors.get(name) as TorchTensor).storage;
    const shared = storage("f32") === storage("transposed");
    assert.equal(shared, format !== "pickle");
    assert.deepEqual(
      [...namedTensors(checkpoint).keys()].at(-1),
      "optimizer.state.0.exp_avg",
    );
  });
}

Deno.test("a state dict of torch is read although its OrderedDict has attributes", async () => {
  using file = await open(fixtures.stateDict);
  const tensors = namedTensors(file.value);
  assert.deepEqual([...tensors.keys()], ["weight", "bias"]);
  assert.deepEqual([...await tensors.get("weight")!.toFloat32()], [1, 2]);
});

Deno.test("opening a file reads no tensor, and reading one reads its storage only", async () => {
  let bytesRead = 0;
  const inner = bytesSource(fixtures.torchZip, NAME);
  const counting: ByteSource = {
    name: NAME,
    size: inner.size,
    readSync(offset, length) {
      bytesRead += length;
      return inner.readSync(offset, length);
    },
    read: (offset, length) => Promise.resolve(counting.readSync(offset, length)),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
  using file = await torchFileFrom(counting);
  const tensors = namedTensors((file.value as Map<string, unknown>).get("ema"));
  bytesRead = 0;
  await tensors.get("part")!.read();
  // Two rows of 3 elements span 11 of the storage, which is checked as a whole, once.
  assert.equal(bytesRead, 4 * 24 + 4 * 11);
  bytesRead = 0;
  await tensors.get("part")!.read();
  assert.equal(bytesRead, 4 * 11);
  bytesRead = 0;
  await tensors.get("f64")!.read();
  assert.equal(bytesRead, 8);
});

Deno.test("a module of the EDM family is read without its source: names, buffers, arguments", async () => {
  using file = await open(fixtures.edm);
  const ema = (file.value as Map<string, unknown>).get("ema") as PickleObject;
  assert(isModule(ema));
  assert.equal(ema.type, "Net");
  assert.deepEqual(ema.attribute("_init_args"), [3]);
  assert.deepEqual(ema.attribute("_init_kwargs"), new Map([["depth", 2]]));
  const tensors = namedTensors(ema);
  assert.deepEqual([...tensors.keys()], ["filter", "layers.0.weight", "layers.1.weight"]);
  assert.deepEqual([...await tensors.get("layers.1.weight")!.toFloat32()], [10, 11, 12]);
});

for (const form of ["Zip", "Legacy", "0", "2", "4"] as const) {
  Deno.test(`leavings${form}: objects that are no tensors are passed over, and told`, async () => {
    using file = await open(fixtures[`leavings${form}`]);
    const tensors = namedTensors(file.value, NAME);
    const numbers = async (name: string) => [...await tensors.get(name)!.toFloat64()];
    assert.deepEqual(await numbers("model.weight"), [11]);
    assert.deepEqual(await numbers("array"), [9, 10]);
    // What the objects hold is found where they hold it.
    assert.deepEqual(await numbers("config.kept"), [1, 2]);
    assert.deepEqual(await numbers("settings.deep.x"), [4]);
    assert.deepEqual(await numbers("pair.0"), [7]);
    assert.ok([...tensors.keys()].some((name) => /^queue\.\d$/.test(name)));
    assert.equal(tensors.has("complex"), false);
    if (form === "Zip") assert.deepEqual(await numbers("float8"), [1, 1, 1]);
    for (
      const name of ["collections.deque", "trainer.Config", "trainer.Names", "decimal.Decimal"]
    ) {
      assert.ok(file.unknown.includes(name), name);
    }
    assert.ok(!file.unknown.includes("argparse.Namespace"));
  });
}

Deno.test("dictionaries of numpy's arrays are tensors by name", async () => {
  using file = await open(fixtures.arrays);
  const tensors = namedTensors(file.value, NAME);
  assert.deepEqual([...tensors.keys()], ["params.dense.kernel", "opt.0.mu"]);
  const { type, shape, read } = tensors.get("params.dense.kernel")!;
  assert.deepEqual([type, shape, (await read()).length], ["f32", [2, 3], 24]);
});

/** Replaces bytes of a fixture by as many others. */
function patched(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  assert(from.length === to.length && text.includes(from));
  return Uint8Array.from(text.replaceAll(from, to), (character) => character.charCodeAt(0));
}

async function refuses(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(() => open(bytes), (error) => {
    assert(error instanceof FormatError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /model\.pt/);
    return true;
  });
}

Deno.test("files that are not of PyTorch, or want to run something, are refused", async () => {
  await refuses(new Uint8Array(0), /truncated or corrupt/);
  await refuses(new TextEncoder().encode("<html>"), /no instruction/);
  await refuses(fixtures.torchLegacy.slice(0, -4), /truncated or corrupt/);
  await refuses(
    patched(
      fixtures.torchLegacy,
      "torch._utils\n_rebuild_parameter\n",
      "subprocess\ncheck_output________\n",
    ),
    /needs "subprocess\.check_output_+", which does things when Python opens .*nothing of the file/,
  );
  // A zip archive that is something else.
  await refuses(patched(fixtures.stateDict, "/data.pkl", "/data.txt"), /no member data\.pkl/);
});

Deno.test("tensors beyond their storage are refused", async () => {
  const rebuild = (storage: string, rest: string) =>
    Uint8Array.from(
      "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" +
        `ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n${storage}tQ${rest}` +
        "\x89}tR.\x80\x02]U\x010a.\x02\0\0\0\0\0\0\0\0\0\x80?\0\0\0@",
      (c) => c.charCodeAt(0),
    );
  const two = "FloatStorage\nU\x010U\x03cpuK\x02N";
  using file = await open(rebuild(two, "K\0K\x02\x85K\x01\x85"));
  assert.deepEqual([...await (file.value as TorchTensor).toFloat32()], [1, 2]);
  await refuses(rebuild(two, "K\x01K\x02\x85K\x01\x85"), /does not fit its storage of 8 bytes/);
  await refuses(rebuild(two, "K\0K\x02\x85J\xff\xff\xff\xff\x85"), /proper shape and strides/);
  await refuses(rebuild(two, "K\0J\xff\xff\xff\x7f\x85K\0\x85"), /repeats 1 elements/);
  await refuses(
    rebuild("FloatStorage\nU\x010U\x03cpuK\x03N", "K\0K\x02\x85K\x01\x85"),
    /should have 3 elements, found 2/,
  );
  await refuses(
    rebuild("WhatStorage\nU\x010U\x03cpuK\x02N", ""),
    /torch\.WhatStorage is no storage of a known type/,
  );
});

const text = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

Deno.test("objects in themselves, and lists that double, come to an end", async () => {
  using self = await open(text("]q\0h\0a."));
  assert.equal(namedTensors(self.value, NAME).size, 0);
  // Each of 40 objects holds the one before it twice, and the one that holds itself.
  using laughs = await open(
    text("]q\0h\0a0]q\x01" + "0(h\x01h\x01h\0lq\x01".repeat(40) + "."),
  );
  assert.equal(namedTensors(laughs.value, NAME).size, 0);
  using deep = await open(text("]".repeat(300) + "a".repeat(299) + "."));
  assert.throws(() => namedTensors(deep.value, NAME), /model\.pt nests its objects/);
});

Deno.test("randomly damaged files are read or refused in an orderly way", async () => {
  for (const fixture of ["torchZip", "torchLegacy", "torchPickle", "edm", "leavings2"] as const) {
    const { refused } = await fuzz(fixtures[fixture], NAME, 150, async (bytes) => {
      using file = await open(bytes);
      for (const tensor of namedTensors(file.value, NAME).values()) await tensor.read();
    });
    assert(refused > 0);
  }
});
