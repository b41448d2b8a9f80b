/**
 * The WGSL of one kernel per generator, as text: changes to the generators show what they change.
 * With IMM_UPDATE_SNAPSHOTS=1 the files are written instead of compared.
 */

import { equal } from "node:assert/strict";
import { contiguousStrides } from "../../../lib/base/arrays.ts";
import type { ConvKernel } from "../../../lib/compile/kernels/conv.ts";
import type { Access, Epilogue } from "../../../lib/compile/kernels/kernel.ts";
import type { Kernel } from "../../../lib/compile/kernels/mod.ts";
import { type Dispatch, SCRATCH, type Target } from "../../../lib/device/webgpu/dispatch.ts";
import { generate } from "../../../lib/device/webgpu/kernels.ts";
import { expression, storeResults } from "../../support/devices/plan_builder.ts";

const FOLDER = new URL("./snapshots/", import.meta.url);

/** A graphics processor with the limits that every WebGPU device has. */
const HARDWARE: Target = {
  software: false,
  offsetAlignment: 256,
  maxBindings: 8,
  maxBindingBytes: 128 << 20,
  maxWorkgroups: 65535,
  maxThreads: 256,
  maxWorkgroupBytes: 16384,
  wantedWorkgroups: 1024,
  batchInvariant: false,
  subgroupSize: null,
};
const SOFTWARE: Target = { ...HARDWARE, software: true, wantedWorkgroups: 8 };

let buffers = 0;
function array(...shape: number[]): Access {
  return { buffer: buffers++, offset: 0, strides: contiguousStrides(shape), dtype: "f32" };
}

function convolution(kind: ConvKernel["kind"], rows: number, columns: number): ConvKernel {
  return {
    kind,
    geometry: { kernel: [3, 3], stride: 1, padding: 1 },
    inputShape: [4, 16, 16, 32],
    outputShape: [4, 16, 16, 64],
    operands: [array(1), array(1)],
    epilogue: storeResults([rows, columns], array(rows, columns)),
    label: kind,
  };
}

function biasAndSigmoid(rows: number, columns: number): Epilogue {
  const bias = { ...array(columns), strides: [0, 1] };
  return {
    body: expression([rows, columns], [bias], [
      { op: "result", index: 0 },
      { op: "load", operand: 0 },
      { op: "map", fn: "add", args: [0, 1] },
      { op: "map", fn: "sigmoid", args: [2] },
    ]),
    stores: [{ value: 3, target: array(rows, columns) }],
  };
}

const attentionShape = [2, 100, 2, 72];
const attentionOperands = {
  shape: attentionShape,
  keys: 100,
  scale: 0.125,
  q: array(...attentionShape),
  k: array(...attentionShape),
  v: array(...attentionShape),
};

const sumOfRows: Kernel = {
  kind: "reduce",
  body: expression([50, 400], [array(50, 400)]),
  keptRank: 1,
  reductions: [{ fn: "sum", value: 0 }],
  epilogue: storeResults([50], array(50)),
  label: "sum",
};

const groupMoments: Kernel = {
  kind: "moments",
  body: expression([4, 8, 256, 4], [{ ...array(4, 256, 32), strides: [8192, 4, 32, 1] }]),
  keptRank: 2,
  value: 0,
  eps: 1e-5,
  mean: array(4, 8),
  rstd: array(4, 8),
  label: "moments",
};

