/**
 * CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as they are distributed: the archives for C ("binary
 * version") and for Python, unpacked or not. Images are 32 x 32 RGB; labels are the classes, of
 * CIFAR-100 the fine ones. Formats: https://www.cs.toronto.edu/~kriz/cifar.html.
 *
 * @module
 */

import { basename, join } from "node:path";
import { FormatError } from "../../base/errors.ts";
import { gunzip, isGzip } from "../../formats/archive/inflate.ts";
import { bytesOfPickle, readPickle } from "../../formats/torch/pickle.ts";
import { PickleArray, PYTHON_GLOBALS } from "../../formats/torch/pickle_globals.ts";
import { bytesSource, readFileBytes } from "../../formats/source.ts";
import { readTar } from "../../formats/archive/tar.ts";
import { BaseDataset, type Dataset } from "../dataset.ts";
import {
  checkedLabels,
  checkNames,
  countLabels,
  type LabelArray,
  labelsFromArray,
} from "../folders/labels.ts";
import type { Split } from "../folders/splits.ts";
import { type DataSource, namesIn } from "../source.ts";

/** Which of the two sets. */
export type CifarSplit = "train" | "test";

const SIDE = 32;
const PIXELS = SIDE * SIDE;
/** The archives have 163 to 177 MB, unpacked 184 MB. */
const MAX_BYTES = 2 ** 30;

/** Names of the files of each set, of both data sets in both forms. */
const TRAIN = /^(?:data_batch_([1-9]\d?)|train)(\.bin)?$/;
const TEST = /^test(?:_batch)?(\.bin)?$/;
/** A batch of CIFAR-10's images for training, of which there are so many. */
const NUMBERED = /^data_batch_(\d+)(\.bin)?$/;
const BATCHES = 5;
const BATCH = /^(?:data_batch_\d+|test_batch)(?:\.bin)?$/;

/** Whether these are the files of an unpacked archive. */
export function holdsCifar(names: readonly string[]): boolean {
  return names.some((name) => NUMBERED.test(name)) ||
    (names.includes("train.bin") && names.includes("fine_label_names.txt")) ||
    (names.includes("train") && names.includes("meta"));
}

/** The row of the archives, packed and unpacked. */
export const CIFAR: DataSource = {
  endings: ".tar.gz (CIFAR)",
  divided: true,
  isNamed: (path) => /\.(?:tar|tar\.gz|tgz)$/i.test(path),
  begins: (start) => String.fromCharCode(...start.subarray(257, 262)) === "ustar",
  openFile: (path, { split }) => openCifarArchive(path, cifarSplit(path, split)),
  openFolder(tree, { split }) {
    const names = namesIn(tree);
    if (!holdsCifar(names)) return null;
    tree.close();
    return openCifarFolder(tree.name, names, cifarSplit(tree.name, split));
  },
};

/** The row of single batches of CIFAR-10. */
export const CIFAR_BATCH: DataSource = {
  isNamed: (path) => BATCH.test(basename(path)),
  openFile: (path) => openCifarFiles(path, [path]),
};

/** CIFAR has no images for validation. */
function cifarSplit(path: string, split: Split = "train"): CifarSplit {
  if (split !== "val") return split;
  throw new FormatError(`${path} has no part val; it is divided in ${path}#train, ${path}#test.`);
}

/**
 * Opens the images of an archive.
 *
 * @throws {FormatError} when it is damaged or something else
 */
export async function openCifarArchive(
  path: string,
  split: CifarSplit = "train",
): Promise<Dataset> {
  const bytes = await readFileBytes(path, MAX_BYTES);
  const tar = isGzip(bytes) ? gunzip(bytes, MAX_BYTES, path) : bytes;
  const files = new Map(
    [...readTar(tar, path)].map(([name, content]) => [basename(name), content]),
  );
  const names = batchNames([...files.keys()], split);
  if (names.length === 0 && holdsCifar([...files.keys()])) throw noBatches(path, split);
  checkBatches(path, names);
  if (names.length === 0) {
    throw new FormatError(
      `${path} holds no data set that is known: expected data_batch_1 or data_batch_1.bin, as in ` +
        `the archives of CIFAR-10, found ${[...files.keys()].slice(0, 5).join(", ")}.`,
    );
  }
  const classNames = readNames(path, [...files.keys()], (name) => files.get(name)!);
  return cifarDataset(path, names.map((name) => [name, files.get(name)!]), classNames);
}

