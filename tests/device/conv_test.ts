/** Convolutions and their gradients, and resampling. */

import type { ConvKernel } from "../../lib/compile/kernels/conv.ts";
import type { ResampleKernel } from "../../lib/compile/kernels/resample.ts";
import type { ConvGeometry, Shape } from "../../lib/tensor/tensor.ts";
import { sizeOf } from "../../lib/tensor/tensor.ts";
import { expression, PlanBuilder, strided } from "../support/devices/plan_builder.ts";
import { deviceTest, deviceTests } from "../support/devices/devices.ts";
import { assertLikeInterpreter } from "../support/devices/run_plan.ts";

/** The three kernels of one convolution, with a bias after the forward one. */
function convolution(
  [n, h, w, c]: readonly number[],
  outputs: number,
  geometry: ConvGeometry,
): PlanBuilder {
  const { kernel: [kh, kw], stride, padding } = geometry;
  const size = (input: number, taps: number) =>
    Math.floor((input + 2 * padding - taps) / stride) + 1;
  const inputShape = [n, h, w, c];
  const outputShape = [n, size(h, kh), size(w, kw), outputs];
  const weightShape = [kh, kw, c, outputs];
  const p = new PlanBuilder();
  const [x, weight] = [p.input("x", inputShape), p.input("w", weightShape)];
  const [dy, bias] = [p.input("dy", outputShape), p.input("bias", [outputs])];
  const add = (kind: ConvKernel["kind"], shape: Shape, operands: ConvKernel["operands"]): void => {
    const columns = shape[3];
    const space = [sizeOf(shape) / columns, columns];
    const target = strided(p.output(kind, shape), [columns, 1]);
    const result = { op: "result", index: 0 } as const;
    const body = kind === "conv2d"
      ? expression(space, [strided(bias, [0, 1])], [
        result,
        { op: "load", operand: 0 },
        { op: "map", fn: "add", args: [0, 1] },
      ])
      : expression(space, [], [result]);
    const stores = [{ value: body.instrs.length - 1, target }];
    const epilogue = { body, stores };
    p.kernel({ kind, geometry, inputShape, outputShape, operands, epilogue, label: kind });
  };
  add("conv2d", outputShape, [x, weight]);
  add("conv2dGradInput", inputShape, [dy, weight]);
  add("conv2dGradWeight", weightShape, [x, dy]);
  return p;
}

const square = (taps: number, stride: number, padding: number): ConvGeometry => ({
  kernel: [taps, taps],
  stride,
  padding,
});

const CASES: Record<string, [Shape, number, ConvGeometry]> = {
  "3x3": [[2, 8, 8, 16], 20, square(3, 1, 1)],
  "3x3 with odd sizes": [[3, 7, 5, 3], 5, square(3, 1, 1)],
  "3x3 from few to many channels": [[2, 9, 8, 3], 32, square(3, 1, 1)],
  "3x3 from many to few channels": [[2, 6, 6, 32], 3, square(3, 1, 1)],
  "3x3 with stride 2": [[2, 9, 8, 8], 12, square(3, 2, 1)],
  "3x3 with stride 2 and odd channels": [[1, 8, 8, 6], 7, square(3, 2, 1)],
  "3x3 of many small images": [[26, 4, 4, 8], 12, square(3, 1, 1)],
  "3x3 of many small images with stride 2": [[27, 8, 6, 12], 8, square(3, 2, 1)],
  "3x3 of images that take turns": [[24, 4, 6, 20], 12, square(3, 1, 1)],
  "3x3 of images that take turns, with stride 2": [[32, 9, 7, 5], 9, square(3, 2, 1)],
  "1x3 of images that take turns": [[16, 4, 4, 12], 5, { kernel: [1, 3], stride: 1, padding: 1 }],
  "3x3 of even sizes": [[3, 6, 10, 40], 24, square(3, 1, 1)],
  "3x3 of even sizes and many channels": [[2, 4, 4, 320], 64, square(3, 1, 1)],
  "3x3 of more channels than a block": [[2, 14, 14, 140], 136, square(3, 1, 1)],
  "3x3 with odd sizes, large": [[5, 13, 11, 37], 43, square(3, 1, 1)],
  "3x3 of many images of even sizes": [[11, 6, 10, 40], 24, square(3, 1, 1)],
  "3x3 without padding": [[2, 6, 7, 8], 8, square(3, 1, 0)],
  "1x1": [[3, 5, 5, 12], 20, square(1, 1, 0)],
  "1x1 with stride 2": [[2, 6, 6, 8], 8, square(1, 2, 0)],
  "2x2 patches": [[2, 8, 8, 4], 24, square(2, 2, 0)],
  "1x3": [[2, 4, 9, 4], 8, { kernel: [1, 3], stride: 1, padding: 1 }],
};

for (const [name, [shape, outputs, geometry]] of Object.entries(CASES)) {
  deviceTests(`convolution ${name}`, async (device) => {
    const plan = convolution(shape, outputs, geometry).build();
    await assertLikeInterpreter(device, plan, {}, { tolerance: { abs: 1e-4 } });
  });
}

deviceTest("a convolution with operands at odd offsets", async (device) => {
  const p = new PlanBuilder();
  const x = p.input("x", [3 + 2 * 6 * 6 * 8]);
  const weight = p.input("w", [61 + 9 * 8 * 8]);
  const y = p.output("y", [2, 6, 6, 8]);
  p.kernel({
    kind: "conv2d",
    geometry: square(3, 1, 1),
    inputShape: [2, 6, 6, 8],
    outputShape: [2, 6, 6, 8],
    operands: [
      strided(x, [6 * 6 * 8, 6 * 8, 8, 1], 3),
      strided(weight, [3 * 8 * 8, 8 * 8, 8, 1], 61),
    ],
    epilogue: {
      body: expression([72, 8], [], [{ op: "result", index: 0 }]),
      stores: [{ value: 0, target: strided(y, [8, 1]) }],
    },
    label: "conv2d",
  });
  await assertLikeInterpreter(device, p.build(), {}, { tolerance: { abs: 3e-5 } });
});

for (const channels of [3, 8]) {
  deviceTest(`resampling with ${channels} channels`, async (device) => {
    const p = new PlanBuilder();
    const [n, h, w] = [2, 5, 6];
    const x = p.input("x", [n, h, w, channels]);
    const add = (direction: "up" | "down", filter: readonly number[], outputShape: Shape) => {
      const kernel: ResampleKernel = {
        kind: "resample",
        direction,
        filter,
        inputShape: [n, h, w, channels],
        outputShape,
        source: x,
        target: p.output(`${direction}${outputShape}${filter.length}`, outputShape),
        label: direction,
      };
      p.kernel(kernel);
    };
    for (const filter of [[1, 1], [0.25, 0.75, 0.75, 0.25], [0.1, 0.2, 0.3, 0.4]]) {
      add("up", filter, [n, 2 * h, 2 * w, channels]);
      add("up", filter, [n, 2 * h + 1, 2 * w + 1, channels]);
      add("down", filter, [n, 2, 3, channels]);
    }
    await assertLikeInterpreter(device, p.build());
  });
}
