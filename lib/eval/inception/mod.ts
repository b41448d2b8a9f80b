/**
 * The Inception network of the FID and how images are prepared for it. Who gives it images is
 * lib/eval/extractors/inception.ts. To be read in this order:
 *
 * 1. pipelines.ts, what torch-fidelity, pytorch-fid and clean-fid do differently before the network,
 *    and resample.ts, their ways to resize;
 * 2. network.ts, the layers, written once, against four kinds of layers;
 * 3. program.ts, the network for this project's engine, and onnx.ts, the same as an ONNX model with
 *    the resizing in its graph: each checks the other;
 * 4. weights.ts, where the published weights are found, and names.ts, how files call them.
 *
 * @module
 */

export * from "./pipelines.ts";
export * from "./weights.ts";
