/** Values stored as float16: every kind of kernel against float32, forward and backward. */

import { equal, ok, rejects, throws } from "node:assert/strict";
import { compile } from "../../lib/compile/compile.ts";
import type { Plan } from "../../lib/compile/plan.ts";
import { summarize } from "../../lib/compile/print.ts";
import { ArenaBuffer, arenaMap } from "../../lib/device/arena_buffer.ts";
import type { Device } from "../../lib/device/device.ts";
import { requireFloat16, usesFloat16 } from "../../lib/device/float16.ts";
import { WasmDevice } from "../../lib/device/wasm/device.ts";
import { WebGpuDevice } from "../../lib/device/webgpu/device.ts";
import type { Target } from "../../lib/device/webgpu/dispatch.ts";
import { DeviceError } from "../../lib/base/errors.ts";
import * as t from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { needingFloat16, WEBGPU_TARGETS } from "../support/devices/devices.ts";
import { interpretPlan } from "../support/reference/plan.ts";
import { randomProgram } from "../support/devices/random_programs.ts";
import { assertLikeInterpreter, fillInputs, runPlan } from "../support/devices/run_plan.ts";

/** A function of tensors, to be tried with its gradients. */
interface Case {
  readonly name: string;
  readonly shapes: readonly t.Shape[];
  readonly build: (...inputs: t.Tensor[]) => t.Tensor;
}

const image: t.Shape = [2, 8, 8, 8];
const rows = (x: t.Tensor) => t.reshape(x, [x.size / x.shape.at(-1)!, x.shape.at(-1)!]);

const CASES: readonly Case[] = [
  {
    name: "product",
    shapes: [[40, 36], [36, 28]],
    build: (a, b) => t.matmul(a, b),
  },
  {
    name: "product with odd sizes, transposed",
    shapes: [[3, 13, 21], [3, 17, 13]],
    build: (a, b) => t.matmul(a, b, { transA: true, transB: true }),
  },
  {
    name: "long product, cut along k",
    shapes: [[16, 1024], [1024, 16]],
    build: (a, b) => t.mul(t.matmul(a, b), 1 / 32),
  },
  {
    name: "thin product",
    shapes: [[30, 64], [3, 64]],
    build: (a, b) => t.linear(a, b),
  },
  {
    name: "layer with an epilogue",
    shapes: [[24, 32], [48, 32], [48]],
    build: (x, w, b) => t.silu(t.linear(x, w, b)),
  },
  {
    name: "3x3 convolution",
    shapes: [image, [3, 3, 8, 12], [12]],
    build: (x, w, b) => t.conv2d(x, w, b),
  },
  {
    name: "convolution of three channels with stride 2",
    shapes: [[2, 9, 9, 3], [3, 3, 3, 5]],
    build: (x, w) => t.conv2d(x, w, undefined, { stride: 2, padding: 1 }),
  },
  {
    name: "1x1 convolution",
    shapes: [image, [1, 1, 8, 6]],
    build: (x, w) => t.conv2d(x, w),
  },
  {
    name: "group norm and SiLU",
    shapes: [image, [8], [8]],
    build: (x, w, b) => t.silu(t.groupNorm(t.add(x, 0.5), 2, w, b, 1e-5)),
  },
  {
    name: "layer norm of odd rows",
    shapes: [[3, 5, 27], [27], [27]],
    build: (x, w, b) => t.layerNorm(x, 1e-5, w, b),
  },
  {
    name: "root-mean-square norm",
    shapes: [[12, 32], [32]],
    build: (x, w) => t.rmsNorm(x, 1e-5, w),
  },
  {
    name: "attention",
    shapes: [[2, 20, 2, 16], [2, 20, 2, 16], [2, 20, 2, 16]],
    build: (q, k, v) => t.attention(q, k, v),
  },
  {
    name: "attention of five channels",
    shapes: [[2, 7, 3, 5], [2, 9, 3, 5], [2, 9, 3, 5]],
    build: (q, k, v) => t.attention(q, k, v),
  },
  {
    name: "attention of sequences that are long enough for products",
    shapes: [[2, 64, 2, 12], [2, 66, 2, 12], [2, 66, 2, 12]],
    build: (q, k, v) => t.attention(q, k, v),
  },
  {
    name: "attention from one projection",
    shapes: [[2, 12, 24], [72, 24]],
    build: (x, w) => {
      const parts = t.unstack(t.reshape(t.linear(x, w), [2, 12, 3, 2, 12]), 2);
      return t.attention(parts[0], parts[1], parts[2]);
    },
  },
  {
    name: "softmax",
    shapes: [[9, 33]],
    build: (x) => t.softmax(t.mul(x, 4)),
  },
  {
    name: "resampling up, of four taps",
    shapes: [image],
    build: (x) => t.resampleUp(x, [1, 3, 3, 1]),
  },
  {
    name: "resampling down, of three channels",
    shapes: [[1, 6, 6, 3]],
    build: (x) => t.resampleDown(x, [1, 1]),
  },
  {
    name: "concatenation, padding and slices",
    shapes: [[4, 6, 5], [4, 6, 3]],
    build: (a, b) => t.pad(t.narrow(t.concat([t.tanh(a), b], 2), 1, 1, 4), [0, 1, 2], [5, 6, 11]),
  },
  {
    name: "transposed copy",
    shapes: [[6, 10], [6, 10]],
    build: (a, b) => t.matmul(rows(t.permute(a, [1, 0])), t.sigmoid(b)),
  },
  {
    name: "table of rows",
    shapes: [[7, 6], [5]],
    build: (table, x) => t.embedding(table, t.toI32(t.add(t.abs(t.mul(x, 6)), 0.5))),
  },
];

