/**
 * Files with weights, whoever wrote them, as one thing: tensors by name that are read one by one.
 *
 * @module
 */

import { dirname, extname, join } from "jsr:@std/path@1.0.8";
import { FormatError } from "../base/errors.ts";
import { NpzFile } from "../formats/arrays/npz.ts";
import type { NumericType } from "../formats/arrays/numeric.ts";
import { NUMERIC_TYPES, openSafetensors } from "../formats/safetensors/safetensors.ts";
import { unexpected } from "../formats/recognize/bytes.ts";
import { recognizeFile } from "../formats/recognize/file.ts";
import { describeFileError, openFileSource, readFileBytes } from "../formats/source.ts";
import { openTorchFile, type TorchFile } from "../formats/torch/file.ts";
import { type NamedTensor, namedTensors } from "../formats/torch/module.ts";
import { TorchTensor } from "../formats/torch/tensor.ts";
import { isZip, openZip } from "../formats/archive/zip.ts";
import { findModel } from "../models/model_file.ts";
import { findWeightsFile, INDEX } from "./folders.ts";

/** A list of parts names every tensor of a model once. */
const MAX_LIST_BYTES = 2 ** 26;

/** A tensor that is still in its file. */
export interface ForeignTensor {
  /** Type of the elements. */
  readonly type: NumericType;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** Where its elements lie, the same for tensors that share them; not every format tells. */
  readonly place?: string;
  /** The elements, row-major and little-endian, read now. */
  read(): Promise<Uint8Array>;
}

/** Kinds of files, in the words of people. */
export type ForeignFormat =
  | "safetensors"
  | "npz"
  | "PyTorch archive"
  | "PyTorch stream (before 1.6)"
  | "pickle";

/** An open file. Its tensors can be read until it is closed. */
export interface ForeignFile extends Disposable {
  /** Its path. */
  readonly name: string;
  /** What it turned out to be. */
  readonly format: ForeignFormat;
  /** Length of the file. */
  readonly bytes: number;
  /** Names as the file has them: keys, attributes and numbers joined by dots. */
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
  /** Metadata of a safetensors file. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What PyTorch or pickle saved, besides its tensors. */
  readonly value: unknown;
  /** Classes of objects that were passed over, as `collections.deque`: they are not known here. */
  readonly unknown: readonly string[];
}

const TORCH_FORMATS = {
  zip: "PyTorch archive",
  legacy: "PyTorch stream (before 1.6)",
  pickle: "pickle",
} as const satisfies Record<TorchFile["format"], ForeignFormat>;

/**
 * Opens a file by its content. A list of parts (`model.safetensors.index.json`) stands for all of
 * them.
 *
 * @throws {FormatError} when it is none of the formats, or damaged
 */
export async function openForeign(path: string): Promise<ForeignFile> {
  const { start, size } = await beginning(path);
  if (isZip(start)) return await isTorchArchive(path) ? openTorch(path, size) : openNpz(path, size);
  // The length of a safetensors header, then its first character; a pickle has 0x80 in front.
  const isHeader = start[8] === 0x7B && start[7] === 0 && start[0] !== 0x80;
  if (INDEX.test(path)) return openParts(path);
  const isSafe = isHeader || extname(path) === ".safetensors" && start[0] !== 0x80;
  try {
    return await (isSafe ? openSafe(path, size) : openTorch(path, size));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // What is damaged says so itself; what is something else is named.
    const known = await recognizeFile(path);
    if (known === null || /PyTorch|safetensors/.test(known.what)) throw error;
    const expected = "expected a checkpoint of PyTorch, a pickle, safetensors or npz";
    throw new FormatError(unexpected(path, known, expected), { cause: error });
  }
}

/** A model in several files, from the list that says where each tensor is. */
async function openParts(path: string): Promise<ForeignFile> {
  const list = await readList(path);
  const files = new Map<string, ForeignFile>();
  const close = () => files.forEach((file) => file[Symbol.dispose]());
  try {
    for (const part of new Set(list.values())) {
      files.set(part, await openForeign(join(dirname(path), part)));
    }
    const tensors = new Map<string, ForeignTensor>();
    for (const [name, part] of list) {
      const tensor = files.get(part)!.tensors.get(name);
      if (tensor === undefined) {
        throw new FormatError(`${path}: expected ${name} in ${part}, but it is not there.`);
      }
      tensors.set(name, tensor);
    }
    const all = [...files.values()];
    return {
      name: path,
      format: all[0].format,
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      tensors,
      metadata: all[0].metadata,
      value: null,
      unknown: [...new Set(all.flatMap(({ unknown }) => unknown))],
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The file of each tensor, as `model.safetensors.index.json` lists them. */
async function readList(path: string): Promise<Map<string, string>> {
  const text = new TextDecoder().decode(await readFileBytes(path, MAX_LIST_BYTES));
  let list: unknown;
  try {
    list = Object(JSON.parse(text)).weight_map;
  } catch (cause) {
    throw new FormatError(`${path} is not JSON.`, { cause });
  }
  const entries = Object.entries(Object(list));
  if (entries.length === 0) {
    throw new FormatError(`${path} has no weight_map that says where the tensors are.`);
  }
  for (const [name, part] of entries) {
    // Beside the list, and no list of its own.
    if (typeof part !== "string" || /[/\\]|^\.|\.json$/.test(part)) {
      throw new FormatError(
        `${path}: expected the name of a file beside it for ${name}, found ${
          JSON.stringify(part)
        }.`,
      );
    }
  }
  return new Map(entries as [string, string][]);
}

/** All files that are read for one: itself, and where it is a list of parts, they as well. */
export async function filesOf(path: string): Promise<string[]> {
  if (!INDEX.test(path)) return [path];
  // What is wrong with the list is said by whoever opens it.
  const list = await readList(path).catch(() => new Map<string, string>());
  return [path, ...new Set([...list.values()].map((part) => join(dirname(path), part)))];
}

/**
 * The file that `path` means: itself, the model of the run in a folder, the list of parts or the
 * only file of weights in it.
 *
 * @throws {FormatError} when there is none, or it is a folder of another kind, which is named
 */
export async function findForeign(path: string): Promise<string> {
  let isFolder: boolean;
  try {
    isFolder = (await Deno.stat(path)).isDirectory;
  } catch (error) {
    throw describeFileError(error, path);
  }
  if (!isFolder) return path;
  return await findModel(path).catch(() => findWeightsFile(path));
}

async function beginning(path: string): Promise<{ start: Uint8Array; size: number }> {
  using source = await openFileSource(path);
  return { start: await source.read(0, Math.min(9, source.size)), size: source.size };
}

async function isTorchArchive(path: string): Promise<boolean> {
  using archive = await openZip(path);
  return [...archive.members.keys()].some((name) => name.endsWith("/data.pkl"));
}

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