const KERNELS: Record<string, [Kernel, Target]> = {
  elementwise: [{
    kind: "elementwise",
    body: expression([100, 36], [array(100, 36), { ...array(3), strides: [0, 0], dtype: "i32" }], [
      { op: "load", operand: 0 },
      { op: "random", distribution: "normal", stream: 5, key: 1, within: [0, 1], sample: [1, 0] },
      { op: "map", fn: "tanh", args: [0] },
      { op: "map", fn: "mul", args: [1, 2] },
    ]),
    stores: [{ value: 3, target: array(100, 36) }],
    label: "noise",
  }, HARDWARE],
  reduce_rows: [{
    kind: "reduce",
    body: expression([50, 400], [array(50, 400)]),
    keptRank: 1,
    reductions: [{ fn: "max", value: 0 }],
    epilogue: storeResults([50], array(50)),
    label: "max",
  }, HARDWARE],
  reduce_columns: [{
    kind: "reduce",
    body: expression([64, 4096], [{ ...array(4096, 64), strides: [1, 64] }]),
    keptRank: 1,
    reductions: [{ fn: "sum", value: 0 }],
    epilogue: storeResults([64], array(64)),
    label: "bias gradient",
  }, HARDWARE],
  reduce_rows_subgroup: [sumOfRows, { ...HARDWARE, subgroupSize: 32 }],
  moments: [groupMoments, HARDWARE],
  moments_subgroup: [groupMoments, { ...HARDWARE, subgroupSize: 32 }],
  matmul: [{
    kind: "matmul",
    batch: 1,
    m: 500,
    n: 48,
    k: 40,
    a: array(1, 500, 40),
    b: { ...array(1, 48, 40), strides: [0, 1, 40] },
    epilogue: biasAndSigmoid(500, 48),
    label: "linear",
  }, HARDWARE],
  matmul_software: [{
    kind: "matmul",
    batch: 1,
    m: 500,
    n: 48,
    k: 40,
    a: array(1, 500, 40),
    b: array(1, 40, 48),
    epilogue: biasAndSigmoid(500, 48),
    label: "linear",
  }, SOFTWARE],
  matmul_subgroup: [{
    kind: "matmul",
    batch: 1,
    m: 3000,
    n: 96,
    k: 40,
    a: array(1, 3000, 40),
    b: { ...array(1, 96, 40), strides: [0, 1, 40] },
    epilogue: biasAndSigmoid(3000, 96),
    label: "linear",
  }, { ...SOFTWARE, subgroupSize: 8 }],
  conv2d: [convolution("conv2d", 1024, 64), HARDWARE],
  conv2d_grad_input: [convolution("conv2dGradInput", 1024, 32), HARDWARE],
  conv2d_grad_weight_subgroup: [
    convolution("conv2dGradWeight", 288, 64),
    { ...SOFTWARE, subgroupSize: 8 },
  ],
  conv2d_grad_weight: [convolution("conv2dGradWeight", 288, 64), HARDWARE],
  attention: [{
    kind: "attention",
    ...attentionOperands,
    out: array(...attentionShape),
    lse: array(2, 2, 100),
    label: "attention",
  }, HARDWARE],
  attention_subgroup: [{
    kind: "attention",
    ...attentionOperands,
    out: array(...attentionShape),
    lse: array(2, 2, 100),
    label: "attention",
  }, { ...HARDWARE, subgroupSize: 32 }],
  attention_grad: [{
    kind: "attentionGrad",
    ...attentionOperands,
    out: array(...attentionShape),
    lse: array(2, 2, 100),
    dout: array(...attentionShape),
    delta: array(2, 2, 100),
    dq: array(...attentionShape),
    dk: array(...attentionShape),
    dv: array(...attentionShape),
    label: "attention gradient",
  }, HARDWARE],
  gather: [{
    kind: "gather",
    vocabulary: 10,
    count: 64,
    width: 32,
    index: { ...array(64), dtype: "i32" },
    source: array(10, 32),
    target: array(64, 32),
    label: "embedding",
  }, HARDWARE],
  resample: [{
    kind: "resample",
    direction: "up",
    filter: [0.25, 0.75, 0.75, 0.25],
    inputShape: [4, 8, 8, 16],
    outputShape: [4, 16, 16, 16],
    source: array(4, 8, 8, 16),
    target: array(4, 16, 16, 16),
    label: "up",
  }, HARDWARE],
};

for (const [name, [kernel, target]] of Object.entries(KERNELS)) {
  Deno.test(`the WGSL of ${name} is that of the snapshot`, async () => {
    const text = generate(kernel, target).map(describe).join("\n");
    const file = new URL(`${name}.wgsl`, FOLDER);
    if (Deno.env.get("IMM_UPDATE_SNAPSHOTS") === "1") {
      await Deno.mkdir(FOLDER, { recursive: true });
      await Deno.writeTextFile(file, text);
    }
    equal(text, await Deno.readTextFile(file));
  });
}

/** A dispatch as text, with its bindings. */
function describe({ label, wgsl, bindings, params, workgroups }: Dispatch): string {
  const first = Math.min(...bindings.map((b) => b.buffer).filter((b) => b !== SCRATCH));
  const lines = bindings.map(({ buffer, offset, size, writable }, i) => {
    const what = buffer === SCRATCH ? "scratch" : `buffer ${buffer - first}`;
    return `// ${i}: ${what} [${offset}, ${offset + size})${writable ? " writable" : ""}`;
  });
  if (params.length > 0) lines.push(`// params: ${params.join(", ")}`);
  return `// ${label}: ${workgroups.join(" x ")} workgroups\n${lines.join("\n")}\n${wgsl}`;
}
