/**
 * The classifier of bench/pytorch/classifier.py as a feature extractor of `imm eval`.
 *
 * @module
 */

import { descriptionMetadata } from "../../lib/eval/extractors/onnx_description.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { OnnxGraph } from "../../lib/formats/onnx/model.ts";
import * as layers from "../../lib/formats/onnx/layers.ts";
import type { HostTensor } from "../../lib/nn/parameters.ts";

/** Numbers per image. */
const FEATURES = 128;
const CLASSES = 10;

/**
 * Writes the model for grey images of `size` x `size`.
 *
 * @param weights by PyTorch's names
 * @param name what error messages call them
 * @throws {FormatError} when one is missing
 */
export function classifierOnnx(
  weights: ReadonlyMap<string, HostTensor>,
  size: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  const get = (key: string) => {
    const found = weights.get(key);
    if (!found) throw new FormatError(`${name} has no ${key}; expected a classifier's weights`);
    return found;
  };
  const graph = new OnnxGraph("classifier");
  let x = graph.input("images", "float32", ["N", 1, size, size]);
  for (const layer of ["conv0", "conv1", "conv2"]) {
    const bias = get(`${layer}.bias`).data;
    x = layers.relu(
      graph,
      layers.conv2d(graph, x, get(`${layer}.weight`), bias, { padding: 1 }),
    );
    if (layer !== "conv2") x = layers.maxPool(graph, x, 2, { stride: 2 });
  }
  const features = layers.globalAveragePool(graph, x);
  const logits = layers.linear(graph, features, get("fc.weight"), get("fc.bias").data);
  graph.output(features, "features", "float32", ["N", FEATURES]);
  graph.output(logits, "logits", "float32", ["N", CLASSES]);
  graph.metadata.set(...descriptionMetadata({
    version: 1,
    id: "classifier",
    input: {
      name: "images",
      height: size,
      width: size,
      channels: 1,
      layout: "NCHW",
      type: "float32",
      scale: 1 / 127.5,
      offset: -1,
    },
    features: { name: "features", size: FEATURES },
    logits: { name: "logits", size: CLASSES },
    batch: 250,
  }));
  return graph.toBytes();
}
