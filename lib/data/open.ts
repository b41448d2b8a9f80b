/**
 * From what a person types to a data set.
 *
 * @module
 */

import { join } from "node:path";
import { FormatError } from "../base/errors.ts";
import { recognizeFile } from "../formats/recognize/file.ts";
import { describeFileError } from "../formats/source.ts";
import { didYouMean } from "../base/suggest.ts";
import type { Dataset } from "./dataset.ts";
import {
  holdsCifar,
  isTarName,
  openCifarArchive,
  openCifarFiles,
  openCifarFolder,
} from "./images/cifar.ts";
import { holdsArrays, kindOfContent, kindOfName } from "./data_file.ts";
import { openDigits } from "./images/digits.ts";
import { type FileTree, openFolderTree, openZipTree } from "./folders/file_tree.ts";
import { type FolderOptions, isPicture, openFolderDataset } from "./images/folder.ts";
import { findIdxImages, openIdxDataset } from "./images/idx.ts";
import { openNpyLatents, openSafetensorsLatents } from "./latents/arrays.ts";
import { isLatentFile, openLatentFolder } from "./latents/folder.ts";
import { isLatents, type LatentDataset } from "./latents/dataset.ts";
import { openNpzDataset } from "./images/npz.ts";
import { OpaqueDataset } from "./images/opaque.ts";
import { PaddedDataset } from "./images/padded.ts";
import { DATASET_NAMES, locate } from "./spec.ts";
import type { Split } from "./folders/splits.ts";

/** How a data set is opened. */
export interface OpenOptions extends FolderOptions {
  /** Pads the images with black to squares of this size; 0 leaves them as they are. */
  readonly padTo?: number;
  /** Pads only images whose longer side this agrees to. Default: all, or it is an error. */
  readonly padIf?: (size: number) => boolean;
}

/**
 * Opens a data set of images.
 *
 * @param spec one of
 * - `digits`: 1,797 handwritten digits, 8 x 8, which are part of the program;
 * - `cifar10`, `mnist`, `fashion-mnist`, `imagenet256-latents`: looked for in a few places, see
 *   known.ts. These names never mean files of the current folder, see spec.ts;
 * - a folder of picture files, or a zip archive of such a folder (see folder_dataset.ts);
 * - a folder with `train-images-idx3-ubyte` and its labels, or the path of one IDX file of images,
 *   gzipped or not;
 * - an npz file with images and perhaps labels, see npz_dataset.ts for the names of the arrays;
 * - CIFAR-10 or CIFAR-100 as they are distributed: `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`,
 *   the folder that one unpacks to, or one of its batches.
 *
 * Of what is divided these are the images for training; others are `cifar-10-python.tar.gz#test`,
 * `photos#val`. Images have one channel or three: transparency is dropped.
 * @throws {FormatError} when there is no such thing, or it is damaged; the sentence names the file
 */
export async function openDataset(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const dataset = await openImagesOrLatents(spec, options);
  if (!isLatents(dataset)) return dataset;
  const [height, width, channels] = dataset.storedShape;
  dataset.close();
  throw new FormatError(
    channels === 1 || channels === 3
      ? `${spec} holds ${height}x${width}x${channels} floats; images are bytes from 0 to 255. Write ` +
        `numpy's x of [0, 1] as (255 * x).round().astype("uint8").`
      : `${spec} holds latents of an autoencoder, which can be trained on; expected images here.`,
  );
}

/**
 * Opens a data set of images or of latents.
 *
 * @param spec as of {@link openDataset}, or
 * - an npz, npy or safetensors file with latents or moments, [N, C, H, W], see latent_arrays.ts;
 * - a folder of such safetensors files;
 * - a folder or zip archive with an npy file for each latent, as EDM2's tool writes it.
 * @throws {FormatError} as {@link openDataset}; also where latents are to be padded
 */
export async function openImagesOrLatents(
  spec: string,
  options: OpenOptions = {},
): Promise<Dataset | LatentDataset> {
  const dataset = await openPlain(spec, options);
  const { padTo = 0, padIf } = options;
  if (padTo === 0) return dataset;
  if (isLatents(dataset)) {
    if (padIf) return dataset;
    dataset.close();
    throw new FormatError(`${spec} holds latents of an autoencoder, which cannot be padded.`);
  }
  const [height, width] = dataset.imageShape;
  if (padIf && !padIf(Math.max(height, width))) return dataset;
  try {
    return new PaddedDataset(dataset, padTo);
  } catch (error) {
    dataset.close();
    throw error;
  }
}

