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
import { decodeImageSync, IMAGE_EXTENSIONS, probeImage } from "../format/image.ts";
import { loadJpegDecoder } from "../format/jpeg.ts";
import { type ImageShape, toRgb } from "../format/pixels.ts";
import { BaseDataset, countLabels, type Dataset } from "./dataset.ts";
import type { FileTree } from "./file_tree.ts";

/** How a folder is opened. */
export interface FolderOptions {
  /** Turns every picture into RGB: grey is repeated, transparency dropped. */
  readonly rgb?: boolean;
  /** Called now and then while the headers of all pictures are checked. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Decoded pictures are kept in memory when all of them together are at most this many bytes. */
const CACHE_BYTES = 2 ** 30;
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
    const paths = tree.paths.filter((path) =>
      IMAGE_EXTENSIONS.some((extension) => path.toLowerCase().endsWith(extension))
    );
    if (paths.length === 0) {
      throw new FormatError(
        `${tree.name} has no pictures: expected files that end in ${IMAGE_EXTENSIONS.join(", ")}.`,
      );
    }
    if (paths.some((path) => !path.toLowerCase().endsWith(".png"))) await loadJpegDecoder();
    const shape = await checkShapes(tree, paths, options);
    const labels = readLabels(tree, paths);
    return new FolderDataset(tree, paths, shape, labels, options.rgb ?? false);
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
  readonly #labels: Int32Array | null;
  readonly #cache: (Uint8Array | undefined)[] | null;

  constructor(
    private readonly tree: FileTree,
    private readonly paths: readonly string[],
    shape: ImageShape,
    labels: FolderLabels | null,
    private readonly rgb: boolean,
  ) {
    super();
    this.name = tree.name;
    this.length = paths.length;
    this.imageShape = [shape.height, shape.width, shape.channels];
    this.#labels = labels?.labels ?? null;
    this.labelNames = labels?.names ?? null;
    this.labelCount = this.labelNames?.length ??
      (this.#labels === null ? 0 : countLabels(this.#labels, this.length, tree.name));
    const total = paths.length * shape.height * shape.width * shape.channels;
    this.#cache = total <= CACHE_BYTES ? [] : null;
  }

  override image(index: number): Uint8Array {
    const cached = this.#cache?.[index];
    if (cached !== undefined) return cached;
    const path = this.paths[index];
    const name = this.tree.describe(path);
    const decoded = decodeImageSync(this.tree.readSync(path), name);
    const image = this.rgb ? toRgb(decoded) : decoded;
    const [height, width, channels] = this.imageShape;
    if (image.height !== height || image.width !== width || image.channels !== channels) {
      throw new FormatError(`${name} changed since the data set was opened; open it again.`);
    }
    if (this.#cache !== null) this.#cache[index] = image.data;
    return image.data;
  }

  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[index];
  }

  override close(): void {
    this.tree.close();
  }
}

/** The shape that all pictures share, once `rgb` has been applied. */
async function checkShapes(
  tree: FileTree,
  paths: readonly string[],
  { rgb = false, onProgress }: FolderOptions,
): Promise<ImageShape> {
  const first = probe(tree, paths[0], rgb);
  for (const [i, path] of paths.entries()) {
    const shape = probe(tree, path, rgb);
    if (
      shape.width !== first.width || shape.height !== first.height ||
      shape.channels !== first.channels
    ) {
      throw new FormatError(
        `${tree.describe(path)} is ${describe(shape)}, but ${paths[0]} is ${describe(first)}; ` +
          `all pictures of a data set must be alike.`,
      );
    }
    if (i % 1000 === 999) { // so that a progress bar can be drawn and Ctrl-C is heard
      onProgress?.(i + 1, paths.length);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  return first;
}

function probe(tree: FileTree, path: string, rgb: boolean): ImageShape {
  const name = tree.describe(path);
  let shape: ImageShape;
  const start = tree.readSync(path, HEADER_BYTES);
  try {
    shape = probeImage(start, name);
  } catch (error) {
    if (start.length < HEADER_BYTES) throw error;
    shape = probeImage(tree.readSync(path), name); // a JPEG with long metadata
  }
  return rgb ? { ...shape, channels: 3 } : shape;
}

function describe({ width, height, channels }: ImageShape): string {
  const colours = ["", "grey", "grey with alpha", "RGB", "RGB with alpha"][channels];
  return `${width} x ${height} ${colours}`;
}

interface FolderLabels {
  readonly labels: Int32Array;
  readonly names: readonly string[] | null;
}

function readLabels(tree: FileTree, paths: readonly string[]): FolderLabels | null {
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
  return { labels, names: null };
}
