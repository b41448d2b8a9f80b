/** Memory: nothing leaks, what does not fit is refused, and the device ends with its threads. */

import assert from "node:assert/strict";
import { compile } from "../../../lib/compile/compile.ts";
import { WasmDevice } from "../../../lib/device/wasm/device.ts";
import { Heap, OutOfMemory } from "../../../lib/device/wasm/heap.ts";
import { DeviceError } from "../../../lib/base/errors.ts";
import * as t from "../../../lib/tensor/mod.ts";
import { fillInputs } from "../../support/devices/run_plan.ts";
import { NETWORK_INTEGERS, networkPlan, withDevice } from "./support.ts";

Deno.test("thousands of runs, and preparing again and again, take no more memory", async () => {
  await withDevice({ threads: 2 }, async (device) => {
    const plan = networkPlan();
    const inputs = fillInputs(plan, NETWORK_INTEGERS);
    const before = device.bytesInUse;
    const once = async (runs: number) => {
      const executable = await device.prepare(plan, new Map());
      for (let i = 0; i < runs; i++) executable.run(inputs);
      executable.destroy();
      return device.team.heap.memory.buffer.byteLength;
    };
    const size = await once(1);
    for (let i = 0; i < 30; i++) await once(100);
    assert.equal(device.bytesInUse, before);
    assert.equal(device.team.heap.memory.buffer.byteLength, size);
  });
});

Deno.test("a plan that does not fit the address space is refused with its size", async () => {
  await withDevice({ threads: 1 }, async (device) => {
    const x = t.input("x", [3, 1 << 29]);
    const plan = compile({ label: "huge", inputs: [x], outputs: { y: t.neg(x) }, updates: [] });
    const before = device.bytesInUse;
    await assert.rejects(device.prepare(plan, new Map()), (error) => {
      assert.ok(error instanceof DeviceError);
      // Twice 3 * 2^29 numbers of four bytes.
      assert.match(error.message, /huge needs 12288 MiB .* can address \d+ MiB .* smaller batch/);
      return true;
    });
    assert.equal(device.bytesInUse, before);
    assert.throws(() => device.allocate(2 ** 33, "arena"), /arena needs 8192 MiB/);
    assert.equal(device.bytesInUse, before);
  });
});

Deno.test("memory beyond 2 GiB is addressed like any other", async () => {
  await withDevice({ threads: 1 }, async (device) => {
    // Never touched, so the machine does not need that much.
    const below = device.allocate(2 ** 31 + 2 ** 20, "below");
    const x = t.input("x", [1000]);
    const outputs = { y: t.add(x, 1), total: t.sum(x) };
    const plan = compile({ label: "high", inputs: [x], outputs, updates: [] });
    const executable = await device.prepare(plan, new Map());
    executable.run({ x: Float32Array.from({ length: 1000 }, (_, i) => i) });
    const { y, total } = await executable.read(["y", "total"]);
    assert.deepEqual(y, Float32Array.from({ length: 1000 }, (_, i) => i + 1));
    assert.equal(total[0], 499_500);
    device.free(below);
  });
});

Deno.test("a process ends by itself once its device is closed", async () => {
  const module = new URL("../../../lib/device/wasm/device.ts", import.meta.url);
  const code = `import { WasmDevice } from ${JSON.stringify(module.href)};
    const device = await WasmDevice.open({ threads: 3 });
    device.close();
    console.log("closed");`;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    signal: AbortSignal.timeout(60_000),
  }).output();
  assert.ok(success);
  assert.equal(new TextDecoder().decode(stdout), "closed\n");
});

Deno.test("a device opens and closes many times", async () => {
  for (let i = 0; i < 10; i++) (await WasmDevice.open({ threads: 3 })).close();
});

Deno.test("the heap gives out zeroed blocks that never overlap, and joins what comes back", () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 4096, shared: true });
  const heap = new Heap(memory, 1000, 4096 * 65536);
  const blocks: { address: number; size: number; mark: number }[] = [];
  let state = 1;
  const random = (limit: number) => {
    state = Math.imul(state, 1103515245) + 12345 | 0;
    return (state >>> 8) % limit;
  };
  const bytes = (address: number, size: number) => new Uint8Array(memory.buffer, address, size);
  for (let i = 0; i < 3000; i++) {
    if (blocks.length > 0 && random(5) < 2) {
      const [{ address, size, mark }] = blocks.splice(random(blocks.length), 1);
      assert.ok(bytes(address, size).every((byte) => byte === mark), "overwritten");
      heap.free(address);
    } else {
      const size = 1 + random(i % 50 === 0 ? 300_000 : 3000);
      const address = heap.allocate(size);
      assert.equal(address % 64, 0);
      assert.ok(address >= 1000);
      assert.ok(bytes(address, size).every((byte) => byte === 0), "not zeroed");
      const mark = 1 + i % 255;
      bytes(address, size).fill(mark);
      blocks.push({ address, size, mark });
    }
  }
  for (const { address } of blocks) heap.free(address);
  assert.equal(heap.used, 0);
  // In one piece again: nearly everything can be had at once.
  heap.free(heap.allocate(memory.buffer.byteLength - 2000));
  const { byteLength } = memory.buffer;
  assert.throws(() => heap.allocate(4097 * 65536), OutOfMemory);
  assert.equal(memory.buffer.byteLength, byteLength);
  assert.throws(() => heap.free(64), /no block at 64/);
});
