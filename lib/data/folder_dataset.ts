/**
 * A folder (or a zip archive) of PNG and JPEG files.
 *
 * Labels come from `dataset.json` in its root, `{"labels": [["a/b.png", 3], …]}` as EDM's and
 * StyleGAN's `dataset_tool.py` write it; without that file, from the names of the folders directly
 * below the root, sorted, when every picture lies in one of them.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { IMAGE_EXTENSIONS, probeImage } from "../format/image.ts";
import { loadJpegDecoder } from "../format/jpeg.ts";
import type { ImageShape } from "../format/pixels.ts";
import { BaseDataset, countLabels, type Dataset, type Decoding } from "./dataset.ts";
import { decodePicture, type PictureFormat } from "./decode_picture.ts";
import type { FileTree } from "./file_tree.ts";

/** How a folder is opened. */
export interface FolderOptions {
  /**
   * Turns every picture into RGB: grey is repeated, transparency dropped. With `"auto"` only where
   * not all of them are grey, so that colour and grey ones may lie side by side.
   */
  readonly rgb?: boolean | "auto";
  /**
   * Is told of a picture whose header cannot be read, which is then left out; without it the first
   * one is an error.
   */
  readonly onCorrupt?: (error: FormatError) => void;
  /** Pictures may differ in size: see `shapeOf` of a data set. Default false: it is an error. */
  readonly mixedSizes?: boolean;
  /** Decoded pictures are kept in memory when all of them are at most so many bytes. Default 1 GiB. */
  readonly keepBytes?: number;
  /** Called now and then while the headers of all pictures are checked. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** See {@link FolderOptions.keepBytes}. */
const KEEP_BYTES = 2 ** 30;
/** The header of nearly every picture lies within this many bytes. */
const HEADER_BYTES = 2 ** 16;
const METADATA = "dataset.json";

/**
 * Opens all pictures of a tree, sorted by path. The header of each is checked now, its pixels are
 * decoded when they are asked for.
 *
 * @param tree is closed with the data set, and when this throws
 * @throws {FormatError} when there are no pictures, one is damaged, or one has another size or
 * other channels than the first; the sentence names it
 */
export async function openFolderDataset(
  tree: FileTree,
  options: FolderOptions = {},
): Promise<Dataset> {
  try {
    const all = picturesOf(tree);
    if (all.some((path) => !path.toLowerCase().endsWith(".png"))) await loadJpegDecoder();
    const { paths, shapes, shape, rgb } = await checkShapes(tree, all, options);
    const labels = readLabels(tree, paths);
    const format = { shape, rgb };
    return new FolderDataset(tree, paths, labels, format, shapes, options.keepBytes);
  } catch (error) {
    tree.close();
    throw error;
  }
}

class FolderDataset extends BaseDataset {
  readonly name: string;
  readonly length: number;
  readonly imageShape: readonly [height: number, width: number, channels: number];
  readonly labelCount: number;
  override readonly labelNames: readonly string[] | null;
  readonly decoding: Decoding | null;
  readonly shapeOf?: (index: number) => readonly [height: number, width: number, channels: number];
  readonly #labels: Int32Array | null;
  readonly #cache: (Uint8Array | undefined)[] | null;
  /** Decoded by others, for the next time that they are asked for. */
  readonly #supplied = new Map<number, Uint8Array>();

