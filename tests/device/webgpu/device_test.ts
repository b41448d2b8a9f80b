/** The device itself: inputs, errors, closing, memory. */

import assert from "node:assert/strict";
import { DeviceError, InternalError } from "../../../lib/errors.ts";
import { openDevice } from "../../../lib/device/open.ts";
import { Arena } from "../../../lib/tensor/state.ts";
import type { Plan } from "../../../lib/compile/plan.ts";
import { expression, PlanBuilder, strided } from "../../support/plan_builder.ts";
import { deviceTest, hasAdapter } from "./support.ts";

/** y = a + b, of `size` elements. */
function sumPlan(size: number): Plan {
  const p = new PlanBuilder();
  const [a, b, y] = [p.input("a", [size]), p.input("b", [size]), p.output("y", [size])];
  return p.kernel({
    kind: "elementwise",
    body: expression([size], [a, b], [
      { op: "load", operand: 0 },
      { op: "load", operand: 1 },
      { op: "map", fn: "add", args: [0, 1] },
    ]),
    stores: [{ value: 2, target: y }],
    label: "add",
  }).build("sum");
}

deviceTest("inputs that are not given keep their values", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  sum.run({ a: Float32Array.of(1, 2, 3), b: Float32Array.of(10, 20, 30) });
  sum.run({ a: Float32Array.of(4, 5, 6) });
  assert.deepEqual((await sum.read(["y"])).y, Float32Array.of(14, 25, 36));
  sum.run({});
  assert.deepEqual((await sum.read(["y"])).y, Float32Array.of(14, 25, 36));
});

deviceTest("wrong inputs are refused with their names", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  const three = new Float32Array(3);
  assert.throws(() => sum.run({ a: three }), /first run of sum needs the inputs b/);
  assert.throws(() => sum.run({ a: new Float32Array(4), b: three }), /a of sum .* needs 3 .* 4/);
  assert.throws(() => sum.run({ a: new Int32Array(3), b: three }), /a of sum .* Float32Array/);
  assert.throws(() => sum.run({ a: three, b: three, c: three }), /sum has no input c/);
  sum.run({ a: three, b: three });
  await assert.rejects(sum.read(["z"]), /sum has no output z/);
  sum.destroy();
  assert.throws(() => sum.run({}), /sum was destroyed/);
});

deviceTest("arenas are checked", async (device) => {
  const arena = new Arena("weights");
  arena.add("w", [100]);
  const p = new PlanBuilder();
  const w = p.arena(arena);
  const y = p.output("y", [100]);
  p.kernel({
    kind: "elementwise",
    body: expression([100], [w]),
    stores: [{ value: 0, target: y }],
    label: "copy",
  });
  const plan = p.build();
  await assert.rejects(device.prepare(plan, new Map()), /needs a buffer for the arena weights/);
  const small = device.allocate(64, "small");
  await assert.rejects(
    device.prepare(plan, new Map([[arena, small]])),
    /weights needs 512 bytes, but its buffer has 64/,
  );
});

deviceTest("buffers start as zeros, and are written and read in ranges", async (device) => {
  const buffer = device.allocate(40, "numbers");
  device.write(buffer, Float32Array.of(1, 2, 3), 8);
  assert.deepEqual(
    new Float32Array(await device.read(buffer)),
    Float32Array.of(0, 0, 1, 2, 3, 0, 0, 0, 0, 0),
  );
  assert.deepEqual(new Float32Array(await device.read(buffer, 12, 8)), Float32Array.of(2, 3));
  // A view of a larger array uploads its own part.
  device.write(buffer, new Float32Array([7, 8, 9, 10]).subarray(1, 3), 0);
  assert.deepEqual(new Float32Array(await device.read(buffer, 0, 8)), Float32Array.of(8, 9));
  assert.throws(() => device.write(buffer, new Float32Array(11)), /44 bytes do not fit/);
  await assert.rejects(device.read(buffer, 8, 40), /cannot read 40 bytes at 8/);
  device.free(buffer);
  assert.throws(() => device.free(buffer), /was freed before/);
});

deviceTest("a buffer beyond the device's limit is refused with both sizes", async (device) => {
  const limit = device.gpu.limits.maxBufferSize;
  assert.throws(() => device.allocate(limit * 2, "huge"), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.match(error.message, new RegExp(`huge needs .* allows ${limit}`));
    return true;
  });
  await device.finish();
});

deviceTest("a kernel that needs a longer binding is refused with both sizes", async (device) => {
  const p = new PlanBuilder();
  const x = p.input("x", [4, 400]);
  const y = p.output("y", [4]);
  p.kernel({
    kind: "moments",
    body: expression([4, 400], [x]),
    keptRank: 1,
    value: 0,
    eps: 0,
    mean: y,
    rstd: y,
    label: "moments of x",
  });
  await assert.rejects(device.prepare(p.build(), new Map()), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.match(error.message, /moments of x needs 6400 bytes .* at most 1024/);
    return true;
  });
}, { target: { maxBindingBytes: 1024 } });