/**
 * Opens the images of an unpacked archive.
 *
 * @param names of the files in the folder
 * @throws {FormatError} as {@link openCifarArchive}
 */
export async function openCifarFolder(
  folder: string,
  names: readonly string[],
  split: CifarSplit = "train",
): Promise<Dataset> {
  const batches = batchNames(names, split);
  if (batches.length === 0) throw noBatches(folder, split);
  checkBatches(folder, batches);
  const paths = batches.map((name) => join(folder, name));
  const meta = new Map<string, Uint8Array>();
  for (const name of names.filter((name) => NAME_FILES.has(name))) {
    meta.set(name, await readFileBytes(join(folder, name), MAX_BYTES));
  }
  const classNames = readNames(folder, [...meta.keys()], (name) => meta.get(name)!);
  return await openCifarFiles(folder, paths, classNames);
}

/** Files with the names of the classes, and what those of Python call them. */
const NAME_FILES: ReadonlyMap<string, string> = new Map([
  ["batches.meta.txt", ""],
  ["fine_label_names.txt", ""],
  ["batches.meta", "label_names"],
  ["meta", "fine_label_names"],
]);

/** The names of the classes, where there is a file of them. */
function readNames(
  path: string,
  names: readonly string[],
  read: (name: string) => Uint8Array,
): string[] | null {
  const file = names.find((name) => NAME_FILES.has(name));
  if (file === undefined) return null;
  const bytes = read(file);
  const key = NAME_FILES.get(file)!;
  if (key === "") {
    const lines = new TextDecoder().decode(bytes).split("\n").map((line) => line.trim());
    return lines.filter((line) => line !== "");
  }
  const found = entriesOf(bytes, `${path}: ${file}`).get(key);
  return Array.isArray(found) ? found.map(textOf) : null;
}

/**
 * Opens batches that are files of their own.
 *
 * @param name what messages call the set
 * @param paths of the batches, in their order
 * @param classNames where they are known
 * @throws {FormatError} when one is damaged or something else
 */
export async function openCifarFiles(
  name: string,
  paths: readonly string[],
  classNames: readonly string[] | null = null,
): Promise<Dataset> {
  const batches: [string, Uint8Array][] = [];
  for (const path of paths) batches.push([path, await readFileBytes(path, MAX_BYTES)]);
  return cifarDataset(name, batches, classNames);
}

function noBatches(name: string, split: CifarSplit): FormatError {
  const what = split === "train" ? "training" : "testing";
  return new FormatError(`${name} lacks the images for ${what}; fetch or unpack it again.`);
}

/** @throws {FormatError} when some of the numbered batches of CIFAR-10 are missing */
function checkBatches(name: string, batches: readonly string[]): void {
  const found = batches.map((batch) => Number(NUMBERED.exec(batch)?.[1] ?? 0));
  if (found.every((number) => number === 0)) return; // none, or the one file of another set
  const missing = Array.from({ length: BATCHES }, (_, i) => i + 1)
    .filter((number) => !found.includes(number))
    .map((number) => batches[0].replace(/\d+/, String(number)));
  if (missing.length === 0) return;
  throw new FormatError(
    `${name} lacks ${
      missing.join(", ")
    } of the ${BATCHES} batches of CIFAR-10; fetch or unpack it ` +
      `again, or give a batch by its own path to use that one alone.`,
  );
}

/** The files of a set among others, in their order. */
function batchNames(names: readonly string[], split: CifarSplit): string[] {
  const pattern = split === "train" ? TRAIN : TEST;
  const number = (name: string) => Number(pattern.exec(name)?.[1] ?? 0);
  return names.filter((name) => pattern.test(name)).sort((a, b) => number(a) - number(b));
}

function cifarDataset(
  name: string,
  batches: readonly [string, Uint8Array][],
  classNames: readonly string[] | null,
): Dataset {
  return new CifarDataset(
    name,
    batches.map(([path, bytes]) => {
      const where = path === name ? path : `${name}: ${basename(path)}`;
      return path.endsWith(".bin") ? readBinary(bytes, where) : readPickled(bytes, where);
    }),
    classNames,
  );
}

