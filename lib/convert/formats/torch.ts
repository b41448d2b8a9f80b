/**
 * Checkpoints of PyTorch: archives, the streams before them, and pickles of any kind.
 *
 * @module
 */

import { isZip, openZip } from "../../formats/archive/zip.ts";
import { openTorchFile, type TorchFile } from "../../formats/torch/file.ts";
import { type NamedTensor, namedTensors } from "../../formats/torch/module.ts";
import { TorchTensor } from "../../formats/torch/tensor.ts";
import type { ForeignFile, ForeignTensor, WeightFormat } from "./format.ts";

/** The row of PyTorch's archives. */
export const TORCH_ARCHIVE: WeightFormat = {
  is: async ({ path, start }) => isZip(start) && await isTorchArchive(path),
  open: openTorch,
};

/** The row of streams and pickles, which have no mark of their own: what is left is taken for them. */
export const TORCH_STREAM: WeightFormat = {
  is: () => true,
  open: openTorch,
};

const TORCH_FORMATS = {
  zip: "PyTorch archive",
  legacy: "PyTorch stream (before 1.6)",
  pickle: "pickle",
} as const satisfies Record<TorchFile["format"], string>;

async function isTorchArchive(path: string): Promise<boolean> {
  using archive = await openZip(path);
  return [...archive.members.keys()].some((name) => name.endsWith("/data.pkl"));
}

async function openTorch(path: string, bytes: number): Promise<ForeignFile> {
  const file = await openTorchFile(path);
  try {
    return {
      name: path,
      format: TORCH_FORMATS[file.format],
      bytes,
      tensors: withPlaces(namedTensors(file.value, path)),
      metadata: {},
      value: file.value,
      unknown: file.unknown,
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function withPlaces(tensors: ReadonlyMap<string, NamedTensor>): Map<string, ForeignTensor> {
  const numbers = new Map<unknown, number>();
  return new Map([...tensors].map(([name, tensor]) => {
    const { type, shape } = tensor;
    const read = () => tensor.read();
    if (!(tensor instanceof TorchTensor)) return [name, { type, shape, read }];
    const { storage, offset, strides } = tensor;
    if (!numbers.has(storage)) numbers.set(storage, numbers.size);
    return [name, { type, shape, place: `${numbers.get(storage)}+${offset}/${strides}`, read }];
  }));
}
