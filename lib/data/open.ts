/**
 * From what a person types to a data set.
 *
 * @module
 */

import { join } from "node:path";
import { FormatError } from "../errors.ts";
import { describeFileError } from "../format/source.ts";
import { didYouMean } from "../suggest.ts";
import type { Dataset } from "./dataset.ts";
import {
  type CifarSplit,
  holdsCifar,
  isCifarBatch,
  isTarName,
  openCifarArchive,
  openCifarFiles,
  openCifarFolder,
} from "./cifar_dataset.ts";
import { openDigits } from "./digits.ts";
import { type FileTree, openFolderTree, openZipTree } from "./file_tree.ts";
import { type FolderOptions, isPicture, openFolderDataset } from "./folder_dataset.ts";
import { findIdxImages, isIdxName, openIdxDataset } from "./idx_dataset.ts";
import { findKnown, KNOWN_DATASETS } from "./known.ts";
import { openNpyLatents, openSafetensorsLatents } from "./latent_arrays.ts";
import { latentPaths, openLatentFolder } from "./latent_folder.ts";
import { isLatents, type LatentDataset } from "./latents.ts";
import { openNpzDataset } from "./npz_dataset.ts";
import { PaddedDataset } from "./padded_dataset.ts";

/** How a data set is opened. */
export interface OpenOptions extends FolderOptions {
  /** Pads the images with black to squares of this size; 0 leaves them as they are. */
  readonly padTo?: number;
}

/** Data sets that need no files, by name. */
const BUILT_IN: ReadonlyMap<string, () => Promise<Dataset>> = new Map([["digits", openDigits]]);

/**
 * Opens a data set of images.
 *
 * @param spec one of
 * - `digits`: 1,797 handwritten digits, 8 x 8, which are part of the program;
 * - `cifar10`, `mnist`, `fashion-mnist`, `imagenet256-latents`: looked for in a few places, see
 *   known.ts, unless something in the current folder is called so;
 * - a folder of PNG or JPEG files, or a zip archive of such a folder (see folder_dataset.ts);
 * - a folder with `train-images-idx3-ubyte` and its labels, or the path of one IDX file of images,
 *   gzipped or not;
 * - an npz file with `arr_0` (and labels in `arr_1`);
 * - CIFAR-10 or CIFAR-100 as they are distributed: `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`,
 *   the folder that one unpacks to, or one of its batches. These are the images for training; those
 *   for testing are `cifar-10-python.tar.gz#test`.
 * @throws {FormatError} when there is no such thing, or it is damaged; the sentence names the file
 */
export async function openDataset(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const dataset = await openImagesOrLatents(spec, options);
  if (!isLatents(dataset)) return dataset;
  dataset.close();
  throw new FormatError(
    `${spec} holds latents of an autoencoder, which can be trained on; expected images here.`,
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
  const { padTo = 0 } = options;
  if (padTo === 0) return dataset;
  if (isLatents(dataset)) {
    dataset.close();
    throw new FormatError(`${spec} holds latents of an autoencoder, which cannot be padded.`);
  }
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
  const builtIn = BUILT_IN.get(spec);
  if (builtIn !== undefined) return await builtIn();
  const parts = /^(.+)#(train|test)$/.exec(spec);
  const path = await locate(parts?.[1] ?? spec);
  const split = (parts?.[2] ?? "train") as CifarSplit;
  const info = await stat(path);
  if (isTarName(path)) return await openCifarArchive(path, split);
  if (info.isDirectory) {
    const tree = await openFolderTree(path);
    const names = tree.paths.filter((path) => !path.includes("/"));
    if (holdsCifar(names)) {
      tree.close();
      return await openCifarFolder(path, names, split);
    }
    if (parts) throw noSplit(path, split);
    const images = findIdxImages(path, names);
    if (images !== null) return await openIdxDataset(images);
    const tensors = names.filter(isSafetensors);
    if (tensors.length > 0 && !tree.paths.some(isPicture)) {
      tree.close();
      return await openSafetensorsLatents(path, tensors.map((name) => join(path, name)));
    }
    return await openTree(tree, options);
  }
  if (parts) throw noSplit(path, split);
  if (isCifarBatch(path)) return await openCifarFiles(path, [path]);
  const lower = path.toLowerCase();
  if (lower.endsWith(".npz")) return await openNpzDataset(path);
  if (lower.endsWith(".zip")) return await openTree(await openZipTree(path), options);
  if (lower.endsWith(".npy")) return await openNpyLatents(path);
  if (isSafetensors(path)) return await openSafetensorsLatents(path, [path]);
  if (isIdxName(path)) return await openIdxDataset(path);
  throw new FormatError(
    `${spec} is no kind of data set that is known: expected a folder of pictures, or a file that ` +
      `ends in .npz, .zip, -idx3-ubyte (with .gz or without), or .tar.gz (CIFAR); for latents also ` +
      `.npy or .safetensors.`,
  );
}

/** Pictures, or npy files where there are no pictures. Takes over the closing of the tree. */
async function openTree(
  tree: FileTree,
  options: FolderOptions,
): Promise<Dataset | LatentDataset> {
  const isLatent = !tree.paths.some(isPicture) && latentPaths(tree).length > 0;
  return isLatent ? openLatentFolder(tree) : await openFolderDataset(tree, options);
}

function isSafetensors(path: string): boolean {
  return path.toLowerCase().endsWith(".safetensors");
}

function noSplit(path: string, split: CifarSplit): FormatError {
  return new FormatError(
    `${path} is not divided in images for training and testing; leave out #${split}.`,
  );
}

/** The path that is meant: a name of a public data set is one only where no file is called so. */
async function locate(spec: string): Promise<string> {
  if (!KNOWN_DATASETS.includes(spec)) return spec;
  return await Deno.stat(spec).then(() => true, () => false) ? spec : await findKnown(spec);
}

async function stat(spec: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(spec);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw describeFileError(error, spec);
    const names = [...BUILT_IN.keys(), ...KNOWN_DATASETS];
    throw new FormatError(
      `There is no data set "${spec}": expected ${names.join(", ")}, or the path of a folder or ` +
        `file that exists${didYouMean(spec, names) || "."}`,
    );
  }
}
