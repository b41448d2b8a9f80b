/**
 * Latents in arrays with a row for each: npz, npy, safetensors, and folders of safetensors files as
 * LightningDiT's `extract_features.py` writes them.
 *
 * Arrays are found by name: `latents` or `moments`, with `latents_flip` or `moments_flip` of the
 * mirrored pictures and `labels` where there are some; `arr_0` and `arr_1` as numpy names them. Rows
 * stay on the disk until they are asked for.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { FormatError } from "../../base/errors.ts";
import { NpyReader } from "../../formats/arrays/npy.ts";
import type { NpzFile } from "../../formats/arrays/npz.ts";
import type { NumericType } from "../../formats/arrays/numeric.ts";
import { NUMERIC_TYPES, openSafetensors } from "../../formats/safetensors/safetensors.ts";
import { isPicture } from "../images/folder.ts";
import { type DataSource, namesIn, notDivided } from "../source.ts";
import { weightsHint } from "../../formats/recognize/bytes.ts";
import { type ByteSource, openFileSource } from "../../formats/source.ts";
import { countLabels, labelsFromArray } from "../folders/labels.ts";
import {
  BaseLatents,
  finiteLatent,
  latentChannelsLast,
  type LatentDataset,
  type LatentLayout,
  latentLayout,
} from "./dataset.ts";

/** An array whose rows are read one by one. */
export interface RowArray {
  /** What messages call it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: NumericType;
  /** Row `index` of the first axis. */
  row(index: number): Float32Array<ArrayBuffer>;
  /** The bytes of the whole array. */
  bytes(): Uint8Array | Promise<Uint8Array>;
}

/** Arrays by name, of one file. */
export interface ArrayFile {
  readonly name: string;
  readonly arrayNames: readonly string[];
  array(name: string): RowArray | Promise<RowArray>;
  close(): void;
}

/** Names of the latents, in the order of preference, and of those of mirrored pictures. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  latents: ["latents_flip", "latents_flipped"],
  moments: ["moments_flip", "moments_flipped"],
  arr_0: [],
};
const LABELS = ["labels", "label", "arr_1"];

/** Whether arrays of these names are latents, whatever is in them. */
export function namesLatents(names: readonly string[]): boolean {
  return names.includes("latents") || names.includes("moments");
}

/**
 * Opens the latents of files with arrays of the same names, one after the other.
 *
 * @param files are closed with the data set, and when this throws
 * @throws {FormatError} when they hold no latents, or do not belong together
 */