deviceTest("a kernel with more buffers than the device binds is refused", async (device) => {
  const p = new PlanBuilder();
  const inputs = [0, 1, 2, 3].map((i) => p.input(`x${i}`, [4]));
  const y = p.output("y", [4]);
  p.kernel({
    kind: "elementwise",
    body: expression([4], inputs),
    stores: [{ value: 3, target: y }],
    label: "wide",
  });
  await assert.rejects(device.prepare(p.build(), new Map()), /wide needs 5 buffers .* allows 4/);
}, { target: { maxBindings: 4 } });

deviceTest("views of one buffer share a binding where bindings are few", async (device) => {
  const p = new PlanBuilder();
  const x = p.input("x", [512]);
  const y = p.output("y", [8]);
  p.kernel({
    kind: "elementwise",
    body: expression([8], [0, 64, 128, 192].map((offset) => strided(x, [1], offset)), [
      ...[0, 1, 2, 3].map((operand) => ({ op: "load", operand }) as const),
      { op: "map", fn: "add", args: [0, 1] },
      { op: "map", fn: "add", args: [2, 3] },
      { op: "map", fn: "add", args: [4, 5] },
    ]),
    stores: [{ value: 6, target: y }],
    label: "sum of parts",
  });
  const executable = await device.prepare(p.build(), new Map());
  executable.run({ x: Float32Array.from({ length: 512 }, (_, i) => i) });
  const expected = Float32Array.from({ length: 8 }, (_, i) => 4 * i + 384);
  assert.deepEqual((await executable.read(["y"])).y, expected);
}, { target: { maxBindings: 2 } });

deviceTest("an error on the device is thrown by the next call", async (device) => {
  const buffer = device.allocate(16, "small");
  // Wrong on purpose: a copy beyond the end, which WebGPU only reports later.
  const encoder = device.gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer.gpu, 0, buffer.gpu, 8, 64);
  device.gpu.queue.submit([encoder.finish()]);
  await assert.rejects(device.finish(), DeviceError);
  assert.throws(() => device.allocate(16, "next"), DeviceError);
});

deviceTest("a lost device is an error that says so", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  device.gpu.destroy();
  await device.gpu.lost;
  await Promise.resolve();
  const three = new Float32Array(3);
  assert.throws(() => sum.run({ a: three, b: three }), /was lost .* last checkpoint/);
});

deviceTest("closing is silent, and the device is not usable afterwards", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  sum.run({ a: new Float32Array(3), b: new Float32Array(3) });
  device.close();
  device.close();
  await device.gpu.lost;
  await assert.rejects(device.finish(), InternalError);
  assert.throws(() => device.allocate(4, "late"), /the device was closed/);
});

deviceTest("thousands of runs take no more memory", async (device) => {
  const size = 1 << 16;
  const sum = await device.prepare(sumPlan(size), new Map());
  const a = new Float32Array(size).fill(1);
  sum.run({ a, b: a });
  const step = async (runs: number): Promise<number> => {
    for (let i = 0; i < runs; i++) sum.run({ a });
    await sum.read(["y"]);
    return Deno.memoryUsage().rss;
  };
  const before = await step(500);
  const after = await step(1500);
  // Uploads alone would be 400 MB if they were kept.
  assert.ok(after - before < 80e6, `the process grew by ${(after - before) / 1e6} MB`);
});

deviceTest("kernel times are reported by label", async (device) => {
  const reports: string[][] = [];
  device.onKernelTimes = (plan, times) => reports.push([plan, ...times.map((t) => t.label)]);
  const sum = await device.prepare(sumPlan(64), new Map());
  const original = console.error;
  const printed: string[] = [];
  console.error = (text: string) => printed.push(text);
  try {
    sum.run({ a: new Float32Array(64), b: new Float32Array(64) });
    await device.finish();
    sum.destroy();
  } finally {
    console.error = original;
  }
  assert.deepEqual(reports, [["sum", "add"]]);
  assert.match(printed.join("\n"), /sum: .* ms\n.* 1 x {2}add/);
}, { debug: 3 });

Deno.test("openDevice() says that there is no WebAssembly device in this build", async () => {
  await assert.rejects(openDevice({ device: "wasm" }), DeviceError);
});

Deno.test({
  name: "openDevice() finds the adapter",
  ignore: !hasAdapter,
  fn: async () => {
    const device = await openDevice();
    assert.equal(device.kind, "webgpu");
    assert.ok(device.description.length > 0);
    device.close();
  },
});
