/**
 * A folder (or a zip archive) of picture files. Where it begins and what the classes are, see
 * tree_labels.ts.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { checksum } from "../../formats/archive/crc32.ts";
import {
  IMAGE_EXTENSIONS,
  loadDecoder,
  type ProbedImage,
  probeImage,
} from "../../formats/image/decode.ts";
import type { ImageShape } from "../../formats/image/pixels.ts";
import { BaseDataset, type Dataset, type Decoding } from "../dataset.ts";
import { decodePicture, type PictureFormat } from "./decode_picture.ts";
import { type FileTree, treeChecksum } from "../folders/file_tree.ts";
import { countLabels } from "../folders/labels.ts";
import { OddityLog, oddityNotes } from "../folders/oddities.ts";
import { passedOverNotes } from "../folders/passed_over.ts";
import type { Split } from "../folders/splits.ts";
import { findRoot, readLabels, type TreeLabels } from "../folders/tree_labels.ts";

/** How a folder is opened. */
export interface FolderOptions {
  /**
   * Turns every picture into RGB, grey ones included. Default: only where not all of them are grey.
   * Transparency is dropped in any case.
   */
  readonly rgb?: boolean;
  /**
   * Is told of a picture whose header cannot be read, which is then left out; without it the first
   * one is an error.
   */
  readonly onCorrupt?: (error: FormatError) => void;
  /**
   * Is told, once, of a picture that turns out to be damaged when its pixels are decoded. The next
   * one that can be decoded takes its place, with its class. Without it that is an error.
   */
  readonly onDamaged?: (error: FormatError) => void;
  /** Is told of damage that does not hinder, seen while pixels are decoded: each kind once. */
  readonly onWarning?: (sentence: string) => void;
  /**
   * Files that look like pictures and are not read are an error, and so are pictures whose files
   * are odd in any way that people would be told of.
   */
  readonly strict?: boolean;
  /** Pictures may differ in size: see `shapeOf` of a data set. Default false: it is an error. */
  readonly mixedSizes?: boolean;
  /** Decoded pictures are kept in memory when all of them are at most so many bytes. Default 1 GiB. */
  readonly keepBytes?: number;
  /** Called now and then while the headers of all pictures are checked. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What is done about pictures that are damaged, odd, or not read. */
export type PictureCare = Pick<
  FolderOptions,
  "onCorrupt" | "onDamaged" | "onWarning" | "strict"
>;

/** See {@link FolderOptions.keepBytes}. */
const KEEP_BYTES = 2 ** 30;
/** The header of nearly every picture lies within this many bytes. */
const HEADER_BYTES = 2 ** 16;

/**
 * Opens all pictures of a tree, sorted by path. The header of each is checked now, its pixels are
 * decoded when they are asked for.
 *
 * @param tree is closed with the data set, and when this throws
 * @param split the part that is asked for of a tree that is divided
 * @throws {FormatError} when there are no pictures, one is damaged, or one has another size or
 * other channels than the first; the sentence names it
 */
export async function openFolderDataset(
  tree: FileTree,
  options: FolderOptions = {},
  split?: Split,
): Promise<Dataset> {
  try {
    const { tree: root, notes } = findRoot(tree, isPicture, split);
    const all = picturesOf(root);
    const others = unreadNotes(root, options.strict);
    const found = await checkShapes(root, all, options);
    const { paths, shapes, shape, notes: turned } = found;
    const { labels, notes: more } = readLabels(root, all, paths);
    const told = [...notes, ...others, ...turned, ...more];
    const stored = treeChecksum(root, paths) ?? found.checksum;
    return new FolderDataset(root, paths, labels, told, { shape }, shapes, stored, options);
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
  override readonly labelSource: string | null;
  readonly decoding: Decoding | null;
  readonly shapeOf?: (index: number) => readonly [height: number, width: number, channels: number];
  readonly #labels: Int32Array | null;
  readonly #cache: (Uint8Array | undefined)[] | null;
  /** Decoded by others, for the next time that they are asked for. */
  readonly #supplied = new Map<number, Uint8Array>();
  readonly #oddities: OddityLog;
  /** Of pictures that are damaged, the ones in their places. */
  readonly #standIns = new Map<number, number>();

  constructor(
    private readonly tree: FileTree,
    private readonly paths: readonly string[],
    labels: TreeLabels | null,
    override readonly notes: readonly string[],
    private readonly format: PictureFormat,
    /** Of each picture, where they differ. */
    private readonly shapes: readonly ImageShape[] | null,
    private readonly stored: string,
    private readonly options: FolderOptions,
  ) {
    super();
    const { shape } = format;
    const { keepBytes = KEEP_BYTES, onWarning } = options;
    this.#oddities = new OddityLog(onWarning);
    this.name = tree.name;
    this.length = paths.length;
    this.imageShape = [shape.height, shape.width, shape.channels];
    this.#labels = labels?.labels ?? null;
    this.labelNames = labels?.names ?? null;
    this.labelSource = labels?.source ?? null;
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
    const standIn = this.#standIns.get(index);
    if (standIn !== undefined) return this.image(standIn);
    try {
      const pixels = this.#decode(index);
      if (this.#cache !== null) this.#cache[index] = pixels;
      return pixels;
    } catch (error) {
      const { onDamaged } = this.options;
      if (!(onDamaged && error instanceof FormatError)) throw error;
      onDamaged(error);
      return this.#standInFor(index);
    }
  }

  /** The class of a damaged picture is that of the one in its place, once that is known. */
  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[this.#standIns.get(index) ?? index];
  }

  #decode(index: number): Uint8Array {
    const path = this.paths[index];
    const name = this.tree.describe(path);
    const format = { ...this.format, ...(this.shapes ? { shape: this.shapes[index] } : {}) };
    const { pixels, oddities } = decodePicture(this.tree.readSync(path), name, format);
    if (oddities.length > 0 && this.options.strict) {
      throw new FormatError(`${name} has ${oddities.join(" and ")}, which --strict refuses.`);
    }
    this.#oddities.add(name, oddities);
    return pixels;
  }

  /** The next picture that can be decoded takes the place of a damaged one: the same in every run. */
  #standInFor(index: number): Uint8Array {
    for (let step = 1; step < this.length; step++) {
      const other = (index + step) % this.length;
      if (this.#standIns.has(other)) continue;
      try {
        const pixels = this.#cache?.[other] ?? this.#decode(other);
        this.#standIns.set(index, other);
        return pixels;
      } catch (error) {
        if (!(error instanceof FormatError)) throw error; // told when its own turn comes
      }
    }
    throw new FormatError(`${this.name} has no picture that can be read.`);
  }

  fileSize(index: number): number {
    return this.tree.size(this.paths[index]);
  }

  storedChecksum(): string {
    return this.stored;
  }

  override close(): void {
    this.#oddities.finish();
    this.tree.close();
  }
}

/**
 * The pictures that can be read, and the shape that they share once they are all grey or all RGB: or
 * the largest, and those of all pictures; with a checksum of what was read of their files for it: of
 * small ones all.
 */
async function checkShapes(
  tree: FileTree,
  all: readonly string[],
  { rgb = false, mixedSizes = false, onCorrupt, onProgress, strict }: FolderOptions,
): Promise<{
  paths: string[];
  shapes: ImageShape[] | null;
  shape: ImageShape;
  notes: string[];
  checksum: string;
}> {
  let crc = 0;
  const paths: string[] = [];
  const shapes: ProbedImage[] = [];
  const refused: FormatError[] = [];
  for (const [i, path] of all.entries()) {
    try {
      const { shape, start } = probePicture(tree, path);
      await loadDecoder(start);
      shapes.push(shape);
      paths.push(path);
      crc = checksum(start, crc);
    } catch (error) {
      if (!(error instanceof FormatError && onCorrupt)) throw error;
      onCorrupt(error);
      refused.push(error);
    }
    if (i % 1000 === 999) { // so that a progress bar can be drawn and Ctrl-C is heard
      onProgress?.(i + 1, all.length);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  if (paths.length === 0) throw nothingLeft(tree.name, refused);
  const odder = oddityNotes(
    tree.name,
    shapes.map(({ oddities }, i) => ({ path: paths[i], oddities })),
  );
  if (strict && odder.length > 0) throw new FormatError(`${odder.join(" ")} --strict refuses it.`);
  const channels = rgb || shapes.some(({ channels }) => channels > 2) ? 3 : 1;
  const seen = shapes.map((shape) => ({ ...shape, channels }));
  const [first] = seen;
  const sizesDiffer = ({ width, height }: ImageShape) =>
    width !== first.width || height !== first.height;
  const isMixed = mixedSizes && seen.some(sizesDiffer);
  const odd = isMixed ? -1 : seen.findIndex(sizesDiffer);
  if (odd >= 0) {
    throw new FormatError(
      `${tree.describe(paths[odd])} is ${describe(seen[odd])}, but ${paths[0]} is ` +
        `${describe(first)}; all pictures of a data set must have one size ` +
        `(imm dataset prepare --resolution N makes them so).`,
    );
  }
  const largest = seen.reduce((most, { height, width }) => ({
    ...most,
    height: Math.max(most.height, height),
    width: Math.max(most.width, width),
  }));
  const notes = [...odder, ...(rgb ? [] : channelNotes(tree.name, shapes))];
  return {
    paths,
    shapes: isMixed ? seen : null,
    shape: largest,
    notes,
    checksum: `heads:${crc.toString(16).padStart(8, "0")}`,
  };
}

/** What is done to the channels of pictures, in sentences. */
function channelNotes(name: string, shapes: readonly ImageShape[]): string[] {
  const notes: string[] = [];
  const grey = shapes.filter(({ channels }) => channels <= 2).length;
  const clear = shapes.filter(({ channels }) => channels % 2 === 0).length;
  if (grey > 0 && grey < shapes.length) {
    notes.push(
      `${name}: ${grey} of ${shapes.length} pictures are grey, and become RGB as the rest.`,
    );
  }
  if (clear > 0) notes.push(transparencyNote(name, clear, shapes.length));
  return notes;
}

/** Says that transparency is dropped. */
export function transparencyNote(name: string, clear: number, count: number): string {
  return `${name}: ${clear} of ${count} pictures have an alpha channel, which is dropped: the ` +
    `colors behind what is transparent are seen.`;
}

/**
 * Paths of the pictures of a tree, by their names.
 *
 * @throws {FormatError} when there are none
 */
export function picturesOf(tree: FileTree): string[] {
  const paths = tree.paths.filter(isPicture);
  if (paths.length > 0) return paths;
  const { notes } = passedOverNotes(tree.name, tree.paths, tree.passedOver, isPicture);
  throw new FormatError(
    `${tree.name} has no pictures: expected files that end in ${IMAGE_EXTENSIONS.join(", ")}.` +
      notes.map((note) => ` ${note}`).join(""),
  );
}

/** Whether a file is a picture, by its name. */
export function isPicture(path: string): boolean {
  return IMAGE_EXTENSIONS.some((extension) => path.toLowerCase().endsWith(extension));
}

/** The error of pictures of which none can be read, with the first reason. */
export function nothingLeft(name: string, refused: readonly FormatError[]): FormatError {
  const [first] = refused;
  return new FormatError(
    `${name} has no picture that can be read` +
      (first ? `, of ${refused.length}: ${first.message}` : "."),
  );
}

/** What lies beside the pictures and is not read, in sentences. @throws {FormatError} with `strict` */
export function unreadNotes(tree: FileTree, strict = false): string[] {
  const others = tree.paths.filter((path) => !isPicture(path));
  const { notes, isMissing } = passedOverNotes(tree.name, others, tree.passedOver, isPicture);
  if (strict && isMissing) throw new FormatError(`${notes.join(" ")} --strict refuses that.`);
  return notes;
}

/**
 * Size and channels of a picture, from its header, and the beginning of its file.
 *
 * @throws {FormatError} when it is damaged
 */
export function probePicture(
  tree: FileTree,
  path: string,
): { shape: ProbedImage; start: Uint8Array } {
  const name = tree.describe(path);
  const start = tree.readSync(path, HEADER_BYTES);
  try {
    return { shape: probeImage(start, name), start };
  } catch (error) {
    if (start.length < HEADER_BYTES) throw error;
    return { shape: probeImage(tree.readSync(path), name), start }; // long metadata, or at the end
  }
}

function describe({ width, height }: ImageShape): string {
  return `${width} x ${height}`;
}