async function openPlain(
  spec: string,
  options: FolderOptions,
): Promise<Dataset | LatentDataset> {
  const { notes, ...located } = await locate(spec);
  const opened = await openLocated(spec, located, options);
  const dataset = isLatents(opened) || opened.imageShape[2] % 2 === 1
    ? opened
    : new OpaqueDataset(opened);
  const { path, split } = located;
  return withMore(dataset, {
    notes: [...notes, ...(dataset.notes ?? [])],
    // Reports should tell a part from the whole.
    name: split && dataset.name === path ? `${path}#${split}` : dataset.name,
  });
}

/** The same data set, of which something else is said. */
function withMore<T extends Dataset | LatentDataset>(
  dataset: T,
  { name, notes }: { readonly name: string; readonly notes: readonly string[] },
): T {
  return Object.defineProperties(dataset, { name: { value: name }, notes: { value: notes } });
}

async function openLocated(
  spec: string,
  { builtIn, path, split }: { builtIn: string | null; path: string; split?: Split },
  options: FolderOptions,
): Promise<Dataset | LatentDataset> {
  if (builtIn !== null) {
    if (split) throw noSplit(builtIn, split);
    return await openDigits();
  }
  const info = await stat(spec, path);
  if (isTarName(path)) return await openCifarArchive(path, cifarSplit(path, split));
  if (info.isDirectory) {
    const tree = await openFolderTree(path);
    const names = tree.paths.filter((path) => !path.includes("/"));
    if (holdsCifar(names)) {
      tree.close();
      return await openCifarFolder(path, names, cifarSplit(path, split));
    }
    const images = findIdxImages(path, names, split);
    if (images !== null) return await openIdxDataset(images);
    const tensors = names.filter(isSafetensors);
    if (tensors.length > 0 && !tree.paths.some(isPicture)) {
      tree.close();
      if (split) throw noSplit(path, split);
      return await openSafetensorsLatents(path, tensors.map((name) => join(path, name)));
    }
    return await openTree(tree, options, split);
  }
  const kind = kindOfName(path) ?? await kindOfContent(path);
  if (kind === "tar") return await openCifarArchive(path, cifarSplit(path, split));
  if (kind === "archive") {
    const tree = await openZipTree(path);
    const isModel = tree.paths.some((name) => /\/data\.pkl$|^model\.weights\.h5$/.test(name));
    if (!isModel && !holdsArrays(tree)) return await openTree(tree, options, split);
    tree.close();
    if (!isModel) return await openNpzDataset(path, split);
  }
  if (split) throw noSplit(path, split);
  if (kind === "cifar") return await openCifarFiles(path, [path]);
  if (kind === "npy") return await openNpyLatents(path);
  if (kind === "safetensors") return await openSafetensorsLatents(path, [path]);
  if (kind === "idx") return await openIdxDataset(path);
  const known = await recognizeFile(path);
  throw new FormatError(
    `${spec} is ${
      known ? `${known.what}, which is ` : ""
    }no kind of data set that is known: expected a folder of pictures, or a file that ` +
      `ends in .npz, .zip, -idx3-ubyte (with .gz or without), or .tar.gz (CIFAR); for latents also ` +
      `.npy or .safetensors.`,
  );
}

/** Pictures, or npy files where there are no pictures. Takes over the closing of the tree. */
async function openTree(
  tree: FileTree,
  options: FolderOptions,
  split?: Split,
): Promise<Dataset | LatentDataset> {
  const isLatent = !tree.paths.some(isPicture) && tree.paths.some(isLatentFile);
  return isLatent ? openLatentFolder(tree, split) : await openFolderDataset(tree, options, split);
}

function isSafetensors(path: string): boolean {
  return path.toLowerCase().endsWith(".safetensors");
}

/** CIFAR has no images for validation. */
function cifarSplit(path: string, split: Split = "train"): "train" | "test" {
  if (split !== "val") return split;
  throw new FormatError(`${path} has no part val; it is divided in ${path}#train, ${path}#test.`);
}

function noSplit(path: string, split: Split): FormatError {
  return new FormatError(
    `${path} is not divided in images for training and others; leave out #${split}.`,
  );
}

async function stat(spec: string, path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw describeFileError(error, spec);
    throw new FormatError(
      `There is no data set "${spec}": expected ${DATASET_NAMES.join(", ")}, or the path of a ` +
        `folder or file that exists${didYouMean(spec, DATASET_NAMES) || "."}`,
    );
  }
}
