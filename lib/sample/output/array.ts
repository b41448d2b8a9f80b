/**
 * Samples as arrays for other programs.
 *
 * @module
 */

import type { ArrayToWrite } from "../../formats/arrays/npy.ts";
import { writeNpz } from "../../formats/arrays/npz.ts";
import { type TensorToWrite, writeSafetensors } from "../../formats/safetensors/safetensors.ts";
import { decodeRgb } from "../../base/bytes.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { GeneratedBatch } from "../generator.ts";
import { arePictures, RECORD_NAME, type SampleSet } from "./sample_set.ts";

/**
 * `arr_0`, uint8 [N, H, W, C] (float32 for samples that are not pictures), and `arr_1`, the classes
 * as int64, as the evaluation of guided-diffusion reads them.
 */
export async function writeNpzSamples(
  path: string,
  { shape, seeds, labels, record }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  const asPictures = arePictures(shape);
  const arrays = new Map<string, ArrayToWrite>([["arr_0", {
    type: asPictures ? "u8" : "f32",
    shape: [seeds.length, ...shape],
    data: async function* () {
      for await (const { samples } of batches) yield asPictures ? decodeRgb(samples) : samples;
    },
  }]]);
  const classes = known(labels);
  if (classes) arrays.set("arr_1", { type: "i64", shape: [labels.length], data: classes });
  await writeNpz(path, arrays, { notes: notes(record) });
  return 1;
}

/** `samples`, float32 and channels last, as the network made them, with `seeds` and `labels`. */
export async function writeSafetensorsSamples(
  path: string,
  { shape, seeds, labels, record }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  const size = sizeOf(shape);
  const all = new Float32Array(seeds.length * size);
  for await (const { first, samples } of batches) all.set(samples, first * size);
  const tensors = new Map<string, TensorToWrite>([
    ["samples", { dtype: "F32", shape: [seeds.length, ...shape], data: all }],
    ["seeds", { dtype: "I64", shape: [seeds.length], data: BigInt64Array.from(seeds, BigInt) }],
  ]);
  const classes = known(labels);
  if (classes) tensors.set("labels", { dtype: "I64", shape: [labels.length], data: classes });
  await writeSafetensors(path, tensors, notes(record));
  return 1;
}

function notes(record: string | undefined): Record<string, string> {
  return record === undefined ? {} : { [RECORD_NAME]: record };
}

/** The classes as an array, when every image has one. */
function known(labels: readonly (number | null)[]): BigInt64Array | null {
  return labels.every((label) => label !== null) ? BigInt64Array.from(labels, BigInt) : null;
}
