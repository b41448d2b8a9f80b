import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { FormatError, InternalError } from "../../lib/base/errors.ts";
import { OnnxGraph, type OnnxValue, readOnnxMetadata } from "../../lib/formats/onnx/model.ts";
import * as layers from "../../lib/formats/onnx/layers.ts";
import { assertClose } from "../support/close.ts";

const IMAGES = { count: 2, channels: 3, height: 5, width: 4 };

/** Smooth numbers in [-1, 1]. */
function wave(length: number, phase = 0): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(1.7 * i + phase));
}

const x = wave(2 * 3 * 5 * 4);

/** Runs a graph of one layer on `x`, `[2, 3, 5, 4]`. */
async function run(
  build: (graph: OnnxGraph, x: OnnxValue) => OnnxValue,
): Promise<{ dims: readonly number[]; data: Float32Array }> {
  const { env, InferenceSession, Tensor } = await import("npm:onnxruntime-web@1.30.0");
  env.wasm.numThreads = 1;
  const graph = new OnnxGraph("test");
  graph.output(build(graph, graph.input("x", "float32", ["N", 3, 5, 4])), "y", "float32");
  const session = await InferenceSession.create(graph.toBytes());
  const { y } = await session.run({ x: new Tensor("float32", x, [2, 3, 5, 4]) });
  await session.release();
  return { dims: y.dims, data: y.data as Float32Array };
}

/** Visits the windows of `x` and folds the values inside the image with `fold`. */
function windows(
  [kh, kw]: number[],
  stride: number,
  [py, px]: number[],
  fold: (values: { value: number; c: number; dy: number; dx: number }[], c: number) => number,
  outputs: number,
  perChannel: boolean,
): number[] {
  const { count, channels, height, width } = IMAGES;
  const result: number[] = [];
  for (let n = 0; n < count; n++) {
    for (let o = 0; o < outputs; o++) {
      for (let y0 = -py; y0 + kh <= height + py; y0 += stride) {
        for (let x0 = -px; x0 + kw <= width + px; x0 += stride) {
          const values = [];
          for (let c = perChannel ? o : 0; c < (perChannel ? o + 1 : channels); c++) {
            for (let dy = 0; dy < kh; dy++) {
              for (let dx = 0; dx < kw; dx++) {
                const [row, column] = [y0 + dy, x0 + dx];
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                const value = x[((n * channels + c) * height + row) * width + column];
                values.push({ value, c, dy, dx });
              }
            }
          }
          result.push(fold(values, o));
        }
      }
    }
  }
  return result;
}

for (
  const { size, stride, padding } of [
    { size: [3, 3], stride: 1, padding: 1 },
    { size: [3, 2], stride: 2, padding: [1, 0] as const },
    { size: [1, 1], stride: 1, padding: 0 },
  ]
) {
  Deno.test(`conv2d() of ${size} with stride ${stride} and padding ${padding} is one`, async () => {
    const [kh, kw] = size;
    const weight = wave(2 * 3 * kh * kw, 0.3);
    const bias = Float32Array.of(0.5, -0.25);
    const { data } = await run((graph, x) =>
      layers.conv2d(graph, x, { data: weight, shape: [2, 3, kh, kw] }, bias, { stride, padding })
    );
    const pads = typeof padding === "number" ? [padding, padding] : [...padding];
    const expected = windows(
      size,
      stride,
      pads,
      (values, o) =>
        values.reduce(
          (sum, { value, c, dy, dx }) => sum + value * weight[((o * 3 + c) * kh + dy) * kw + dx],
          bias[o],
        ),
      2,
      false,
    );
    assertClose(data, expected, { rel: 1e-6 });
  });
}

Deno.test("maxPool() and averagePool() leave padding out", async () => {
  const options = { stride: 2, padding: 1 };
  const max = await run((graph, x) => layers.maxPool(graph, x, 3, options));
  assertClose(
    max.data,
    windows(
      [3, 3],
      2,
      [1, 1],
      (values) => Math.max(...values.map(({ value }) => value)),
      3,
      true,
    ),
    { abs: 0 },
  );
  const mean = await run((graph, x) => layers.averagePool(graph, x, 3, options));
  assertClose(
    mean.data,
    windows(
      [3, 3],
      2,
      [1, 1],
      (values) => values.reduce((a, { value }) => a + value, 0) / values.length,
      3,
      true,
    ),
    { rel: 1e-6 },
  );
});

