/** The tuner: what it may choose, what it remembers, and that nothing but speed depends on it. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { mapBlocks } from "../../../lib/compile/blocks.ts";
import type { ConvKernel } from "../../../lib/compile/kernels/conv.ts";
import type { Kernel } from "../../../lib/compile/kernels/mod.ts";
import { ChoicesFile } from "../../../lib/device/webgpu/tuning/choices_file.ts";
import { WebGpuDevice, type WebGpuOptions } from "../../../lib/device/webgpu/device.ts";
import { classOf, generate, variantsOf } from "../../../lib/device/webgpu/kernels.ts";
import { tryVariants } from "../../../lib/device/webgpu/tuning/trial.ts";
import { hasAdapter, WEBGPU_TARGETS } from "../../support/devices/devices.ts";
import { needing } from "../../support/needs.ts";
import { expression, PlanBuilder, storeResults } from "../../support/devices/plan_builder.ts";
import { importMapArguments } from "../../support/cli/imm.ts";

const MEASURED = { adapter: "a card", deno: "2.9.6" };

/** One kernel of each family, small but larger than a tile. */
function kernels(): Record<string, Kernel> {
  const p = new PlanBuilder();
  const conv = (
    kind: ConvKernel["kind"],
    rows: number,
    columns: number,
    label: string,
  ): Kernel => ({
    kind,
    geometry: { kernel: [3, 3], stride: 1, padding: 1 },
    inputShape: [2, 12, 12, 20],
    outputShape: [2, 12, 12, 36],
    operands: [p.input(`${label} 0`, [20736]), p.input(`${label} 1`, [20736])],
    epilogue: storeResults([rows, columns], p.output(label, [rows, columns])),
    label,
  });
  const linear = (name: string, m: number, n: number, k: number): Kernel => ({
    kind: "matmul",
    batch: 1,
    m,
    n,
    k,
    a: p.input(`${name} a`, [1, m, k]),
    b: { ...p.input(`${name} b`, [1, n, k]), strides: [0, 1, k] },
    epilogue: storeResults([m, n], p.output(`${name} y`, [m, n])),
    label: name,
  });
  const attention = {
    shape: [2, 14, 2, 72],
    keys: 14,
    scale: 0.125,
    q: p.input("q", [2, 14, 2, 72]),
    k: p.input("k", [2, 14, 2, 72]),
    v: p.input("v", [2, 14, 2, 72]),
  };
  return {
    matmul: linear("linear", 100, 44, 70),
    "deep matmul": linear("deep", 40, 24, 2000),
    "thin matmul": linear("thin", 100, 3, 70),
    conv2d: conv("conv2d", 288, 36, "forward"),
    "input gradient": conv("conv2dGradInput", 288, 20, "input gradient"),
    "weight gradient": conv("conv2dGradWeight", 180, 36, "weight gradient"),
    "sum of rows": {
      kind: "reduce",
      body: expression([14, 400], [p.input("rows", [14, 400])]),
      keptRank: 1,
      reductions: [{ fn: "sum", value: 0 }, { fn: "max", value: 0 }],
      epilogue: storeResults([14], p.output("sums", [14])),
      label: "rows",
    },
    "sum of columns": {
      kind: "reduce",
      body: expression([12, 900], [{ ...p.input("columns", [900, 12]), strides: [1, 12] }]),
      keptRank: 1,
      reductions: [{ fn: "sum", value: 0 }],
      epilogue: storeResults([12], p.output("column sums", [12])),
      label: "columns",
    },
    moments: {
      kind: "moments",
      body: expression([30, 1000], [p.input("values", [30, 1000])]),
      keptRank: 1,
      value: 0,
      eps: 1e-5,
      mean: p.output("mean", [30]),
      rstd: p.output("rstd", [30]),
      label: "moments",
    },
    "elementwise": {
      kind: "elementwise",
      body: expression([100, 36], [p.input("x", [100, 36])], [
        { op: "load", operand: 0 },
        { op: "map", fn: "tanh", args: [0] },
      ]),
      stores: [{ value: 1, target: p.output("tanh", [100, 36]) }],
      label: "tanh",
    },
    attention: {
      kind: "attention",
      ...attention,
      out: p.output("out", [2, 14, 2, 72]),
      lse: p.output("lse", [2, 2, 14]),
      label: "attention",
    },
    "attention gradient": {
      kind: "attentionGrad",
      ...attention,
      out: p.input("out before", [2, 14, 2, 72]),
      lse: p.input("lse before", [2, 2, 14]),
      dout: p.input("dout", [2, 14, 2, 72]),
      delta: p.output("delta", [2, 2, 14]),
      dq: p.output("dq", [2, 14, 2, 72]),
      dk: p.output("dk", [2, 14, 2, 72]),
      dv: p.output("dv", [2, 14, 2, 72]),
      label: "attention gradient",
    },
  };
}