  constructor(
    private readonly tree: FileTree,
    private readonly paths: readonly string[],
    labels: FolderLabels | null,
    private readonly format: PictureFormat,
    /** Of each picture, where they differ. */
    private readonly shapes: readonly ImageShape[] | null,
    keepBytes = KEEP_BYTES,
  ) {
    super();
    const { shape } = format;
    this.name = tree.name;
    this.length = paths.length;
    this.imageShape = [shape.height, shape.width, shape.channels];
    this.#labels = labels?.labels ?? null;
    this.labelNames = labels?.names ?? null;
    this.labelCount = this.labelNames?.length ??
      (this.#labels === null ? 0 : countLabels(this.#labels, this.length, tree.name));
    const bytesOf = ({ height, width, channels }: ImageShape) => height * width * channels;
    const totalBytes = shapes?.reduce((sum, shape) => sum + bytesOf(shape), 0) ??
      paths.length * bytesOf(shape);
    this.#cache = totalBytes <= keepBytes ? [] : null;
    if (shapes) {
      this.shapeOf = (index) => {
        const { height, width, channels } = shapes[index];
        return [height, width, channels];
      };
    }
    this.decoding = shapes ? null : {
      totalBytes,
      isKept: this.#cache !== null,
      format,
      isMissing: (index) => (this.#cache?.[index] ?? this.#supplied.get(index)) === undefined,
      place: (index) => ({
        name: tree.describe(paths[index]),
        place: tree.place(paths[index]),
      }),
      supply: (index, pixels) => {
        if (this.#cache !== null) this.#cache[index] = pixels;
        else this.#supplied.set(index, pixels);
      },
    };
  }

  override image(index: number): Uint8Array {
    const ready = this.#cache?.[index] ?? this.#supplied.get(index);
    if (ready !== undefined) {
      this.#supplied.delete(index);
      return ready;
    }
    const path = this.paths[index];
    const format = { ...this.format, ...(this.shapes ? { shape: this.shapes[index] } : {}) };
    const pixels = decodePicture(this.tree.readSync(path), this.tree.describe(path), format);
    if (this.#cache !== null) this.#cache[index] = pixels;
    return pixels;
  }

  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[index];
  }

  override close(): void {
    this.tree.close();
  }
}

/**
 * The pictures that can be read, and the shape that they share once `rgb` has been applied: or the
 * largest, and those of all pictures.
 */
async function checkShapes(
  tree: FileTree,
  all: readonly string[],
  { rgb = false, mixedSizes = false, onCorrupt, onProgress }: FolderOptions,
): Promise<{ paths: string[]; shapes: ImageShape[] | null; shape: ImageShape; rgb: boolean }> {
  const paths: string[] = [];
  const shapes: ImageShape[] = [];
  for (const [i, path] of all.entries()) {
    try {
      shapes.push(probePicture(tree, path));
      paths.push(path);
    } catch (error) {
      if (!(error instanceof FormatError && onCorrupt)) throw error;
      onCorrupt(error);
    }
    if (i % 1000 === 999) { // so that a progress bar can be drawn and Ctrl-C is heard
      onProgress?.(i + 1, all.length);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  if (paths.length === 0) throw new FormatError(`${tree.name} has no picture that can be read.`);
  const toRgb = rgb === "auto" ? shapes.some(({ channels }) => channels > 1) : rgb;
  const seen = toRgb ? shapes.map((shape) => ({ ...shape, channels: 3 })) : shapes;
  const [first] = seen;
  const sizesDiffer = ({ width, height }: ImageShape) =>
    width !== first.width || height !== first.height;
  const isMixed = mixedSizes && seen.some(sizesDiffer);
  const odd = seen.findIndex((shape) =>
    (!isMixed && sizesDiffer(shape)) || shape.channels !== first.channels
  );
  if (odd >= 0) {
    throw new FormatError(
      `${tree.describe(paths[odd])} is ${describe(seen[odd])}, but ${paths[0]} is ` +
        `${
          describe(first)
        }; all pictures of a data set must be alike (imm dataset prepare makes them so).`,
    );
  }
  const largest = seen.reduce((most, { height, width }) => ({
    ...most,
    height: Math.max(most.height, height),
    width: Math.max(most.width, width),
  }));
  return { paths, shapes: isMixed ? seen : null, shape: largest, rgb: toRgb };
}

/**
 * Paths of the pictures of a tree, by their names.
 *
 * @throws {FormatError} when there are none
 */
export function picturesOf(tree: FileTree): string[] {
  const paths = tree.paths.filter(isPicture);
  if (paths.length > 0) return paths;
  throw new FormatError(
    `${tree.name} has no pictures: expected files that end in ${IMAGE_EXTENSIONS.join(", ")}.`,
  );
}

/** Whether a file is a picture, by its name. */
export function isPicture(path: string): boolean {
  return IMAGE_EXTENSIONS.some((extension) => path.toLowerCase().endsWith(extension));
}

/** Size and channels of a picture, from its header. @throws {FormatError} when it is damaged */
export function probePicture(tree: FileTree, path: string): ImageShape {
  const name = tree.describe(path);
  const start = tree.readSync(path, HEADER_BYTES);
  try {
    return probeImage(start, name);
  } catch (error) {
    if (start.length < HEADER_BYTES) throw error;
    return probeImage(tree.readSync(path), name); // a JPEG with long metadata
  }
}

function describe({ width, height, channels }: ImageShape): string {
  const colours = ["", "grey", "grey with alpha", "RGB", "RGB with alpha"][channels];
  return `${width} x ${height} ${colours}`;
}

/** Classes of pictures, and their names where folders give them. */
export interface FolderLabels {
  readonly labels: Int32Array;
  readonly names: readonly string[] | null;
}

/**
 * Classes of the pictures of a tree, from its `dataset.json` or from the names of its folders; null
 * where there are none.
 *
 * @throws {FormatError} when `dataset.json` is damaged or does not name a picture
 */
export function readLabels(tree: FileTree, paths: readonly string[]): FolderLabels | null {
  if (tree.paths.includes(METADATA)) return labelsFromMetadata(tree, paths);
  if (!paths.every((path) => path.includes("/"))) return null;
  const folders = paths.map((path) => path.slice(0, path.indexOf("/")));
  const names = [...new Set(folders)].sort();
  const numbers = new Map(names.map((name, i) => [name, i]));
  return { labels: Int32Array.from(folders, (folder) => numbers.get(folder)!), names };
}

function labelsFromMetadata(tree: FileTree, paths: readonly string[]): FolderLabels | null {
  const name = tree.describe(METADATA);
  let metadata: unknown;
  try {
    metadata = JSON.parse(new TextDecoder().decode(tree.readSync(METADATA)));
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(`${name} is not valid JSON.`, { cause });
  }
  const list = (metadata as { labels?: unknown } | null)?.labels ?? null;
  if (list === null) return null;
  const isPair = (pair: unknown): pair is [string, number] =>
    Array.isArray(pair) && typeof pair[0] === "string" && Number.isInteger(pair[1]);
  if (!Array.isArray(list) || !list.every(isPair)) {
    throw new FormatError(
      `${name} must hold {"labels": [["folder/picture.png", 3], …]} or {"labels": null}.`,
    );
  }
  const labelOf = new Map(list.map(([path, label]) => [path.replaceAll("\\", "/"), label]));
  const labels = Int32Array.from(paths, (path) => {
    const label = labelOf.get(path);
    if (label === undefined) throw new FormatError(`${name} has no label for ${path}.`);
    return label;
  });
  const names = (metadata as { label_names?: unknown }).label_names;
  const isName = (name: unknown): name is string => typeof name === "string";
  return { labels, names: Array.isArray(names) && names.every(isName) ? names : null };
}
