/**
 * Making a data set for training: pictures of any size become one zip archive of PNG files of one
 * size with their labels, laid out as EDM's and StyleGAN's `dataset_tool.py` write it:
 * `00000/img00000000.png`, …, and `dataset.json`. Members are stored, so that they can be read at
 * random. The same input and settings give the same bytes, whatever the number of Workers.
 *
 * With an encoder they become latents, laid out as EDM2's `dataset_tool.py encode` writes them:
 * `00000/img-mean-std-00000000.npy`, ….
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../formats/atomic.ts";
import { npyByteLength, npyChunks } from "../../formats/arrays/npy.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { ZipWriter } from "../../formats/archive/zip_writer.ts";
import { inOrder, WorkerPool } from "../../base/workers.ts";
import { holdsCifar } from "../images/cifar.ts";
import type { Dataset } from "../dataset.ts";
import { type FileTree, openFolderTree, openZipTree } from "../folders/file_tree.ts";
import type { Crop, Fit } from "../fit.ts";
import {
  isPicture,
  nothingLeft,
  picturesOf,
  probePicture,
  transparencyNote,
  unreadNotes,
} from "../images/folder.ts";
import { findIdxImages } from "../images/idx.ts";
import { OddityLog } from "../folders/oddities.ts";
import type { LatentEncoder } from "../latents/encoder.ts";
import { openDataset } from "../open.ts";
import { locate, type Located } from "../spec.ts";
import { findRoot, readLabels } from "../folders/tree_labels.ts";
import { type PreparedPicture, preparePicture, type PrepareRequest } from "./picture.ts";
import type { ResizeFilter } from "../../formats/image/resize.ts";

/** How a data set is prepared. */
export interface PrepareOptions {
  /** Height and width of the result. Left out: pictures keep their size, which must be one. */
  readonly resolution?: number;
  /** Default `none`. */
  readonly crop?: Crop;
  /** Default: that of the crop. */
  readonly filter?: ResizeFilter;
  /** `auto`, the default: grey where all pictures are grey. */
  readonly colors?: "auto" | "rgb" | "grey";
  /** Makes latents of the pictures, which become RGB; it is borrowed. */
  readonly encoder?: LatentEncoder;
  /** Takes the first so many pictures. */
  readonly limit?: number;
  /** Threads that decode, resize and encode; 1 works in this one. Default: the processors. */
  readonly workers?: number;
  /** Is told of a picture that cannot be read, which is then left out; else that is an error. */
  readonly onCorrupt?: (error: FormatError) => void;
  /** Pictures that are not read, or whose files are odd, are an error; see FolderOptions. */
  readonly strict?: boolean;
  /** Called after every picture. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Is told what a person should know of how the files were understood, in a sentence. */
  readonly onNote?: (note: string) => void;
  /** Ends the work between two pictures; nothing is written then. */
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface Prepared {
  /** Pictures, or latents, in the archive. */
  readonly count: number;
  /** Pictures that could not be read. */
  readonly skipped: number;
  /** Rows of each. */
  readonly height: number;
  /** Pixels in a row. */
  readonly width: number;
  /** 1 grey, 3 RGB; of moments of latents those of the mean and as many more. */
  readonly channels: number;
  /** Number of classes, 0 without labels. */
  readonly classes: number;
}

/** Pictures of any size, as they come. */
interface Pictures extends Disposable {
  readonly name: string;
  readonly length: number;
  /** The bytes of a file, or pixels. */
  read(index: number): Uint8Array<ArrayBuffer> | Image;
  describe(index: number): string;
  label(index: number): number | null;
  /** Names of the classes, for dataset.json. */
  readonly labelNames: readonly string[] | null;
  readonly notes: readonly string[];
  readonly allGrey: () => boolean;
}

/**
 * Writes a data set.
 *
 * @param source whatever `openDataset` opens, with pictures of any size
 * @param out the zip archive to write
 * @throws {FormatError} when a picture is damaged, or their sizes differ and no resolution is given
 */
export async function prepareDataset(
  source: string,
  out: string,
  options: PrepareOptions = {},
): Promise<Prepared> {
  const { resolution, crop = "none", filter, colors = "auto", limit = Infinity } = options;
  const { workers = navigator.hardwareConcurrency, onCorrupt, onProgress, signal } = options;
  const { encoder } = options;
  using pictures = await openPictures(source, options.strict);
  for (const note of pictures.notes) options.onNote?.(note);
  const length = Math.min(limit, pictures.length);
  const grey = !encoder && (colors === "grey" || (colors === "auto" && pictures.allGrey()));
  const channels = grey ? 1 : 3;
  const fit: Fit = { channels, resolution: resolution ?? null, crop, filter: filter ?? null };

  using pool = workers > 1
    ? new WorkerPool<PrepareRequest, PreparedPicture>(
      new URL("./worker.ts", import.meta.url),
      Math.min(workers, length),
    )
    : null;
  const prepare = async (index: number): Promise<PreparedPicture | FormatError> => {
    try {
      const name = pictures.describe(index);
      const request = { name, picture: pictures.read(index), fit, png: !encoder };
      if (pool === null) return await preparePicture(request);
      const { picture, bytes } = ownMemory(request.picture);
      return await pool.request({ ...request, picture }, [bytes.buffer]);
    } catch (error) {
      if (onCorrupt && error instanceof FormatError) return error;
      throw error;
    }
  };

  const labels: [string, number][] = [];
  let shape: { width: number; height: number } | null = null;
  let latents: { width: number; height: number; channels: number } | null = null;
  let [count, done, clear] = [0, 0, 0];
  const refused: FormatError[] = [];
  const log = new OddityLog(options.onNote);
  await writeFileAtomic(out, async (write) => {
    const zip = new ZipWriter(write);
    for await (const prepared of inOrder(length, 4 * workers, prepare)) {
      signal?.throwIfAborted();
      const index = done++;
      if (prepared instanceof FormatError) {
        refused.push(prepared);
        onCorrupt!(prepared);
      } else {
        const { bytes, width, height, oddities, hadAlpha } = prepared;
        if (hadAlpha) clear++;
        if (options.strict && oddities.length > 0) {
          throw new FormatError(
            `${pictures.describe(index)} has ${oddities.join(" and ")}, which --strict refuses.`,
          );
        }
        log.add(pictures.describe(index), oddities);
        shape ??= { width, height };
        if (width !== shape.width || height !== shape.height) {
          throw new FormatError(
            `${pictures.describe(index)} is ${width} x ${height}, but the pictures before it are ` +
              `${shape.width} x ${shape.height}; give a resolution, so that all become alike.`,
          );
        }
        const member = memberName(count++, encoder);
        if (encoder) {
          const latent = await encoder.encode({ width, height, channels: 3, data: bytes });
          const array = { type: "f32", shape: latent.shape, data: latent.values } as const;
          await zip.add(member, npyChunks(array), { size: npyByteLength(array) });
          latents = { channels: latent.shape[0], height: latent.shape[1], width: latent.shape[2] };
        } else await zip.add(member, [bytes], { size: bytes.length });
        const label = pictures.label(index);
        if (label !== null) labels.push([member, label]);
      }
      onProgress?.(done, length);
    }
    if (shape === null) throw nothingLeft(pictures.name, refused);
    log.finish();
    if (clear > 0) options.onNote?.(transparencyNote(pictures.name, clear, count));
    const metadata = new TextEncoder().encode(JSON.stringify({
      labels: labels.length > 0 ? labels : null,
      ...(pictures.labelNames === null ? {} : { label_names: pictures.labelNames }),
    }));
    await zip.add("dataset.json", [metadata], { size: metadata.length });
    await zip.finish();
  });
  const classes = labels.reduce((most, [, label]) => Math.max(most, label + 1), 0);
  return { count, skipped: refused.length, ...shape!, channels, ...(latents ?? {}), classes };
}

/** A copy that a Worker can take over: a view would be sent with all of the memory behind it. */
function ownMemory(picture: PrepareRequest["picture"]) {
  if (picture instanceof Uint8Array) {
    const bytes = picture.slice();
    return { picture: bytes, bytes };
  }
  const bytes = picture.data.slice();
  return { picture: { ...picture, data: bytes }, bytes };
}

/** `00012/img00012345.png` for picture 12,345; names of moments say so, as EDM2's do. */
function memberName(index: number, encoder: LatentEncoder | undefined): string {
  const digits = String(index).padStart(8, "0");
  const name = !encoder
    ? `img${digits}.png`
    : encoder.hasMoments
    ? `img-mean-std-${digits}.npy`
    : `img${digits}.npy`;
  return `${digits.slice(0, 5)}/${name}`;
}

/** Pictures may differ in size within a folder or an archive; every other data set is uniform. */
async function openPictures(spec: string, strict?: boolean): Promise<Pictures> {
  const located = await locate(spec);
  const tree = await openTree(located);
  if (tree === null) return datasetPictures(await openDataset(spec));
  try {
    return treePictures(tree, located, strict);
  } catch (error) {
    tree.close();
    throw error;
  }
}

async function openTree({ builtIn, path, split }: Located): Promise<FileTree | null> {
  if (builtIn !== null) return null;
  const info = await Deno.stat(path).catch(() => null); // openDataset() says what is missing
  if (info?.isFile && path.toLowerCase().endsWith(".zip")) return await openZipTree(path);
  if (!info?.isDirectory) return null;
  const tree = await openFolderTree(path);
  const names = tree.paths.filter((path) => !path.includes("/"));
  const isIdx = !tree.paths.some(isPicture) && findIdxImages(path, names, split) !== null;
  if (!isIdx && !holdsCifar(names)) return tree;
  tree.close();
  return null;
}

function treePictures(
  whole: FileTree,
  { split, notes }: Located,
  strict?: boolean,
): Pictures {
  const { tree, notes: more } = findRoot(whole, isPicture, split);
  const paths = picturesOf(tree);
  const others = unreadNotes(tree, strict);
  const { labels, notes: told } = readLabels(tree, paths);
  const isGrey = (path: string) => {
    try {
      return probePicture(tree, path).shape.channels <= 2;
    } catch (error) {
      if (error instanceof FormatError) return true; // found again, and named, when it is decoded
      throw error;
    }
  };
  return {
    name: tree.name,
    length: paths.length,
    read: (index) => tree.readSync(paths[index]) as Uint8Array<ArrayBuffer>,
    describe: (index) => tree.describe(paths[index]),
    label: (index) => labels === null ? null : labels.labels[index],
    labelNames: labels?.names ?? null,
    notes: [...notes, ...more, ...others, ...told],
    allGrey: () => paths.every(isGrey),
    [Symbol.dispose]: () => tree.close(),
  };
}

function datasetPictures(dataset: Dataset): Pictures {
  const [height, width, channels] = dataset.imageShape;
  return {
    name: dataset.name,
    length: dataset.length,
    read: (index) => ({ width, height, channels, data: dataset.image(index) }),
    describe: (index) => `${dataset.name}: image ${index}`,
    label: (index) => dataset.label(index),
    labelNames: dataset.labelNames,
    notes: dataset.notes ?? [],
    allGrey: () => channels <= 2,
    [Symbol.dispose]: () => dataset.close(),
  };
}