for (const [name, target] of Object.entries(WEBGPU_TARGETS)) {
  gpuTest(`variants of every kernel give the same bits [${name}]`, async (device) => {
    for (const [kernelName, kernel] of Object.entries(kernels())) {
      const all = variantsOf(kernel, device.target);
      ok(all.length > 1, `${kernelName} has one variant`);
      equal(new Set(all.map((v) => v.name)).size, all.length, kernelName);
      // All tiles go by in the first product; compiling them takes long.
      const variants = kernelName === "matmul" ? all : all.filter((_, i) => i % 3 === 0);
      const results = await tryVariants(
        device.gpu,
        device.pipelines,
        variants.map((variant) => generate(kernel, { ...device.target, variant })),
        "none",
      );
      deepEqual(
        results.map(({ index }) => variants[index].name),
        variants.map((v) => v.name),
        kernelName,
      );
    }
  }, { target });
}

gpuTest(
  "kernels that read float16 are tried, too, and have choices of their own",
  async (device) => {
    if (!device.float16) return;
    const { "thin matmul": product, "sum of rows": sum, moments } = kernels();
    for (const kernel of [product, sum, moments]) {
      const half = mapBlocks(
        kernel,
        (block, mode) => mode === "read" ? { ...block, dtype: "f16" } : block,
      );
      equal(classOf(half, device.target), `${classOf(kernel, device.target)} of f16`);
      const variants = variantsOf(half, device.target);
      const results = await tryVariants(
        device.gpu,
        device.pipelines,
        variants.map((variant) => generate(half, { ...device.target, variant })),
        "none",
      );
      deepEqual(results.map(({ index }) => index), variants.map((_, i) => i), kernel.label);
    }
  },
);

gpuTest("a variant with other bits is not taken", async (device) => {
  const p = new PlanBuilder();
  const [x, y] = [p.input("x", [64]), p.output("y", [64])];
  const scaled = (factor: number): Kernel => ({
    kind: "elementwise",
    body: expression([64], [x], [
      { op: "load", operand: 0 },
      { op: "const", value: factor, dtype: "f32" },
      { op: "map", fn: "mul", args: [0, 1] },
    ]),
    stores: [{ value: 2, target: y }],
    label: "scaled",
  });
  const codes = [2, 2 + 2 ** -22, 2].map((factor) => generate(scaled(factor), device.target));
  const results = await tryVariants(device.gpu, device.pipelines, codes, "clock");
  deepEqual(results.map((r) => r.index), [0, 2]);
  ok(results.every(({ time }) => time > 0));
});

Deno.test(needing("WebGPU", hasAdapter, {
  name: "a plan is tuned once, its choices are found again, and it computes the same bits",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const plan = productPlan();
      const untuned = await runOn({ tuning: "off" }, plan);
      deepEqual(untuned.tuned, []);
      const first = await runOn({ tuning: "first-use", tuningFolder: folder }, plan);
      equal(first.tuned.length, 1);
      const second = await runOn({ tuning: "first-use", tuningFolder: folder }, plan);
      deepEqual(second.tuned, []);
      const again = await runOn({ tuning: "again", tuningFolder: folder }, plan);
      deepEqual(again.tuned, first.tuned);
      for (const { bits } of [first, second, again]) deepEqual(bits, untuned.bits);
      const files = [...Deno.readDirSync(folder)].map((f) => f.name);
      equal(files.length, 1, "one file, and no temporary one");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
}));

