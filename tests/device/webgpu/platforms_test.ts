/** What is done about peculiarities of systems that the tests do not run on. */

import assert from "node:assert/strict";
import { advise, type DeviceReport, tryLargeBuffer } from "../../../cli/doctor/doctor.ts";
import type { Device } from "../../../lib/device/device.ts";
import { openDevice } from "../../../lib/device/open.ts";
import { findAdapter } from "../../../lib/device/webgpu/adapter/adapter.ts";
import {
  type BackendSystem,
  hasAdapterElsewhere,
  preferVulkan,
} from "../../../lib/device/webgpu/adapter/backend.ts";
import { mayBeFalseAlarm, memoryError } from "../../../lib/device/webgpu/adapter/memory_error.ts";
import { hasAdapter } from "../../support/devices/devices.ts";
import { needing } from "../../support/needs.ts";

/** What is chosen in the end, and what was tried. */
async function chosen(
  system: Partial<BackendSystem> & { readonly adapters?: readonly string[] },
): Promise<[chosen: string | undefined, asked: number]> {
  let variable = system.chosen;
  let asked = 0;
  await preferVulkan({
    os: "windows",
    mayChoose: true,
    chosen: variable,
    choose: (backend) => variable = backend ?? undefined,
    hasAdapter: () => {
      asked++;
      return Promise.resolve((system.adapters ?? ["vulkan"]).includes(variable!));
    },
    ...system,
  });
  return [variable, asked];
}

Deno.test("on Windows WebGPU goes through Vulkan where there is a driver for it", async () => {
  assert.deepEqual(await chosen({}), ["vulkan", 1]);
  // Without one it is Direct3D, as Deno chooses by itself.
  assert.deepEqual(await chosen({ adapters: [] }), [undefined, 1]);
  const broken = { hasAdapter: () => Promise.reject(new Error("no thread")) };
  assert.deepEqual(await chosen(broken), [undefined, 0]);
});

Deno.test("what a person has chosen stays, and so does what may not be changed", async () => {
  assert.deepEqual(await chosen({ chosen: "dx12" }), ["dx12", 0]);
  assert.deepEqual(await chosen({ chosen: "" }), ["", 0]);
  assert.deepEqual(await chosen({ mayChoose: false }), [undefined, 0]);
  for (const os of ["linux", "darwin"] as const) {
    assert.deepEqual(await chosen({ os }), [undefined, 0]);
  }
});

Deno.test("another thread finds the adapter that this one finds", async () => {
  assert.equal(await hasAdapterElsewhere(), await findAdapter() !== null);
});

const RADEON = { description: "AMD Radeon RX 7600 (RADV NAVI33)", vendor: "4098" };
const GEFORCE = { description: "NVIDIA GeForce RTX 4070", vendor: "4318" };

Deno.test("too little memory on an AMD card under Linux may be a false alarm, and is explained", () => {
  assert.equal(mayBeFalseAlarm(RADEON, "linux"), true);
  assert.equal(mayBeFalseAlarm({ description: "", vendor: "0x1002" }, "linux"), true);
  assert.equal(mayBeFalseAlarm(RADEON, "windows"), false);
  assert.equal(mayBeFalseAlarm(GEFORCE, "linux"), false);
  assert.equal(
    mayBeFalseAlarm({ description: "llvmpipe (LLVM 15)", vendor: "65541" }, "linux"),
    false,
  );
  const said = memoryError(RADEON, "not enough memory left", "linux").message;
  assert.match(said, /^AMD .* has too little memory: not enough memory left\. The card may have/);
  assert.match(said, /deno issue 35195.*Resizable BAR.*--micro-batch.*--device wasm/);
  assert.equal(
    memoryError(GEFORCE, "Out of memory.", "linux").message,
    "NVIDIA GeForce RTX 4070 has too little memory: Out of memory.",
  );
});

Deno.test("imm doctor tries a large buffer where it may be refused, and says what to do", async () => {
  const device: Pick<Device, "limits" | "allocate"> = {
    limits: { total: null, buffer: 2 ** 31 },
    allocate: () => {
      throw memoryError(RADEON, "not enough memory left", "linux");
    },
  };
  const problem = await tryLargeBuffer(device as Device);
  assert.match(problem!, /35195/);
  const report = (memoryProblem: string | null): DeviceReport => ({
    name: "webgpu",
    usable: true,
    description: RADEON.description,
    selfTest: null,
    problem: null,
    memoryProblem,
  });
  const adapter = {
    ...RADEON,
    architecture: "",
    software: false,
    features: [],
    limits: {},
  };
  const choice = { device: "webgpu", why: "there is a GPU" };
  assert.deepEqual(advise(adapter, [report(null)], choice), []);
  assert.match(advise(adapter, [report(problem)], choice).join(" "), /Resizable BAR/);
});

Deno.test(needing("WebGPU", hasAdapter, {
  name: "a device that has the memory passes the trial",
  async fn() {
    const device = await openDevice({ device: "webgpu" });
    assert.equal(await tryLargeBuffer(device), null);
    device.close();
  },
}));
