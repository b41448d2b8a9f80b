/** A small decoder of latents in an ONNX file, and what it computes. */

import { OnnxGraph, type OnnxShape } from "../../../lib/formats/onnx/model.ts";

/** [3, 4]: how much of each channel of a latent goes into each colour. */
// deno-fmt-ignore
const WEIGHTS = Float32Array.of(
  0.25, -0.125, 0.5, 0.0625,
  -0.5, 0.25, 0.125, 0.25,
  0.125, 0.5, -0.25, -0.375,
);

/** How a decoder differs from the usual one. */
export interface DecoderForm {
  /** What the file says that goes in. Default: any number of any size. */
  readonly input?: OnnxShape;
  /** What it says that comes out. Default: nothing. */
  readonly output?: OnnxShape;
  /** Outputs. Default 1. */
  readonly outputs?: number;
  /** Of the input, and unless it is float64 of the output. Default float32. */
  readonly type?: "float32" | "float16" | "float64";
  /** Colours of the pictures. Default 3. */
  readonly colours?: 1 | 2 | 3;
}

/** Pixels of a picture in a row of a latent's. */
export const DECODER_FACTOR = 2;

/** The tanh of sums over the channels, each twice as wide and high. */
export function decoderModel(form: DecoderForm = {}): Uint8Array<ArrayBuffer> {
  const { input = ["N", 4, "H", "W"], output, outputs = 1, type = "float32", colours = 3 } = form;
  const graph = new OnnxGraph("decoder");
  const given = graph.input("latent_sample", type, input);
  const z = type === "float32" ? given : graph.node("Cast", [given], { to: 1 });
  const weights = graph.constant(WEIGHTS.subarray(0, 4 * colours), [colours, 4, 1, 1]);
  const sums = graph.node("Tanh", [graph.node("Conv", [z, weights])]);
  const scales = graph.constant(Float32Array.of(1, 1, DECODER_FACTOR, DECODER_FACTOR));
  const large = graph.node("Resize", [sums, null, scales], { mode: "nearest" });
  const isHalf = type === "float16";
  const last = isHalf ? graph.node("Cast", [large], { to: 10 }) : large;
  for (let i = 0; i < outputs; i++) {
    graph.output(last, `sample${i || ""}`, isHalf ? "float16" : "float32", output);
  }
  return graph.toBytes();
}

/**
 * What the decoder makes of one latent whose normalisation is undone, [side, side, 4], in numbers
 * of 64 bits: [2 side, 2 side, 3].
 */
export function decoded(z: ArrayLike<number>, side: number): number[] {
  const wide = DECODER_FACTOR * side;
  return Array.from({ length: wide * wide * 3 }, (_, i) => {
    const [y, x, o] = [Math.floor(i / 3 / wide), Math.floor(i / 3) % wide, i % 3];
    const pixel = Math.floor(y / DECODER_FACTOR) * side + Math.floor(x / DECODER_FACTOR);
    let sum = 0;
    for (let c = 0; c < 4; c++) sum += WEIGHTS[4 * o + c] * z[4 * pixel + c];
    return Math.tanh(sum);
  });
}