export async function openLatentArrays(
  name: string,
  files: readonly ArrayFile[],
): Promise<LatentDataset> {
  try {
    const parts: Part[] = [];
    for (const file of files) parts.push(await openPart(file));
    const [first] = parts;
    for (const part of parts) {
      const alike = part.latents.shape.slice(1).join() === first.latents.shape.slice(1).join() &&
        (part.mirrored === null) === (first.mirrored === null) &&
        (part.labels === null) === (first.labels === null);
      if (!alike) {
        throw new FormatError(
          `${part.latents.name} and ${first.latents.name} do not belong together: expected arrays ` +
            `of the same names and shapes in all files of ${name}.`,
        );
      }
    }
    return new ArrayLatents(name, parts, files);
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/**
 * The latents of an npz file that is open. Takes over the closing of it.
 *
 * @param first the array `arr_0`, where it has been opened: it may have been decompressed for that
 */
export async function openNpzLatents(
  file: NpzFile,
  path: string,
  first: NpyReader | null = null,
): Promise<LatentDataset> {
  return await openLatentArrays(path, [{
    name: path,
    arrayNames: file.names,
    array: async (key) => npyRows(first && key === "arr_0" ? first : await file.array(key)),
    close: () => file.close(),
  }]);
}

/**
 * The latents of an npy file; their labels are those of `labels.npy` beside it, where there is such.
 *
 * @throws {FormatError} when the file is damaged or holds something else
 */
export async function openNpyLatents(path: string): Promise<LatentDataset> {
  const beside = join(dirname(path), "labels.npy");
  const hasLabels = basename(path) !== "labels.npy" &&
    await Deno.stat(beside).then(({ isFile }) => isFile, () => false);
  const paths = hasLabels ? [path, beside] : [path];
  const sources: ByteSource[] = [];
  const close = () => sources.forEach((source) => source.close());
  let arrays: RowArray[];
  try {
    for (const path of paths) sources.push(await openFileSource(path));
    arrays = sources.map((source) => npyRows(new NpyReader(source)));
  } catch (error) {
    close();
    throw error;
  }
  return await openLatentArrays(path, [{
    name: path,
    arrayNames: ["latents", "labels"].slice(0, arrays.length),
    array: (key) => arrays[key === "latents" ? 0 : 1],
    close,
  }]);
}

/**
 * The latents of safetensors files, in the order given.
 *
 * @param name what messages call the set
 * @throws {FormatError} when one is damaged or holds something else
 */
export async function openSafetensorsLatents(
  name: string,
  paths: readonly string[],
): Promise<LatentDataset> {
  const files: ArrayFile[] = [];
  try {
    for (const path of paths) files.push(await safetensorsRows(path));
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
  return await openLatentArrays(name, files);
}

async function safetensorsRows(path: string): Promise<ArrayFile> {
  const file = await openSafetensors(path);
  return {
    name: path,
    arrayNames: [...file.entries.keys()],
    array: (key) => {
      const { shape, dtype } = file.entries.get(key)!;
      return {
        name: `${path}: ${key}`,
        shape,
        type: NUMERIC_TYPES[dtype],
        row: (index) => file.readRowsSync(key, index, 1).toFloat32(),
        bytes: async () => (await file.read(key)).bytes,
      };
    },
    close: () => file.close(),
  };
}

function npyRows(array: NpyReader): RowArray {
  const { name, shape, type } = array;
  if (array.fortranOrder && shape.length > 1) {
    throw new FormatError(`${name} is in Fortran order; save a copy in C order.`);
  }
  return {
    name,
    shape,
    type,
    row: (index) => array.rows(index, 1).toFloat32(),
    bytes: () => array.read().bytes,
  };
}

/** What one file holds. */
interface Part {
  readonly latents: RowArray;
  readonly mirrored: RowArray | null;
  readonly labels: Int32Array | null;
  readonly labelsKey: string | undefined;
  readonly count: number;
}

async function readLabels({ name, type, shape, bytes }: RowArray): Promise<Int32Array> {
  return labelsFromArray({ type, shape, bytes: await bytes() }, name);
}

async function openPart(file: ArrayFile): Promise<Part> {
  const { name, arrayNames } = file;
  const key = Object.keys(NAMES).find((key) => arrayNames.includes(key));
  if (key === undefined) {
    throw new FormatError(
      `${name} holds no latents: expected an array named ${Object.keys(NAMES).join(" or ")}, ` +
        `found ${arrayNames.slice(0, 5).join(", ") || "none"}.${weightsHint(arrayNames)}`,
    );
  }
  const latents = await file.array(key);
  const { shape, type } = latents;
  if (shape.length !== 4 || shape[0] < 1 || !/^b?f(16|32|64)$/.test(type)) {
    throw new FormatError(
      `${latents.name} holds no latents: expected floats of shape (count, channels, height, ` +
        `width), found ${type} of shape (${shape.join(", ")}).`,
    );
  }
  const mirroredKey = NAMES[key].find((key) => arrayNames.includes(key));
  const mirrored = mirroredKey === undefined ? null : await file.array(mirroredKey);
  if (mirrored !== null && mirrored.shape.join() !== shape.join()) {
    throw new FormatError(
      `${mirrored.name} has the shape (${mirrored.shape.join(", ")}), but ${latents.name} has ` +
        `(${shape.join(", ")}); they must be alike.`,
    );
  }
  const labelsKey = LABELS.find((key) => arrayNames.includes(key));
  const labels = labelsKey === undefined ? null : await readLabels(await file.array(labelsKey));
  if (labels !== null) countLabels(labels, shape[0], name);
  return { latents, mirrored, labels, labelsKey, count: shape[0] };
}

class ArrayLatents extends BaseLatents {
  readonly length: number;
  readonly storedShape: LatentLayout["shape"];
  readonly labelCount: number;
  override readonly hasMirrored: boolean;
  override readonly labelSource: string | null;
  readonly #layout: LatentLayout;
  readonly #labels: Int32Array | null;
  /** Number of the first item of every part, and of the one after the last. */
  readonly #starts: number[] = [0];

  constructor(
    readonly name: string,
    private readonly parts: readonly Part[],
    private readonly files: readonly ArrayFile[],
  ) {
    super();
    const [{ latents, mirrored, labels, labelsKey }] = parts;
    this.#layout = latentLayout(latents.shape.slice(1), latents.name);
    this.storedShape = this.#layout.shape;
    this.hasMirrored = mirrored !== null;
    this.labelSource = labelsKey ?? null;
    for (const { count } of parts) this.#starts.push(this.#starts.at(-1)! + count);
    this.length = this.#starts.at(-1)!;
    this.#labels = null;
    if (labels !== null) {
      this.#labels = new Int32Array(this.length);
      parts.forEach((part, i) => this.#labels!.set(part.labels!, this.#starts[i]));
    }
    this.labelCount = this.#labels === null ? 0 : countLabels(this.#labels, this.length, name);
  }

  override stored(index: number, mirrored = false): Float32Array<ArrayBuffer> {
    const part = this.#partOf(index);
    const { latents, mirrored: flipped } = this.parts[part];
    const array = mirrored && flipped ? flipped : latents;
    const row = index - this.#starts[part];
    return latentChannelsLast(finiteLatent(array.row(row), `${array.name}[${row}]`), this.#layout);
  }

  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[index];
  }

  override close(): void {
    for (const file of this.files) file.close();
  }

  /** By halving: ImageNet has a hundred parts. */
  #partOf(index: number): number {
    let [low, high] = [0, this.parts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The row of npy files. */
export const NPY: DataSource = {
  endings: ".npy",
  latents: true,
  isNamed: (path) => /\.npy$/i.test(path),
  begins: (start) => String.fromCharCode(...start.subarray(0, 6)) === "\x93NUMPY",
  openFile: (path) => openNpyLatents(path),
};

/** The row of safetensors files, and of folders with them. */
export const SAFETENSORS: DataSource = {
  endings: ".safetensors",
  latents: true,
  isNamed: isSafetensors,
  // The length of a header of JSON as a 64-bit number.
  begins: (start) => start[8] === 0x7B && start.subarray(4, 8).every((byte) => byte === 0),
  openFile: (path) => openSafetensorsLatents(path, [path]),
  openFolder(tree, { split }) {
    const names = namesIn(tree).filter(isSafetensors);
    if (names.length === 0 || tree.paths.some(isPicture)) return null;
    tree.close();
    if (split) throw notDivided(tree.name, split);
    return openSafetensorsLatents(tree.name, names.map((name) => join(tree.name, name)));
  },
};

function isSafetensors(path: string): boolean {
  return /\.safetensors$/i.test(path);
}
