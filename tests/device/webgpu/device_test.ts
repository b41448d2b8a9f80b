/** What only the WebGPU device has: limits, late errors, loss, times. */

import assert from "node:assert/strict";
import { DeviceError } from "../../../lib/base/errors.ts";
import type { Plan } from "../../../lib/compile/plan.ts";
import { expression, PlanBuilder, strided } from "../../support/devices/plan_builder.ts";
import { webGpuTest } from "./support.ts";

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

webGpuTest("a buffer beyond the device's limit is refused with both sizes", async (device) => {
  const limit = device.gpu.limits.maxBufferSize;
  assert.throws(() => device.allocate(limit * 2, "huge"), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.match(error.message, new RegExp(`huge needs .* allows ${limit}`));
    return true;
  });
  await device.finish();
});

webGpuTest("a kernel that needs a longer binding is refused with both sizes", async (device) => {
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

webGpuTest("a kernel with more buffers than the device binds is refused", async (device) => {
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

webGpuTest("views of one buffer share a binding where bindings are few", async (device) => {
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

webGpuTest("an error on the device is thrown by the next call", async (device) => {
  const buffer = device.allocate(16, "small");
  // Wrong on purpose: a copy beyond the end, which WebGPU only reports later.
  const encoder = device.gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer.gpu, 0, buffer.gpu, 8, 64);
  device.gpu.queue.submit([encoder.finish()]);
  await assert.rejects(device.finish(), DeviceError);
  assert.throws(() => device.allocate(16, "next"), DeviceError);
});

webGpuTest("a lost device is an error that says so", async (device) => {
  const sum = await device.prepare(sumPlan(3), new Map());
  device.gpu.destroy();
  await device.gpu.lost;
  await Promise.resolve();
  const three = new Float32Array(3);
  assert.throws(() => sum.run({ a: three, b: three }), /was lost .* last checkpoint/);
});

webGpuTest("kernel times are reported by label", async (device) => {
  const reports: string[][] = [];
  device.onKernelTimes = (plan, times) => reports.push([plan, ...times.map((t) => t.label)]);
  const original = console.error;
  const printed: string[] = [];
  console.error = (text: string) => printed.push(text);
  try {
    const sum = await device.prepare(sumPlan(64), new Map());
    sum.run({ a: new Float32Array(64), b: new Float32Array(64) });
    await device.finish();
    sum.destroy();
  } finally {
    console.error = original;
  }
  assert.deepEqual(reports, [["sum", "add"]]);
  assert.match(printed.join("\n"), /@compute[^]*sum: .* ms\n.* 1 x {2}add/);
}, { debug: 3 });