/** Images of one file, each as three planes, `stride` bytes from one to the next. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly stride: number;
  readonly labels: Int32Array;
}

/** One label (CIFAR-10) or a coarse and a fine one (CIFAR-100), then the planes, for each image. */
function readBinary(bytes: Uint8Array, name: string): Batch {
  const offset = [1, 2].find((labels) => bytes.length % (labels + 3 * PIXELS) === 0);
  if (offset === undefined || bytes.length === 0) {
    throw new FormatError(
      `${name} is no batch of CIFAR: its length must be a multiple of ${1 + 3 * PIXELS} (or ` +
        `${2 + 3 * PIXELS}) bytes, found ${bytes.length}.`,
    );
  }
  const stride = offset + 3 * PIXELS;
  const labels = Int32Array.from(
    { length: bytes.length / stride },
    (_, i) => bytes[i * stride + offset - 1],
  );
  return { bytes, offset, stride, labels };
}

/** A dictionary with `data`, uint8 `[n, 3072]`, and the list `labels` or `fine_labels`. */
function readPickled(bytes: Uint8Array, name: string): Batch {
  const entries = entriesOf(bytes, name);
  const data = entries.get("data");
  const labels = entries.get("labels") ?? entries.get("fine_labels");
  const isData = data instanceof PickleArray && data.type === "u8" && data.shape.length === 2 &&
    data.shape[1] === 3 * PIXELS;
  const isLabels = Array.isArray(labels) && labels.every((label) => typeof label === "number");
  if (!isData || !(isLabels || labels instanceof PickleArray)) {
    throw new FormatError(
      `${name} is no batch of CIFAR: expected a dictionary with data of uint8 [n, ${3 * PIXELS}] ` +
        `and labels, found ${[...entries.keys()].join(", ") || "none"}.`,
    );
  }
  const numbers = labels instanceof PickleArray
    ? labelsFromArray(readArray(labels), `${name}: labels`)
    : checkedLabels(labels as number[], `${name}: labels`);
  if (numbers.length !== data.shape[0]) {
    throw new FormatError(
      `${name} has ${data.shape[0]} images but ${numbers.length} labels.`,
    );
  }
  return { bytes: data.read(), offset: 0, stride: 3 * PIXELS, labels: numbers };
}

/** An array of objects has no numbers to read. */
function readArray(array: PickleArray): LabelArray {
  const { type, shape } = array;
  return { type, shape, bytes: type === null ? new Uint8Array() : array.read() };
}

/** What a pickled dictionary holds. */
function entriesOf(bytes: Uint8Array, name: string): Map<string, unknown> {
  const { value } = readPickle(bytesSource(bytes, name), { globals: PYTHON_GLOBALS });
  return new Map(
    value instanceof Map
      ? [...value].map(([key, item]): [string, unknown] => [textOf(key), item])
      : [],
  );
}

/** Keys and names are texts of Python 2, or bytes where Python 3 wrote them again. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const bytes = bytesOfPickle(value);
  return bytes ? new TextDecoder().decode(bytes) : String(value);
}

class CifarDataset extends BaseDataset {
  readonly length: number;
  readonly imageShape = [SIDE, SIDE, 3] as const;
  readonly labelCount: number;
  readonly #labels: Int32Array;
  /** Number of the first image of each batch. */
  readonly #starts: number[] = [];

  constructor(
    readonly name: string,
    private readonly batches: readonly Batch[],
    override readonly labelNames: readonly string[] | null,
  ) {
    super();
    let start = 0;
    for (const { labels } of batches) {
      this.#starts.push(start);
      start += labels.length;
    }
    this.length = start;
    this.#labels = Int32Array.from(batches.flatMap(({ labels }) => [...labels]));
    checkNames(this.#labels, labelNames, name);
    this.labelCount = labelNames?.length ?? countLabels(this.#labels, start, name);
  }

  override image(index: number): Uint8Array {
    let batch = this.#starts.length - 1;
    while (this.#starts[batch] > index) batch--;
    const { bytes, offset, stride } = this.batches[batch];
    const begin = (index - this.#starts[batch]) * stride + offset;
    const pixels = new Uint8Array(3 * PIXELS);
    for (let channel = 0; channel < 3; channel++) {
      const plane = begin + channel * PIXELS;
      for (let i = 0; i < PIXELS; i++) pixels[3 * i + channel] = bytes[plane + i];
    }
    return pixels;
  }

  override label(index: number): number {
    return this.#labels[index];
  }
}
