/**
 * Resampling by two.
 *
 * @module
 */

import type { ResampleKernel } from "../../../compile/kernels/resample.ts";
import { resampleTaps } from "../../../tensor/resample.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { type Field, floatBits } from "../words.ts";

/** Appends a resampling; each task makes a row of an image. */
export function encodeResample(encoder: Encoder, kernel: ResampleKernel): void {
  const [, height, width, channels] = kernel.inputShape;
  const [images, outHeight, outWidth] = kernel.outputShape;
  const axis = (size: number, outSize: number): Field[] => {
    const taps = Array.from(
      { length: outSize },
      (_, position) => resampleTaps(kernel.direction, kernel.filter, position, size),
    );
    const starts = [0];
    for (const list of taps) starts.push(starts.at(-1)! + list.length);
    const all = taps.flat().flatMap(({ position, weight }) => [position, floatBits(weight)]);
    return [encoder.words.add(starts), encoder.words.add(all)];
  };
  encoder.phase(PHASE.resample, images * outHeight, [
    encoder.address(kernel.source),
    encoder.address(kernel.target),
    height,
    width,
    channels,
    outHeight,
    outWidth,
    ...axis(height, outHeight),
    ...axis(width, outWidth),
  ]);
}