/** Rounding to 11 bits is a relative error of 2^-11 per value; sums of many average it out. */
const TOLERANCE = { rel: 3e-3, abs: 1e-4 };
/** A difference that float32 would not make. */
const LEAST = 2e-5;

/** y and the gradients of sum(cos(y)), from inputs that are put into memory as `storage`. */
function plan({ name, shapes, build }: Case, storage: t.Storage): Plan {
  const inputs = shapes.map((shape, i) => t.input(`x${i}`, shape));
  const outputs = t.withStorage(storage, () => {
    // As operands of most kernels these are stored: in f16 they are rounded.
    const own = inputs.map((x) => t.neg(t.neg(x)));
    const y = build(...own);
    // What the gradient flows through is f16 too.
    const after = t.sin(y);
    return { y: t.neg(t.neg(y)), loss: t.sum(after), own };
  });
  const gradients = t.grad(outputs.loss, outputs.own);
  return compile({
    label: `${name}, ${storage}`,
    inputs,
    outputs: {
      y: outputs.y,
      ...Object.fromEntries(gradients.map((gradient, i) => [`gradient${i}`, gradient])),
    },
    updates: [],
  });
}

function float16Test(
  name: string,
  body: (device: WebGpuDevice) => Promise<void>,
  target?: Partial<Target>,
): void {
  Deno.test(needingFloat16({
    name,
    fn: async () => {
      const device = await WebGpuDevice.open(target ? { target } : {});
      try {
        await body(device);
      } finally {
        device.close();
      }
    },
  }));
}

// Without subgroups the software kernels differ in nothing that knows of float16.
for (const variant of ["hardware kernels", "software kernels"]) {
  float16Test(
    `operations on float16 agree with float32, and their gradients [${variant}]`,
    async (device) => {
      for (const each of CASES) {
        const [half, single] = [plan(each, "f16"), plan(each, "f32")];
        ok(usesFloat16(half), each.name);
        ok(!usesFloat16(single), each.name);
        const inputs = fillInputs(single);
        const found = await runPlan(device, half, inputs);
        const expected = interpretPlan(single, inputs);
        let largest = 0;
        for (const output of single.outputs.keys()) {
          assertClose(found[output], expected[output], TOLERANCE, `${each.name}: ${output}`);
          found[output].forEach((value, i) => {
            largest = Math.max(largest, Math.abs(value - expected[output][i]));
          });
        }
        ok(largest > LEAST, `${each.name} is not rounded: the largest difference is ${largest}`);
      }
    },
    WEBGPU_TARGETS[variant],
  );
}

