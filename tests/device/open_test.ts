import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { openDevice } from "../../lib/device/open.ts";
import { findAdapter, isSoftware } from "../../lib/device/webgpu/adapter/adapter.ts";
import { hasAdapter } from "../support/devices/devices.ts";
import { needing } from "../support/needs.ts";

for (const name of ["webgpu", "wasm"] as const) {
  Deno.test(needing("WebGPU", name !== "webgpu" || hasAdapter, {
    name: `openDevice() opens the device ${name}`,
    fn: async () => {
      const device = await openDevice({ device: name });
      assert.equal(device.kind, name);
      assert.ok(device.description.length > 0);
      device.close();
    },
  }));
}

Deno.test("openDevice() chooses WebGPU for graphics processors only", async () => {
  const adapter = await findAdapter();
  const device = await openDevice();
  assert.equal(device.kind, adapter && !isSoftware(adapter) ? "webgpu" : "wasm");
  device.close();
});

Deno.test("openDevice() says which threads it has, and refuses senseless numbers", async () => {
  const device = await openDevice({ device: "wasm", threads: 2 });
  assert.match(device.description, /WebAssembly, 2 threads, .*SIMD/);
  device.close();
  for (const threads of [0, -1, 1.5, NaN, 1e6]) {
    await assert.rejects(openDevice({ device: "wasm", threads }), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, new RegExp(`--threads .* not ${threads}`));
      return true;
    });
  }
});