Deno.test("choices come back for the same adapter and Deno only", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = await ChoicesFile.open(MEASURED, join(folder, "made", "on demand"));
    file.set("matmul", "64x64");
    ok(await file.save());
    const open = (measured: typeof MEASURED) =>
      ChoicesFile.open(measured, join(folder, "made", "on demand"));
    equal((await open(MEASURED)).get("matmul"), "64x64");
    equal((await open({ ...MEASURED, adapter: "another card" })).get("matmul"), undefined);
    equal((await open({ ...MEASURED, deno: "2.9.7" })).get("matmul"), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("two programs that tune at once keep each other's choices", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [one, two] = [
      await ChoicesFile.open(MEASURED, folder),
      await ChoicesFile.open(MEASURED, folder),
    ];
    one.set("a", "1");
    ok(await one.save());
    two.set("b", "2");
    ok(await two.save());
    const both = await ChoicesFile.open(MEASURED, folder);
    deepEqual([both.get("a"), both.get("b")], ["1", "2"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (
  const [what, content] of Object.entries({
    "not JSON": "{",
    "a list": "[1]",
    "of another version": '{"version": 999, "choices": {"a": "1"}}',
    "without choices": '{"version": 1}',
    "full of numbers": '{"version": 1, "choices": {"a": 1}}',
    "empty": "",
  })
) {
  Deno.test(`a file that is ${what} counts as none and is replaced`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = await ChoicesFile.open(MEASURED, folder);
      file.set("x", "y");
      ok(await file.save());
      const [{ name }] = [...Deno.readDirSync(folder)];
      await Deno.writeTextFile(join(folder, name), content);
      const damaged = await ChoicesFile.open(MEASURED, folder);
      equal(damaged.size, 0);
      damaged.set("b", "2");
      ok(await damaged.save());
      equal((await ChoicesFile.open(MEASURED, folder)).get("b"), "2");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("a cache that cannot be written is left alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // A file where the folder should be: not even the superuser can write below it.
    const blocked = join(folder, "file");
    await Deno.writeTextFile(blocked, "in the way");
    const file = await ChoicesFile.open(MEASURED, blocked);
    file.set("a", "1");
    equal(await file.save(), false);
    equal(file.get("a"), "1");
    equal(await Deno.readTextFile(blocked), "in the way");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("without permissions there is no cache, and nobody is asked", async () => {
  const module = new URL("../../../lib/device/webgpu/tuning/choices_file.ts", import.meta.url);
  const code = `const { ChoicesFile } = await import(${JSON.stringify(module.href)});
const file = await ChoicesFile.open({ adapter: "a", deno: "b" });
file.set("a", "1");
console.log(await file.save(), file.size);`;
  const folder = await Deno.makeTempDir();
  try {
    const script = join(folder, "script.ts");
    await Deno.writeTextFile(script, code);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-check", ...importMapArguments(), script],
      env: { IMM_CACHE_DIR: folder },
    }).output();
    ok(success, new TextDecoder().decode(stderr));
    equal(new TextDecoder().decode(stdout), "false 1\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A product that is large enough to have a choice of tiles. */
function productPlan() {
  const [m, n, k] = [400, 160, 96];
  const p = new PlanBuilder();
  const [a, b, y] = [p.input("a", [1, m, k]), p.input("b", [1, k, n]), p.output("y", [m, n])];
  const epilogue = storeResults([m, n], y);
  p.kernel({ kind: "matmul", batch: 1, m, n, k, a, b, epilogue, label: "matmul" });
  return p.build();
}

/** The result of the plan on a device of its own, and the classes that were tuned for it. */
async function runOn(options: WebGpuOptions, plan: ReturnType<typeof productPlan>) {
  const tuned: string[] = [];
  const device = await WebGpuDevice.open({
    debug: 0,
    ...options,
    onTuning: ({ kernelClass }) => tuned.push(kernelClass),
  });
  try {
    const executable = await device.prepare(plan, new Map());
    const ramp = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));
    executable.run({ a: ramp(400 * 96), b: ramp(96 * 160) });
    const { y } = await executable.read(["y"]);
    return { tuned, bits: new Uint32Array(y.buffer) };
  } finally {
    device.close();
  }
}

/** A test on a device that never looks at the user's cache. */
function gpuTest(
  name: string,
  body: (device: WebGpuDevice) => Promise<void>,
  options: WebGpuOptions = {},
): void {
  Deno.test(needing("WebGPU", hasAdapter, {
    name,
    fn: async () => {
      const device = await WebGpuDevice.open({ debug: 0, tuning: "off", ...options });
      try {
        await body(device);
      } finally {
        device.close();
      }
    },
  }));
}
