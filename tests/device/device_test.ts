/** Devices: inputs, errors, memory, closing. */

import assert from "node:assert/strict";
import { InternalError } from "../../lib/base/errors.ts";
import { Arena } from "../../lib/tensor/state.ts";
import type { Plan } from "../../lib/compile/plan.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { expression, PlanBuilder } from "../support/devices/plan_builder.ts";

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

deviceTest("closing is silent, and the device is not usable afterwards", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  sum.run({ a: new Float32Array(3), b: new Float32Array(3) });
  device.close();
  device.close();
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
