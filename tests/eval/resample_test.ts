/**
 * Resampling within an ONNX graph and on the host, against the libraries whose resize each is.
 *
 * Values: PyTorch 2.15 (`interpolate`), Pillow 13.0 (channels of mode F, BICUBIC, clipped) and, for
 * TensorFlow 1, torch-fidelity's definition in numpy float32. Images are bytes `hash32("resample.HxW",
 * i) % 256`; the pixels are those at rows 0, 37, 150, 298 and columns 0, 61, 211, 298, green.
 */

import { OnnxExtractor } from "../../lib/eval/extractors/onnx_extractor.ts";
import { inceptionInput } from "../../lib/eval/inception/onnx.ts";
import {
  type PipelineName,
  PIPELINES,
  type Resampling,
} from "../../lib/eval/inception/pipelines.ts";
import { Resampler } from "../../lib/eval/inception/resample.ts";
import { OnnxGraph } from "../../lib/formats/onnx/model.ts";
import * as layers from "../../lib/formats/onnx/layers.ts";
import { assertClose } from "../support/close.ts";
import { hashedImages } from "../support/golden/inception.ts";

const EXPECTED: Record<Resampling, Record<string, readonly number[]>> = {
  "tf1-bilinear": {
    "5x7": [
      71.0,
      196.9064,
      104.0903,
      66.0,
      180.515,
      152.1199,
      93.4912,
      140.2475,
      112.3244,
      203.2617,
      50.5068,
      13.9498,
      149.0,
      24.1304,
      172.2207,
      163.0,
    ],
    "340x411": [
      237.0,
      148.5253,
      202.618,
      83.0376,
      11.913,
      72.6035,
      170.8236,
      34.8664,
      113.8865,
      135.8312,
      105.319,
      117.0545,
      107.7718,
      141.0915,
      211.7235,
      53.6604,
    ],
  },
  "half-pixel-bilinear": {
    "5x7": [
      71.0,
      230.7659,
      177.8228,
      66.0,
      93.495,
      228.1786,
      172.4187,
      81.2508,
      122.6488,
      225.461,
      44.6114,
      16.8997,
      149.0,
      21.1873,
      125.3445,
      163.0,
    ],
    "340x411": [
      235.7233,
      131.3179,
      211.8709,
      104.1308,
      44.4092,
      68.4227,
      172.1808,
      43.8492,
      110.5492,
      140.3914,
      112.5811,
      99.1032,
      123.096,
      135.6316,
      214.9657,
      33.8302,
    ],
  },
  "pil-bicubic": {
    "5x7": [
      24.6075,
      240.2879,
      202.5545,
      45.3916,
      67.4528,
      235.4772,
      190.3711,
      74.8115,
      108.0194,
      230.582,
      43.807,
      12.7984,
      174.99,
      0.0,
      124.7595,
      180.5174,
    ],
    "340x411": [
      245.5048,
      121.7524,
      216.299,
      90.7529,
      57.7935,
      91.8827,
      165.5628,
      26.7123,
      100.691,
      139.8057,
      105.7167,
      118.8135,
      134.7323,
      138.6949,
      203.2048,
      46.8202,
    ],
  },
};

const SIZE = 299 * 299 * 3;
const ROWS = [0, 37, 150, 298];
const COLUMNS = [0, 61, 211, 298];

/** The stored pixels out of `[299, 299, 3]`. */
const pixels = (image: Float32Array) =>
  ROWS.flatMap((y) => COLUMNS.map((x) => image[(y * 299 + x) * 3 + 1]));

for (const [name, pipeline] of Object.entries(PIPELINES)) {
  Deno.test(`images are resized as by the programs of the pipeline ${name}`, async () => {
    const graph = new OnnxGraph("resize");
    const images = graph.input("images", "uint8", ["N", "H", "W", 3]);
    const prepared = inceptionInput(graph, images, PIPELINES[name as PipelineName]);
    const last = graph.node("Transpose", [prepared], { perm: [0, 2, 3, 1] });
    graph.output(layers.flatten(graph, last), "features", "float32");
    const input = { name: "images", height: null, width: null, channels: 3 } as const;
    const description = {
      version: 1,
      id: "resize",
      input: { ...input, layout: "NHWC", type: "uint8" },
      features: { name: "features", size: SIZE },
      batch: 1,
    } as const;
    await using extractor = await OnnxExtractor.load(graph.toBytes(), { description, threads: 1 });
    const resampler = new Resampler(pipeline);
    for (const [size, values] of Object.entries(EXPECTED[pipeline.resampling])) {
      const [height, width] = size.split("x").map(Number);
      const batch = hashedImages(`resample.${size}`, 1, height, width);
      const expected = values.map((value) => value * pipeline.scale + pipeline.offset);
      const tolerance = { abs: 2e-4 * pipeline.scale }; // grey levels; values have four digits
      const onHost = new Float32Array(SIZE);
      resampler.resample(batch, 0, 1, onHost);
      assertClose(pixels(onHost), expected, tolerance, `${size} on the host`);
      const { features: inGraph } = await extractor.extract(batch);
      assertClose(pixels(inGraph), expected, tolerance, `${size} in the graph`);
      assertClose(inGraph, onHost, tolerance, `${size}, all pixels`);
    }
  });
}
