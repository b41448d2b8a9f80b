/**
 * A folder (or a zip archive) with an npy file for each latent, with labels as folders of pictures
 * have them (tree_labels.ts). EDM2's `dataset_tool.py encode` writes such archives, whose names,
 * `00000/img-mean-std-00000000.npy`, say that they hold means and standard deviations.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { NpyReader } from "../../formats/arrays/npy.ts";
import { bytesSource } from "../../formats/source.ts";
import { type FileTree, treeChecksum } from "../folders/file_tree.ts";
import { countLabels } from "../folders/labels.ts";
import {
  BaseLatents,
  finiteLatent,
  latentChannelsLast,
  type LatentDataset,
  type LatentLayout,
  latentLayout,
  type LatentMoments,
} from "./dataset.ts";
import type { Split } from "../folders/splits.ts";
import { findRoot, readLabels, type TreeLabels } from "../folders/tree_labels.ts";

/** Whether a file may be a latent, by its name. */
export function isLatentFile(path: string): boolean {
  return path.toLowerCase().endsWith(".npy");
}

/**
 * Opens all npy files of a tree, sorted by path. They must be like the first; each is checked when
 * it is read.
 *
 * @param tree is closed with the data set, and when this throws
 * @param split the part that is asked for of a tree that is divided
 * @throws {FormatError} when the first is damaged or no latent
 */
export function openLatentFolder(tree: FileTree, split?: Split): LatentDataset {
  try {
    const { tree: root, notes } = findRoot(tree, isLatentFile, split);
    const paths = root.paths.filter(isLatentFile);
    const { labels, notes: more } = readLabels(root, paths);
    return new FolderLatents(root, paths, labels, [...notes, ...more]);
  } catch (error) {
    tree.close();
    throw error;
  }
}

class FolderLatents extends BaseLatents {
  readonly name: string;
  readonly length: number;
  readonly storedShape: LatentLayout["shape"];
  readonly labelCount: number;
  override readonly labelNames: readonly string[] | null;
  override readonly labelSource: string | null;
  override readonly moments: LatentMoments | null;
  readonly #layout: LatentLayout;
  readonly #labels: Int32Array | null;

  constructor(
    private readonly tree: FileTree,
    private readonly paths: readonly string[],
    labels: TreeLabels | null,
    override readonly notes: readonly string[],
  ) {
    super();
    this.name = tree.name;
    this.length = paths.length;
    const [first] = paths;
    this.#layout = latentLayout(this.#read(0).shape, tree.describe(first));
    this.storedShape = this.#layout.shape;
    this.moments = paths.every((path) => path.includes("mean-std")) ? "mean-std" : null;
    this.#labels = labels?.labels ?? null;
    this.labelNames = labels?.names ?? null;
    this.labelSource = labels?.source ?? null;
    this.labelCount = this.labelNames?.length ??
      (this.#labels === null ? 0 : countLabels(this.#labels, this.length, tree.name));
  }

  override stored(index: number): Float32Array<ArrayBuffer> {
    const { shape, values } = this.#read(index);
    const { channelsFirst, shape: [height, width, channels] } = this.#layout;
    const expected = channelsFirst ? [channels, height, width] : [height, width, channels];
    if (shape.join() !== expected.join()) {
      throw new FormatError(
        `${this.tree.describe(this.paths[index])} has the shape (${shape.join(", ")}), but ` +
          `${this.paths[0]} has (${expected.join(", ")}); all latents of a data set must be alike.`,
      );
    }
    return latentChannelsLast(
      finiteLatent(values, this.tree.describe(this.paths[index])),
      this.#layout,
    );
  }

  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[index];
  }

  fileSize(index: number): number {
    return this.tree.size(this.paths[index]);
  }

  storedChecksum(): string | null {
    return treeChecksum(this.tree, this.paths);
  }

  override close(): void {
    this.tree.close();
  }

  /** The shape without a leading axis of one, and the numbers in the order of the file. */
  #read(index: number): { shape: readonly number[]; values: Float32Array<ArrayBuffer> } {
    const path = this.paths[index];
    const name = this.tree.describe(path);
    const array = new NpyReader(bytesSource(this.tree.readSync(path), name)).read();
    if (!/^f(16|32|64)$/.test(array.type)) {
      throw new FormatError(`${name} holds no latent: expected floats, found ${array.type}.`);
    }
    const shape = array.shape.length === 4 && array.shape[0] === 1
      ? array.shape.slice(1)
      : array.shape;
    return { shape, values: array.toFloat32() };
  }
}
