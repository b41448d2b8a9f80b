/** Weights in safetensors. @module */

import { extname } from "jsr:@std/path@1.0.8";
import { NUMERIC_TYPES, openSafetensors } from "../../formats/safetensors/safetensors.ts";
import type { ForeignFile, ForeignTensor, WeightFormat } from "./format.ts";

/** The row of safetensors. */
export const SAFETENSORS: WeightFormat = {
  // The length of a header, then its first character; a pickle has 0x80 in front.
  is: ({ path, start }) =>
    start[0] !== 0x80 && (start[8] === 0x7B && start[7] === 0 || extname(path) === ".safetensors"),
  open: openSafe,
};

async function openSafe(path: string, bytes: number): Promise<ForeignFile> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, ForeignTensor>();
  for (const [name, { dtype, shape }] of file.entries) {
    tensors.set(name, {
      type: NUMERIC_TYPES[dtype],
      shape,
      read: async () => (await file.read(name)).bytes,
    });
  }
  return {
    name: path,
    format: "safetensors",
    bytes,
    tensors,
    metadata: file.metadata,
    value: null,
    unknown: [],
    [Symbol.dispose]: () => file.close(),
  };
}