Deno.test("globalAveragePool() gives one number per channel", async () => {
  const { dims, data } = await run(layers.globalAveragePool);
  deepStrictEqual([...dims], [2, 3]);
  const mean = (i: number) => x.subarray(i * 20, i * 20 + 20).reduce((a, b) => a + b, 0) / 20;
  assertClose(data, [0, 1, 2, 3, 4, 5].map(mean), { rel: 1e-6 });
});

Deno.test("linear() multiplies by the transposed weight", async () => {
  const [weight, bias] = [wave(2 * 60, 1), Float32Array.of(3, -4)];
  const { dims, data } = await run((graph, x) =>
    layers.linear(graph, layers.flatten(graph, x), { data: weight, shape: [2, 60] }, bias)
  );
  deepStrictEqual([...dims], [2, 2]);
  const dot = (n: number, o: number) =>
    x.subarray(n * 60, n * 60 + 60).reduce((sum, value, i) => sum + value * weight[o * 60 + i], 0);
  const expected = [[0, 0], [0, 1], [1, 0], [1, 1]].map(([n, o]) => dot(n, o) + bias[o]);
  assertClose(data, expected, { rel: 1e-6 });
});

Deno.test("relu(), silu(), affine() and concat() are what they are called", async () => {
  const { dims, data } = await run((graph, x) =>
    layers.concat(
      graph,
      [layers.relu(graph, x), layers.silu(graph, x), layers.affine(graph, x, 3, -1)],
      0,
    )
  );
  deepStrictEqual([...dims], [6, 3, 5, 4]);
  const expected = [
    ...x.map((value) => Math.max(0, value)),
    ...x.map((value) => value / (1 + Math.exp(-value))),
    ...x.map((value) => 3 * value - 1),
  ];
  assertClose(data, expected, { rel: 1e-6 });
});

Deno.test("OnnxGraph writes every kind of attribute", async () => {
  // A resize to twice the size, the kind of node that Inception begins with.
  const { dims, data } = await run((graph, x) =>
    graph.node("Resize", [
      x,
      null,
      null,
      graph.constant(BigInt64Array.of(2n, 3n, 10n, 8n)),
    ], {
      mode: "linear",
      coordinate_transformation_mode: "asymmetric",
      cubic_coeff_a: { float: -0.5 },
      exclude_outside: 0,
    })
  );
  deepStrictEqual([...dims], [2, 3, 10, 8]);
  assertClose(
    [data[0], data[1], data[2], data[8]],
    [x[0], (x[0] + x[1]) / 2, x[1], (x[0] + x[4]) / 2],
    { rel: 1e-6 },
  );
  const leaky = await run((graph, x) => graph.node("LeakyRelu", [x], { alpha: { float: 0.25 } }));
  assertClose(leaky.data, x.map((value) => value < 0 ? value / 4 : value), { rel: 1e-6 });
  const constants = await run((graph, x) =>
    graph.node("Mul", [x, graph.node("Constant", [], { value_floats: { floats: [1, 2, 3, 4] } })])
  );
  assertClose(constants.data, x.map((value, i) => value * (1 + i % 4)), { rel: 1e-6 });
});

Deno.test("readOnnxMetadata finds what OnnxGraph wrote", () => {
  const graph = new OnnxGraph("test");
  graph.output(graph.input("x", "float32", [1]), "y", "float32", [1]);
  graph.metadata.set("one", "1").set("größer", '{"a": "ü"}');
  const metadata = readOnnxMetadata(graph.toBytes(), "model.onnx");
  deepStrictEqual([...metadata], [["one", "1"], ["größer", '{"a": "ü"}']]);
});

Deno.test("readOnnxMetadata refuses files that are no models", () => {
  throws(() => readOnnxMetadata(new Uint8Array(0), "empty.onnx"), /empty\.onnx is no ONNX model/);
  throws(() => readOnnxMetadata(new TextEncoder().encode("PK\x03\x04zip"), "a.zip"), FormatError);
});

Deno.test("OnnxGraph gives the same bytes for the same calls and refuses mistakes", () => {
  const build = () => {
    const graph = new OnnxGraph("test");
    const input = graph.input("x", "uint8", ["N", 2]);
    graph.output(graph.node("Cast", [input], { to: 1 }), "y", "float32", ["N", 2]);
    return graph;
  };
  deepStrictEqual(build().toBytes(), build().toBytes());
  throws(() => build().input("x", "float32", [1]), InternalError);
  throws(() => build().constant(new Float32Array(3), [2]), /3 elements for the shape \[2\]/);
  throws(() => build().node("Elu", [], { alpha: 0.5 }), /floats are written as/);
  strictEqual(build().constant(new Float32Array(0), [0], "empty").name, "empty");
});
