import assert from "node:assert/strict";
import { dirname, fromFileUrl } from "jsr:@std/path@1.0.8";
import type { Diagnosis } from "../../cli/doctor/doctor.ts";
import { VERSION } from "../../lib/base/version.ts";
import { imm, importMapArguments } from "../support/cli/imm.ts";

/** Whatever the machine has, this must hold of what the doctor says. */
function assertConsistent(diagnosis: Diagnosis, code: number) {
  assert.equal(diagnosis.version, VERSION);
  assert.equal(diagnosis.runtime.deno, Deno.version.deno);
  assert.deepEqual(diagnosis.devices.map(({ name }) => name), ["webgpu", "wasm"]);
  for (const device of diagnosis.devices) {
    assert.equal(device.usable, device.selfTest?.passed === true);
    assert.equal(device.usable, device.problem === null);
    if (device.selfTest) assert.ok(device.selfTest.worstError < 1e-5);
  }
  assert.equal(diagnosis.chosen !== null, code === 0);
  if (diagnosis.chosen) {
    const chosen = diagnosis.devices.find(({ name }) => name === diagnosis.chosen!.device);
    assert.equal(chosen?.usable, true);
  }
}

Deno.test("imm doctor --json tests the devices and prints only JSON on stdout", async () => {
  const { code, stdout } = await imm(["doctor", "--json"]);
  const diagnosis: Diagnosis = JSON.parse(stdout);
  assertConsistent(diagnosis, code);
  const webgpu = diagnosis.devices[0];
  assert.equal(webgpu.usable, diagnosis.adapter !== null, webgpu.problem ?? "");
  if (diagnosis.adapter) assert.ok(diagnosis.adapter.limits.maxBufferSize >= 2 ** 28);
});

Deno.test("imm doctor without an adapter says what to install and never crashes", async () => {
  const env = { DENO_WEBGPU_BACKEND: "none", VK_DRIVER_FILES: "/no/such.json" };
  const { code, stdout } = await imm(["doctor", "--json"], { env });
  const diagnosis: Diagnosis = JSON.parse(stdout);
  assertConsistent(diagnosis, code);
  assert.equal(diagnosis.adapter, null);
  assert.match(diagnosis.devices[0].problem!, /adapter/);
  assert.notEqual(diagnosis.chosen?.device, "webgpu");
  assert.match(diagnosis.advice.join("\n"), /WebGPU found no adapter/);
  assert.equal(diagnosis.environment.VK_DRIVER_FILES, "/no/such.json");
});

Deno.test({
  name: "the launcher gives imm doctor the permissions that it needs",
  ignore: Deno.build.os === "windows",
  async fn() {
    const launcher = fromFileUrl(import.meta.resolve("../../imm"));
    const { code, stdout, stderr } = await new Deno.Command(launcher, {
      args: ["doctor", "--json"],
      env: {
        IMM_NO_INSTALL: "1",
        IMM_OFFLINE: importMapArguments().length > 0 ? "1" : "0",
        PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
      },
    }).output();
    const diagnosis: Diagnosis = JSON.parse(new TextDecoder().decode(stdout));
    assertConsistent(diagnosis, code);
    assert.doesNotMatch(new TextDecoder().decode(stderr), /did not allow|bug in imm/);
  },
});
