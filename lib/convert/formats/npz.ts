/** Weights as numpy's arrays. @module */

import { FormatError } from "../../base/errors.ts";
import { isZip } from "../../formats/archive/zip.ts";
import { NpzFile } from "../../formats/arrays/npz.ts";
import type { ForeignFile, ForeignTensor, WeightFormat } from "./format.ts";

/** The row of npz. */
export const NPZ: WeightFormat = {
  is: ({ start }) => isZip(start),
  open: openNpz,
};

async function openNpz(path: string, bytes: number): Promise<ForeignFile> {
  const file = await NpzFile.open(path);
  try {
    const tensors = new Map<string, ForeignTensor>();
    for (const name of file.names) {
      const array = await file.array(name);
      tensors.set(name, {
        type: array.type,
        shape: array.shape,
        read: () => Promise.resolve(array.read().bytes),
      });
    }
    if (tensors.size === 0) {
      throw new FormatError(`${path} is a zip archive without arrays or PyTorch's data.pkl.`);
    }
    return {
      name: path,
      format: "npz",
      bytes,
      tensors,
      metadata: {},
      value: null,
      unknown: [],
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}
