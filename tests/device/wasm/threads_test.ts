/** Threads and SIMD variants: what they may and may not change. */

import assert from "node:assert/strict";
import type { HostArray } from "../../../lib/device/device.ts";
import { assertClose } from "../../support/close.ts";
import { fillInputs, runPlan } from "../../support/devices/run_plan.ts";
import { NETWORK_INTEGERS, networkPlan, withDevice } from "./support.ts";

const plan = networkPlan();
const inputs = fillInputs(plan, NETWORK_INTEGERS);
const run = (threads: number, simd: "relaxed" | "plain" = "relaxed") =>
  withDevice({ threads, simd }, (device) => runPlan(device, plan, inputs));

let one: Promise<Record<string, HostArray>> | null = null;

for (const threads of [2, 3, 5]) {
  Deno.test(`${threads} threads compute the same bits as one`, async () => {
    assert.deepEqual(await run(threads), await (one ??= run(1)));
  });
}

Deno.test("every run of a program computes the same bits", async () => {
  await withDevice({ threads: 3 }, async (device) => {
    const executable = await device.prepare(plan, new Map());
    const names = [...plan.outputs.keys()];
    executable.run(inputs);
    const first = await executable.read(names);
    for (let i = 0; i < 20; i++) executable.run({});
    assert.deepEqual(await executable.read(names), first);
  });
});

Deno.test("plain SIMD differs from relaxed SIMD by rounding only", async () => {
  const [relaxed, plain] = [await (one ??= run(1)), await run(2, "plain")];
  for (const name of plan.outputs.keys()) {
    assertClose(plain[name], relaxed[name], { rel: 1e-4 }, name);
  }
});

Deno.test("relaxed SIMD is taken where the engine knows it, else plain SIMD", async () => {
  const { validate } = WebAssembly;
  try {
    for (
      const [known, expected] of [[true, "relaxed SIMD"], [
        false,
        "SIMD without fused multiply-add",
      ]] as const
    ) {
      WebAssembly.validate = () => known;
      await withDevice({ threads: 1 }, async (device) => {
        assert.equal(device.description.split(", ").at(-1), expected);
        const simd = known ? "relaxed" : "plain";
        assert.deepEqual(await runPlan(device, plan, inputs), await run(1, simd));
      });
    }
  } finally {
    WebAssembly.validate = validate;
  }
});

Deno.test("a batch-invariant plan gives a sample the same bits in every batch", async () => {
  await withDevice({ threads: 2 }, async (device) => {
    const { compile } = await import("../../../lib/compile/compile.ts");
    const t = await import("../../../lib/tensor/mod.ts");
    const outputs = async (batch: number) => {
      const x = t.input("x", [batch, 40, 200]);
      const w = t.input("w", [200, 7]);
      const normed = t.groupNorm(x, 4, t.full([200], 1), t.full([200], 0), 1e-5);
      const columns = t.sum(t.exp(normed), 1);
      const product = t.matmul(t.transpose(normed), t.reshape(t.mul(x, 2), [batch, 40, 200]));
      const y = t.matmul(normed, w);
      // Images so small that a block has several of them.
      const image = t.input("image", [batch, 4, 4, 16]);
      const filters = t.input("filters", [3, 3, 16, 16]);
      const normedImage = t.groupNorm(image, 4, t.full([16], 1), t.full([16], 0), 1e-5);
      const convolved = t.conv2d(normedImage, filters, undefined, { padding: 1 });
      const plan = compile({
        label: `batch of ${batch}`,
        inputs: [x, w, image, filters],
        outputs: { columns, product, y, normedImage, convolved },
        updates: [],
        batchInvariant: true,
      });
      const all = fillInputs(plan);
      return await runPlan(device, plan, all);
    };
    const [small, large] = [await outputs(1), await outputs(9)];
    for (const name of Object.keys(small)) {
      assert.deepEqual(small[name], large[name].slice(0, small[name].length), name);
    }
  });
});

Deno.test("without Workers one thread does everything, unless more were asked for", async () => {
  const { Worker } = globalThis;
  globalThis.Worker = class {
    constructor() {
      throw new Error("no Workers today");
    }
  } as unknown as typeof Worker;
  try {
    await withDevice({}, async (device) => {
      const several = navigator.hardwareConcurrency > 1;
      assert.match(
        device.description,
        several ? /1 thread \(no more: .*no Workers today\)/ : /1 thread/,
      );
      assert.deepEqual(await runPlan(device, plan, inputs), await (one ??= run(1)));
    });
    await assert.rejects(withDevice({ threads: 2 }, () => Promise.resolve()), /no Workers today/);
  } finally {
    globalThis.Worker = Worker;
  }
});
