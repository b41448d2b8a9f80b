/**
 * The Inception network of the FID as an ONNX model: images of any size in, features out.
 *
 * @module
 */

import { OnnxGraph, type OnnxValue } from "../../formats/onnx/model.ts";
import * as layers from "../../formats/onnx/layers.ts";
import { bilinear, pillowBicubic } from "../../formats/onnx/resample.ts";
import {
  checkInceptionWeights,
  foldedConv,
  inception,
  INCEPTION_CLASSES,
  INCEPTION_CLASSIFIER,
  INCEPTION_FEATURES,
  INCEPTION_LAYER_SIZES,
  INCEPTION_SIZE,
  INCEPTION_SPATIAL_CHANNELS,
  type InceptionWeights,
} from "./network.ts";
import { type Pipeline, type PipelineName, PIPELINES, type Resampling } from "./pipelines.ts";

/**
 * Writes the model.
 *
 * Input `images`: uint8 `[N, H, W, 3]`, RGB; the resampling of the pipeline is part of the graph,
 * batch norms are folded into the convolutions. Outputs: `features` `[N, 2048]`, `logits` `[N,
 * 1008]` (without the bias, as the Inception Score takes them; only where the weights have a
 * classifier), and the layers by their names,
 * `[N, length]`.
 *
 * @param name what error messages call the weights
 * @throws {FormatError} when weights are missing
 */
export function inceptionOnnx(
  weights: InceptionWeights,
  pipeline: PipelineName,
  name: string,
): OnnxGraph {
  checkInceptionWeights(weights, name);
  const graph = new OnnxGraph("inception-2015-12-05");
  const images = graph.input("images", "uint8", ["N", "H", "W", 3]);
  const { block0, block1, block2, block3, spatial } = inception<OnnxValue>({
    conv(x, { name, stride, padding }) {
      const { weight, bias } = foldedConv(weights, name);
      return layers.relu(graph, layers.conv2d(graph, x, weight, bias, { stride, padding }));
    },
    maxPool: (x, stride, padding) => layers.maxPool(graph, x, 3, { stride, padding }),
    averagePool: (x) => layers.averagePool(graph, x, 3, { padding: 1 }),
    concat: (xs) => layers.concat(graph, xs, 1),
  }, inceptionInput(graph, images, PIPELINES[pipeline]));

  const features = layers.globalAveragePool(graph, block3);
  graph.output(features, "features", "float32", ["N", INCEPTION_FEATURES]);
  const classifier = weights.get(INCEPTION_CLASSIFIER);
  if (classifier) {
    const logits = layers.linear(graph, features, classifier);
    graph.output(logits, "logits", "float32", ["N", INCEPTION_CLASSES]);
  }
  for (const [layer, block] of [["64", block0], ["192", block1], ["768", block2]] as const) {
    const mean = layers.globalAveragePool(graph, block);
    graph.output(mean, layer, "float32", ["N", INCEPTION_LAYER_SIZES[layer]]);
  }
  const first = graph.node("Slice", [
    spatial,
    ...[[0], [INCEPTION_SPATIAL_CHANNELS], [1]].map((list) =>
      graph.constant(BigInt64Array.from(list, BigInt))
    ),
  ]);
  const last = graph.node("Transpose", [first], { perm: [0, 2, 3, 1] });
  const flat = layers.flatten(graph, last);
  graph.output(flat, "spatial", "float32", ["N", INCEPTION_LAYER_SIZES.spatial]);
  return graph;
}

/** Bytes `[N, H, W, 3]` as what the network takes, `[N, 3, 299, 299]`. */
export function inceptionInput(graph: OnnxGraph, images: OnnxValue, pipeline: Pipeline): OnnxValue {
  const floats = graph.node("Cast", [images], { to: 1 });
  const x = graph.node("Transpose", [floats], { perm: [0, 3, 1, 2] });
  const resized = RESAMPLING[pipeline.resampling](graph, x);
  return layers.affine(graph, resized, pipeline.scale, pipeline.offset);
}

const RESAMPLING: Record<Resampling, (graph: OnnxGraph, x: OnnxValue) => OnnxValue> = {
  "tf1-bilinear": (graph, x) => bilinear(graph, x, INCEPTION_SIZE, "corner"),
  "half-pixel-bilinear": (graph, x) => bilinear(graph, x, INCEPTION_SIZE, "half-pixel"),
  "pil-bicubic": (graph, x) => {
    const [low, high] = [0, 255].map((bound) => graph.constant(Float32Array.of(bound), []));
    return graph.node("Clip", [pillowBicubic(graph, x, INCEPTION_SIZE), low, high]);
  },
};
