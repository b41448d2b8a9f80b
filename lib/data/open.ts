/**
 * From what a person types to a data set.
 *
 * @module
 */

import { constants, gunzipSync } from "node:zlib";
import { FormatError, InternalError } from "../base/errors.ts";
import { recognizeFile } from "../formats/recognize/file.ts";
import { isGzip } from "../formats/archive/inflate.ts";
import { describeFileError, openFileSource } from "../formats/source.ts";
import { didYouMean } from "../base/suggest.ts";
import type { Dataset } from "./dataset.ts";
import { BUILT_IN, DATASET_NAMES, locate } from "./spec.ts";
import { openFolderTree } from "./folders/file_tree.ts";
import type { Split } from "./folders/splits.ts";
import { FOLDER, ZIP } from "./folders/tree_source.ts";
import { CIFAR, CIFAR_BATCH } from "./images/cifar.ts";
import type { FolderOptions } from "./images/folder.ts";
import { IDX } from "./images/idx.ts";
import { NPY, SAFETENSORS } from "./latents/arrays.ts";
import { isLatents, type LatentDataset } from "./latents/dataset.ts";
import { OpaqueDataset } from "./images/opaque.ts";
import { PaddedDataset } from "./images/padded.ts";
import { type DataSource, notDivided, type OpenRequest } from "./source.ts";

/** All kinds of data sets; a folder is of the first that takes it. */
const SOURCES: readonly DataSource[] = [ZIP, IDX, CIFAR, CIFAR_BATCH, NPY, SAFETENSORS, FOLDER];

/** So many bytes of a file tell its kind. */
const START_BYTES = 4096;

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
    if (split) throw notDivided(builtIn, split);
    return await BUILT_IN.get(builtIn)!();
  }
  const request = { options, ...split ? { split } : {} };
  if ((await stat(spec, path)).isDirectory) return await openFolder(path, request);
  for (const source of await sourcesOf(path)) {
    if (split && !source.divided) throw notDivided(path, split);
    const opened = await source.openFile!(path, request);
    if (opened) return opened;
  }
  if (split) throw notDivided(path, split);
  const known = await recognizeFile(path);
  throw new FormatError(
    `${spec} is ${
      known ? `${known.what}, which is ` : ""
    }no kind of data set that is known: expected a folder of pictures, or a file that ` +
      `ends in ${listed(endings(false))}; for latents also ${listed(endings(true))}.`,
  );
}

async function openFolder(path: string, request: OpenRequest): Promise<Dataset | LatentDataset> {
  const tree = await openFolderTree(path);
  for (const source of SOURCES) {
    const opened = source.openFolder?.(tree, request);
    if (opened) return await opened;
  }
  throw new InternalError("no kind of data set takes any folder");
}

/** The kinds that a file may be of: by its name, and where that says nothing, by its beginning. */
async function sourcesOf(path: string): Promise<readonly DataSource[]> {
  const named = SOURCES.filter((source) => source.isNamed?.(path));
  if (named.length > 0) return named;
  const start = await beginning(path);
  return SOURCES.filter((source) => source.begins?.(start)).slice(0, 1);
}

/** The beginning of a file, uncompressed. */
async function beginning(path: string): Promise<Uint8Array> {
  using source = await openFileSource(path);
  const bytes = await source.read(0, Math.min(START_BYTES, source.size));
  if (!isGzip(bytes)) return bytes;
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return bytes; // whoever reads it says what is wrong
  }
}

/** `a, b, or c`; `a or b`. */
function listed(names: readonly string[]): string {
  const first = names.slice(0, -1);
  return `${first.join(", ")}${first.length > 1 ? "," : ""} or ${names.at(-1)}`;
}

/** Endings of files of images, or of latents only. */
function endings(ofLatents: boolean): string[] {
  return SOURCES.filter(({ latents = false }) => latents === ofLatents)
    .flatMap(({ endings }) => endings ?? []);
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
