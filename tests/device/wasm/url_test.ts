/** The device as people run it who installed nothing: straight from a URL. */

import assert from "node:assert/strict";
import { withTempFolder } from "../../support/files.ts";
import { serveProject } from "../../support/cli/static_server.ts";

Deno.test("the wasm device runs from a URL, threads included", () =>
  serveProject((address) =>
    withTempFolder(async (cache) => {
      const code = `
      const from = ${JSON.stringify(address.href)};
      const { compile } = await import(from + "lib/compile/compile.ts");
      const { WasmDevice } = await import(from + "lib/device/wasm/device.ts");
      const t = await import(from + "lib/tensor/mod.ts");
      for (const simd of ["relaxed", "plain"]) {
        const device = await WasmDevice.open({ threads: 2, simd });
        const x = t.input("x", [100_000]);
        const plan = compile({ label: "sum", inputs: [x], outputs: { y: t.sum(x) }, updates: [] });
        const executable = await device.prepare(plan, new Map());
        executable.run({ x: new Float32Array(100_000).fill(0.5) });
        console.log((await executable.read(["y"])).y[0], device.description);
        device.close();
      }`;
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-check", "--no-config", "--no-lock", code],
        env: { DENO_DIR: cache },
        signal: AbortSignal.timeout(60_000),
      }).output();
      const text = new TextDecoder();
      assert.equal(
        text.decode(stdout),
        "50000 WebAssembly, 2 threads, relaxed SIMD\n" +
          "50000 WebAssembly, 2 threads, SIMD without fused multiply-add\n",
        text.decode(stderr),
      );
    })
  ));