float16Test("random programs on float16 compute what the interpreter does", async (device) => {
  for (let seed = 1; seed <= 5; seed++) {
    const program = t.withStorage("f16", () => randomProgram(seed));
    for (const fuse of [true, false]) {
      const half = compile(program, { fuse });
      try {
        // A sum in another order may be rounded to the next number.
        await assertLikeInterpreter(device, half, {}, { tolerance: { rel: 4e-3, abs: 1e-3 } });
      } catch (error) {
        throw new Error(`${half.label}, fuse ${fuse}: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
  }
});

float16Test("kernels over more memory than a binding holds work on float16", async (device) => {
  const [a, b] = [t.input("a", [64, 96]), t.input("b", [64, 96])];
  const outputs = t.withStorage("f16", () => {
    const product = t.matmul(t.reshape(t.neg(t.neg(a)), [64, 96]), t.neg(b), { transB: true });
    return { y: t.mul(t.tanh(product), 0.5), total: t.sum(t.mul(product, product), 0) };
  });
  const half = compile({ label: "pieces", inputs: [a, b], outputs, updates: [] });
  await assertLikeInterpreter(device, half, {}, { tolerance: { rel: 2e-3 } });
}, { maxBindingBytes: 16384, maxBindings: 4 });

float16Test("an arena of float16 holds what was rounded to nearest, even", async (device) => {
  const arena = new t.Arena("half", "f16");
  // Entries of odd lengths: neighbours share words.
  const values = Float32Array.of(
    ...[0, -0, 1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -1 / 3, 65504, 65519.9, 65520, -1e9],
    ...[2 ** -24, 1.4 * 2 ** -25, 2 ** -26, 6.1e-5, Infinity, NaN, 1e-5],
  );
  arena.add("before", [3]);
  arena.add("values", [values.length]);
  equal(arena.bytes, 2 * 128);
  const x = t.input("x", [values.length]);
  const write = compile({
    label: "write",
    inputs: [x],
    outputs: {},
    updates: [{ target: arena.tensor("values"), value: t.neg(t.neg(x)) }],
  });
  const read = compile({
    label: "read",
    inputs: [],
    outputs: {
      values: t.neg(t.neg(arena.tensor("values"))),
      before: t.neg(t.neg(arena.tensor("before"))),
    },
    updates: [],
  });
  const buffer = new ArenaBuffer(device, arena);
  const writer = await device.prepare(write, arenaMap(buffer));
  const reader = await device.prepare(read, arenaMap(buffer));
  writer.run({ x: values });
  reader.run({});
  const found = await reader.read(["values", "before"]);
  equal([...found.values].join(), [...values.map(Math.f16round)].join());
  equal([...found.before].join(), "0,0,0");
  // The host rounds alike, and leaves the neighbours alone.
  equal((await buffer.read("values")).join(), found.values.join());
  buffer.write("values", values.map((value) => -value));
  equal((await buffer.read("values")).join(), found.values.map((value) => -value).join());
  buffer.write("before", Float32Array.of(1, 2, 1 / 3));
  reader.run({});
  const later = await reader.read(["values", "before"]);
  equal(later.before.join(), [1, 2, Math.f16round(1 / 3)].join());
  equal(later.values.join(), found.values.map((value) => -value).join());
  equal((await buffer.readAll()).subarray(64, 64 + values.length).join(), later.values.join());
});

float16Test(
  "sums of float16 are float32: they neither overflow nor stop growing",
  async (device) => {
    const x = t.input("x", [4096, 8]);
    const outputs = t.withStorage("f16", () => {
      const own = t.neg(t.neg(x));
      const product = t.matmul(own, own, { transA: true }); // 8 x 8 sums of 4096 squares of 100
      return {
        total: t.sum(t.add(own, 0)),
        mean: t.mean(t.square(own)),
        diagonal: t.mul(product, 1e-4),
      };
    });
    const half = compile({ label: "sums", inputs: [x], outputs, updates: [] });
    ok(usesFloat16(half));
    const found = await runPlan(device, half, { x: new Float32Array(4096 * 8).fill(100) });
    equal(found.total[0], 4096 * 8 * 100);
    assertClose(found.mean, [10_000], { rel: 1e-6 });
    assertClose(found.diagonal, new Array(64).fill(4096), { rel: 5e-4 });
  },
);

Deno.test("activations stored as float16 take half of the memory", () => {
  const build = (storage: t.Storage) => {
    const x = t.input("x", [256, 128]);
    const weights = Array.from({ length: 4 }, (_, i) => t.input(`w${i}`, [128, 128]));
    const y = t.withStorage(
      storage,
      () => weights.reduce((h, w) => t.silu(t.layerNorm(t.linear(h, w), 1e-5)), x),
    );
    const gradients = t.grad(t.sum(y), weights);
    return summarize(compile({
      label: "memory",
      inputs: [x, ...weights],
      outputs: Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])),
      updates: [],
    }));
  };
  const [half, single] = [build("f16"), build("f32")];
  const ratio = half.slotBytes / single.slotBytes;
  ok(ratio >= 0.5 && ratio < 0.53, `${ratio}`);
  equal(half.kernels, single.kernels);
});

Deno.test("devices without float16 say so, and what to do", async () => {
  const device = await WasmDevice.open({ threads: 1 });
  try {
    equal(device.float16, false);
    const half = plan(CASES[0], "f16");
    await rejects(device.prepare(half, new Map()), (error) => {
      ok(error instanceof DeviceError);
      ok(/use --device webgpu or --precision float32/.test(error.message), error.message);
      return true;
    });
  } finally {
    device.close();
  }
  const poor = { kind: "webgpu", float16: false, description: "some card" } as Device;
  throws(() => requireFloat16(poor), /shader-f16, which some card does not offer/);
});
