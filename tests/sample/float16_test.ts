/** Sampling with a network in float16. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { openDevice } from "../../lib/device/open.ts";
import { WebGpuDevice } from "../../lib/device/webgpu/device.ts";
import { immConfig, pushforwardSteps, scheduleTimes } from "../../lib/imm/mod.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { Generator } from "../../lib/sample/generator.ts";
import { describeSampling } from "../../lib/sample/planner.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { assertClose } from "../support/close.ts";
import { needingFloat16 } from "../support/devices/devices.ts";
import { exists, withTempFolder } from "../support/files.ts";
import { imm } from "../support/examples/runs.ts";

const NETWORK = createNetwork({
  type: "dit",
  imgResolution: 4,
  imgChannels: 3,
  labelDim: 3,
  patchSize: 2,
  hiddenSize: 24,
  depth: 2,
  numHeads: 2,
}).config;

/** A model whose layers all do something: what is zero at first is noise here. */
function model() {
  const network = createNetwork(NETWORK);
  const weights = network.parameters.initial(0);
  let n = 0;
  for (const [name, { data }] of weights) {
    n++;
    const constant = data.every((value) => value === data[0]);
    if (constant && !name.includes("pos_embed")) {
      data.set(hostNormal([n, 1], [data.length], 0).map((value) => 0.2 * value));
    }
  }
  return { network: network.config, imm: immConfig(), weights };
}

Deno.test(needingFloat16({
  name: "samples in float16 are near those in float32, and the same in any batch",
  fn: async () => {
    const device = await WebGpuDevice.open();
    const wasm = await openDevice({ device: "wasm", threads: 1 });
    try {
      const { imm } = model();
      const steps = pushforwardSteps(imm, scheduleTimes(imm, { kind: "uniform", steps: 2 }));
      const options = { seeds: [1, 2, 3, 4, 5], labels: [0, 1, 2, null, 0], steps, guidance: 1.5 };
      const draw = async (on: typeof device | typeof wasm, batch: number, half: boolean) => {
        const generator = await Generator.create(on, model(), {
          batch,
          precision: half ? "float16" : "float32",
        });
        const samples = await generator.generate(options);
        generator.free();
        return samples;
      };
      const half = await draw(device, 5, true);
      const single = await draw(wasm, 5, false);
      // Two calls, each off by a few times 2^-11 of the largest values.
      assertClose(half, single, { rel: 3e-3 });
      assert(half.some((value, i) => Math.abs(value - single[i]) > 1e-5), "not float16");
      assert.deepEqual(await draw(device, 2, true), half);
    } finally {
      device.close();
      wasm.close();
    }
  },
}));

Deno.test("weights and activations of a sampler in float16 take half of the memory", () => {
  const [half, single] = (["float16", "float32"] as const).map((precision) =>
    describeSampling(NETWORK, 64, precision)
  );
  const frozen = 4 * createNetwork(NETWORK).parameters.frozen.length;
  assert.equal(2 * (half.weightBytes - frozen), single.weightBytes - frozen);
  const ratio = half.scratchBytes / single.scratchBytes;
  assert(ratio > 0.5 && ratio < 0.7, `${ratio}`);
  assert.equal(half.flopsPerImage, single.flopsPerImage);
});

Deno.test("imm sample refuses float16 where it does not exist, and to mix precisions", async () => {
  await withTempFolder(async (folder) => {
    const file = join(folder, "model.safetensors");
    const { network, imm: config, weights } = model();
    await saveModel(file, { network, imm: config, weights, notes: {} });
    const sample = (out: string, ...args: string[]) =>
      imm("sample", "--checkpoint", file, "--seeds", "0-3", "--out", join(folder, out), ...args);
    const refused = await sample("a.npz", "--device", "wasm", "--precision", "float16");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /--device webgpu or --precision float32/);
    assert.equal(await exists(join(folder, "a.npz")), false);

    const first = await sample("pictures", "--device", "wasm", "--json");
    assert.equal(first.code, 0, first.stderr);
    assert.equal(JSON.parse(first.stdout).precision, "float32");
    const mixed = await sample("pictures", "--seeds", "0-7", "--precision", "float16");
    assert.equal(mixed.code, 2);
    assert.match(mixed.stderr, /made differently \(precision: none, now "float16"\)/);

    const plan = await sample("b.npz", "--precision", "float16", "--dry-run", "--json");
    assert.equal(plan.code, 0, plan.stderr);
    assert.equal(JSON.parse(plan.stdout).precision, "float16");
  });
});
