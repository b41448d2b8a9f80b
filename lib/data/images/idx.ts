/**
 * MNIST and its relatives: a file of images and a file of labels in the IDX format.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { FormatError } from "../../base/errors.ts";
import { type IdxArray, readIdx } from "../../formats/arrays/idx.ts";
import { ArrayDataset, type Dataset } from "../dataset.ts";
import { labelsFromArray } from "../folders/labels.ts";
import type { Split } from "../folders/splits.ts";
import { type DataSource, namesIn } from "../source.ts";

/** `train-images-idx3-ubyte`, `t10k-images.idx3-ubyte.gz`, … */
const IMAGES = /^(.*)images([-.])idx[34]-ubyte(\.gz)?$/;

/** Whether a file is called like a file of IDX images. */
export function isIdxImagesName(path: string): boolean {
  return IMAGES.test(basename(path));
}

/** The row of IDX files, and of folders with them. */
export const IDX: DataSource = {
  endings: "-idx3-ubyte (with .gz or without)",
  isNamed: (path) => /[-.]idx\d-\w+(\.gz)?$|\.idx\d?(\.gz)?$/.test(basename(path)),
  begins([zero, zeros, type, axes]) {
    return (zero | zeros) === 0 && type >= 8 && type <= 14 && axes >= 1 && axes <= 4;
  },
  openFile: (path) => openIdxDataset(path),
  openFolder(tree, { split }) {
    const images = findIdxImages(tree.name, namesIn(tree), split);
    if (images === null) return null;
    tree.close();
    return openIdxDataset(images);
  },
};

/**
 * The file of images in a folder that is meant: the one whose name starts with `train` (with `t10k`
 * or `test`, for testing), else the only one; null when there is none.
 *
 * @param split the part that is asked for; default: the images for training
 * @throws {FormatError} when there are several and none is for training, or that part is missing
 */
export function findIdxImages(
  folder: string,
  names: Iterable<string>,
  split?: Split,
): string | null {
  const found = [...names].filter(isIdxImagesName).sort();
  if (found.length === 0) return null;
  const part = found.filter((name) => PART_NAMES[split ?? "train"].test(name));
  if (split && part.length === 0) {
    throw new FormatError(`${folder} has no images for ${split}: found ${found.join(", ")}.`);
  }
  // An archive and its unpacked form side by side are the same images.
  const meant = part.length > 0 ? part : found;
  const stems = new Set(meant.map((name) => name.replace(/\.gz$/, "")));
  if (stems.size > 1) {
    throw new FormatError(
      `${folder} has several files of images (${[...stems].join(", ")}); give the path of one.`,
    );
  }
  return join(folder, meant[0]);
}

/** What the names of the parts hold: `train-images…`, `emnist-letters-train-images…`. */
const PART_NAMES: Readonly<Record<Split, RegExp>> = {
  train: /(^|[-_.])train/,
  val: /(^|[-_.])val/,
  test: /(^|[-_.])(t10k|test)/,
};

/**
 * Opens a file of images and, where there is one beside it, the file of labels of the same name.
 *
 * @throws {FormatError} when a file is damaged or the two do not belong together
 */
export async function openIdxDataset(path: string): Promise<Dataset> {
  const images = await readIdx(path);
  const labelsPath = await findLabels(path);
  const labels = labelsPath === null ? null : await readIdx(labelsPath);
  return idxDataset(path, images, labels, labelsPath ?? "");
}

/**
 * A data set of arrays from IDX files.
 *
 * @param images u8 of shape [count, height, width] or [count, height, width, channels]
 * @param labels integers of shape [count]
 * @throws {FormatError} when they are something else
 */
export function idxDataset(
  name: string,
  images: IdxArray,
  labels: IdxArray | null,
  labelsName: string,
): Dataset {
  const [count, height, width, channels = 1] = images.shape;
  const isImages = images.type === "u8" && (images.shape.length === 3 || images.shape.length === 4);
  if (!isImages || channels < 1 || channels > 4) {
    throw new FormatError(
      `${name} holds no images: expected bytes of shape count x height x width, found ` +
        `${images.type} of ${images.shape.join(" x ")}.`,
    );
  }
  const own = labels && labelsFromArray(labels, labelsName);
  if (own !== null && own.length !== count) {
    throw new FormatError(
      `${labelsName} has ${own.length} labels, but ${name} has ${count} images.`,
    );
  }
  return new ArrayDataset(
    name,
    [height, width, channels],
    images.bytes,
    own,
    own && basename(labelsName),
  );
}

/** `train-images-idx3-ubyte` has its labels in `train-labels-idx1-ubyte`, either may be gzipped. */
async function findLabels(path: string): Promise<string | null> {
  const match = IMAGES.exec(basename(path));
  if (match === null) return null;
  const [, prefix, own] = match;
  for (const separator of [own, "-", "."]) {
    for (const suffix of [match[3] ?? "", "", ".gz"]) {
      const candidate = join(dirname(path), `${prefix}labels${separator}idx1-ubyte${suffix}`);
      const info = await Deno.stat(candidate).catch(() => null);
      if (info?.isFile) return candidate;
    }
  }
  return null;
}
