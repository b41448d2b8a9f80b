/**
 * Files with weights, whoever wrote them, as one thing: tensors by name that are read one by one.
 *
 * @module
 */

import { dirname, join } from "jsr:@std/path@1.0.8";
import { FormatError, InternalError } from "../base/errors.ts";
import { isZip } from "../formats/archive/zip.ts";
import { unexpected } from "../formats/recognize/bytes.ts";
import { recognizeFile } from "../formats/recognize/file.ts";
import { describeFileError, openFileSource, readFileBytes } from "../formats/source.ts";
import { findModel } from "../models/model_file.ts";
import { findWeightsFile, INDEX } from "./folders.ts";
import {
  type Beginning,
  BEGINNING_BYTES,
  type ForeignFile,
  type ForeignTensor,
  type WeightFormat,
} from "./formats/format.ts";
import { NPZ } from "./formats/npz.ts";
import { SAFETENSORS } from "./formats/safetensors.ts";
import { TORCH_ARCHIVE, TORCH_STREAM } from "./formats/torch.ts";

/** A list of parts names every tensor of a model once. */
const MAX_LIST_BYTES = 2 ** 26;

/** All formats; a file is of the first that it may be of. */
const FORMATS: readonly WeightFormat[] = [TORCH_ARCHIVE, NPZ, SAFETENSORS, TORCH_STREAM];

/**
 * Opens a file by its content. A list of parts (`model.safetensors.index.json`) stands for all of
 * them.
 *
 * @throws {FormatError} when it is none of the formats, or damaged
 */
export async function openForeign(path: string): Promise<ForeignFile> {
  const { start, size } = await beginning(path);
  if (INDEX.test(path) && !isZip(start)) return openParts(path);
  const format = await formatOf({ path, start });
  try {
    return await format.open(path, size);
  } catch (error) {
    if (!(error instanceof FormatError) || isZip(start)) throw error;
    // What is damaged says so itself; what is something else is named.
    const known = await recognizeFile(path);
    if (known === null || /PyTorch|safetensors/.test(known.what)) throw error;
    const expected = "expected a checkpoint of PyTorch, a pickle, safetensors or npz";
    throw new FormatError(unexpected(path, known, expected), { cause: error });
  }
}

async function formatOf(beginning: Beginning): Promise<WeightFormat> {
  for (const format of FORMATS) if (await format.is(beginning)) return format;
  throw new InternalError("no format takes any file");
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
  return { start: await source.read(0, Math.min(BEGINNING_BYTES, source.size)), size: source.size };
}
