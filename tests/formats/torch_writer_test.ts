import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { bytesOf } from "../../lib/base/arrays.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { fromFloat32, toFloat32 } from "../../lib/formats/arrays/numeric.ts";
import { openTorchFile } from "../../lib/formats/torch/file.ts";
import { namedTensors } from "../../lib/formats/torch/module.ts";
import { writeTorch } from "../../lib/formats/torch/writer.ts";
import { openFileSource } from "../../lib/formats/source.ts";
import { withTempFolder } from "../support/files.ts";

Deno.test("a state dict that was written is read back: names, types, shapes, numbers", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "model.pt");
    await writeTorch(path, [
      ["a.weight", { type: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ["scalar", { type: "f64", shape: [], data: () => Float64Array.of(0.1) }],
      ["é", { type: "bf16", shape: [300], data: new Uint16Array(300).fill(0x3F80) }],
      ["empty", { type: "i64", shape: [0, 3], data: new BigInt64Array(0) }],
      ["long", { type: "u8", shape: [70_000], data: new Uint8Array(70_000).fill(7) }],
    ]);
    using file = await openTorchFile(path);
    assert.equal(file.format, "zip");
    const tensors = namedTensors(file.value);
    assert.deepEqual(
      [...tensors].map(([name, { type, shape }]) => [name, type, shape]),
      [
        ["a.weight", "f32", [2, 3]],
        ["scalar", "f64", []],
        ["é", "bf16", [300]],
        ["empty", "i64", [0, 3]],
        ["long", "u8", [70_000]],
      ],
    );
    assert.deepEqual([...await tensors.get("a.weight")!.toFloat32()], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual([...await tensors.get("scalar")!.toFloat64()], [0.1]);
    assert((await tensors.get("é")!.toFloat32()).every((value) => value === 1));
    assert((await tensors.get("long")!.read()).every((value) => value === 7));
  });
});

Deno.test("storages are aligned as PyTorch aligns them", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "model.pt");
    const marks = [0x11111111, 0x22222222, 0x33333333];
    await writeTorch(
      path,
      marks.map((mark, i) => [
        "x".repeat(i + 1),
        { type: "i32", shape: [5], data: new Int32Array(5).fill(mark) },
      ]),
    );
    using source = await openFileSource(path);
    const bytes = await source.read(0, source.size);
    for (const mark of marks) {
      const at = bytes.findIndex((_, i) =>
        bytes.subarray(i, i + 20).every((b) => b === mark >>> 24)
      );
      assert(at > 0);
      assert.equal(at % 64, 0);
    }
  });
});

Deno.test("numbers that do not fit, and types that PyTorch does not have, are refused", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "model.pt");
    await assert.rejects(
      writeTorch(path, [["w", { type: "f32", shape: [2], data: new Float32Array(3) }]]),
      (error) => error instanceof FormatError && /"w".*needs 8 bytes.*12/.test(error.message),
    );
    await assert.rejects(
      writeTorch(path, [["w", { type: "u64", shape: [1], data: new BigUint64Array(1) }]]),
      /"w" is of type u64/,
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("float32 is rounded to half precision and to bfloat16 as PyTorch rounds it", () => {
  const values = Float32Array.of(1, -2.5, 1.00390625, 1.01171875, 65504, 1e-8, Infinity, 3.1415927);
  const back = (type: "f16" | "bf16") => [...toFloat32(bytesOf(fromFloat32(values, type)), type)];
  // torch.tensor([...]).to(torch.bfloat16).float(), and the same for torch.float16
  const bf16 = [1, -2.5, 1, 1.015625, 65536, 1.0011717677116394e-8, Infinity, 3.140625];
  assert.deepEqual(back("bf16"), bf16);
  assert.deepEqual(back("f16"), [1, -2.5, 1.00390625, 1.01171875, 65504, 0, Infinity, 3.140625]);
  const nan = fromFloat32(Float32Array.of(NaN), "bf16");
  assert(Number.isNaN(toFloat32(bytesOf(nan), "bf16")[0]));
});
