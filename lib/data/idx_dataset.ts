/**
 * MNIST and its relatives: a file of images and a file of labels in the IDX format.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { FormatError } from "../errors.ts";
import { type IdxArray, readIdx } from "../format/idx.ts";
import { toInt32 } from "../format/numeric.ts";
import { ArrayDataset, type Dataset } from "./dataset.ts";

/** `train-images-idx3-ubyte`, `t10k-images.idx3-ubyte.gz`, … */
const IMAGES = /^(.*)images([-.])idx[34]-ubyte(\.gz)?$/;

/** Whether a file is called like a file of IDX images. */
export function isIdxImagesName(path: string): boolean {
  return IMAGES.test(basename(path));
}

/** Whether a file is called like an IDX file of any kind. */
export function isIdxName(path: string): boolean {
  return /[-.]idx\d-\w+(\.gz)?$|\.idx\d?(\.gz)?$/.test(basename(path));
}

/**
 * The file of images in a folder that is to be trained on: the one whose name starts with
 * `train`, else the only one; null when there is none.
 *
 * @throws {FormatError} when there are several and none is for training
 */
export function findIdxImages(folder: string, names: Iterable<string>): string | null {
  const found = [...names].filter(isIdxImagesName).sort();
  const train = found.filter((name) => name.startsWith("train"));
  // An archive and its unpacked form side by side are the same images.
  const stems = new Set(
    (train.length > 0 ? train : found).map((name) => name.replace(/\.gz$/, "")),
  );
  if (stems.size > 1) {
    throw new FormatError(
      `${folder} has several files of images (${[...stems].join(", ")}); give the path of one.`,
    );
  }
  const name = train[0] ?? found[0];
  return name === undefined ? null : join(folder, name);
}

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
  if (labels !== null) {
    const isLabels = labels.shape.length === 1 && ["u8", "i8", "i16", "i32"].includes(labels.type);
    if (!isLabels) {
      throw new FormatError(
        `${labelsName} holds no labels: expected integers in one row, found ${labels.type} of ` +
          `${labels.shape.join(" x ")}.`,
      );
    }
    if (labels.shape[0] !== count) {
      throw new FormatError(
        `${labelsName} has ${labels.shape[0]} labels, but ${name} has ${count} images.`,
      );
    }
  }
  return new ArrayDataset(
    name,
    [height, width, channels],
    images.bytes,
    labels === null ? null : toInt32(labels.bytes, labels.type),
  );
}

/** `train-images-idx3-ubyte` has its labels in `train-labels-idx1-ubyte`, either may be gzipped. */
async function findLabels(path: string): Promise<string | null> {
  const match = IMAGES.exec(basename(path));
  if (match === null) return null;
  const [, prefix, separator] = match;
  for (const suffix of [match[3] ?? "", "", ".gz"]) {
    const candidate = join(dirname(path), `${prefix}labels${separator}idx1-ubyte${suffix}`);
    const info = await Deno.stat(candidate).catch(() => null);
    if (info?.isFile) return candidate;
  }
  return null;
}
