/**
 * What a set of training images is, whatever file it came from.
 *
 * @module
 */

import { Sha256 } from "../base/hash.ts";
import { FormatError } from "../base/errors.ts";
import type { PictureFormat, PicturePlace } from "./images/decode_picture.ts";
import { countLabels } from "./folders/labels.ts";

/** Things to train on, whatever they are, each with a label or all without. */
export interface LabelledSet extends Disposable {
  /** What reports and error messages call it: usually its path. */
  readonly name: string;
  /** Number of items. */
  readonly length: number;
  /** Number of classes; 0 when there are no labels. Labels are below it. */
  readonly labelCount: number;
  /** Names of the classes, where the files give some. */
  readonly labelNames: readonly string[] | null;
  /** Where the labels come from, for people: `folders`, `dataset.json`, `arr_1`. */
  readonly labelSource?: string | null;
  /** What a person should know of how the files were understood, in sentences. */
  readonly notes?: readonly string[];
  /** The class of item `index`, or null when there are no labels. */
  label(index: number): number | null;
  /** Bytes of the file that holds item `index`; left out where items are not files of their own. */
  fileSize?(index: number): number;
  /**
   * A checksum of the contents of all items, or of what opening them has read of each, behind its
   * kind, as in `zip:0a1b2c3d`; null or left out where there is none.
   */
  storedChecksum?(): string | null;
  /**
   * SHA-256 over shape, numbers and labels, in hexadecimal: the same content gives the same hash
   * from any container. Reads every item the first time.
   */
  contentHash(): string;
  /** Releases files; items must not be asked for afterwards. */
  close(): void;
}

/** Images with 8 bits per channel, of one size unless the set was opened for mixed sizes. */
export interface Dataset extends LabelledSet {
  /** Height, width and channels (1 grey, 2 grey+alpha, 3 RGB, 4 RGBA) of every image. */
  readonly imageShape: readonly [height: number, width: number, channels: number];
  /**
   * Height, width and channels of image `index`, where images differ in size: `imageShape` has the
   * largest height and width then. Left out where they are alike.
   */
  readonly shapeOf?: (index: number) => readonly [height: number, width: number, channels: number];
  /** The pixels of image `index`, HWC. They may be shared: do not change them. */
  image(index: number): Uint8Array;
  /** How other threads can decode the images; null or left out where they are in memory. */
  readonly decoding?: Decoding | null;
}

/** A data set whose images are decoded when they are asked for, or beforehand in other threads. */
export interface Decoding {
  /** Bytes of all images together, decoded. */
  readonly totalBytes: number;
  /** Whether what is decoded once is kept in memory. */
  readonly isKept: boolean;
  /** What all decoded images must be. */
  readonly format: PictureFormat;
  /** Whether image `index` would have to be decoded now. */
  isMissing(index: number): boolean;
  /** Where image `index` lies, and what messages call it. */
  place(index: number): PicturePlace;
  /**
   * Hands over what {@link decodePicture} made of image `index`: it is kept, or else held until the
   * image is asked for the next time.
   */
  supply(index: number, pixels: Uint8Array): void;
}

/** {@link Dataset.contentHash} of images that someone reads anyway. */
export class ContentHasher {
  readonly #hash = new Sha256();

  constructor(private readonly set: Pick<Dataset, "length" | "imageShape" | "labelCount">) {
    this.#hash.add(JSON.stringify([set.length, ...set.imageShape, set.labelCount]));
  }

  /** Takes the pixels of the next images. */
  addImages(pixels: Uint8Array): void {
    this.#hash.add(pixels);
  }

  /** @param labels of all images; not looked at where there are no classes */
  finish(labels: Int32Array): string {
    if (this.set.labelCount > 0) this.#hash.add(labels);
    return this.#hash.hex();
  }
}

/** What {@link Dataset} asks for, less what follows from the rest. */
export abstract class BaseDataset implements Dataset {
  abstract readonly name: string;
  abstract readonly length: number;
  abstract readonly imageShape: readonly [height: number, width: number, channels: number];
  abstract readonly labelCount: number;
  readonly labelNames: readonly string[] | null = null;
  readonly labelSource: string | null = null;
  readonly notes: readonly string[] = [];
  #hash: string | null = null;

  abstract image(index: number): Uint8Array;
  abstract label(index: number): number | null;

  contentHash(): string {
    if (this.#hash !== null) return this.#hash;
    const hasher = new ContentHasher(this);
    for (let i = 0; i < this.length; i++) hasher.addImages(this.image(i));
    const labels = Int32Array.from({ length: this.length }, (_, i) => this.label(i) ?? 0);
    return this.#hash = hasher.finish(labels);
  }

  close(): void {}

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A data set that is in memory. */
export class ArrayDataset extends BaseDataset {
  /** Number of images. */
  readonly length: number;
  /** Number of classes: one more than the largest label, or 0 without labels. */
  readonly labelCount: number;

  /**
   * A data set of pixels that the caller keeps: they are not copied.
   *
   * @param name what reports and error messages call it
   * @param pixels all images, one after the other
   * @param labels one per image, or null
   * @param labelSource where they come from, for people
   * @throws {FormatError} when there are no images, or the labels do not fit them
   */
  constructor(
    readonly name: string,
    readonly imageShape: readonly [height: number, width: number, channels: number],
    private readonly pixels: Uint8Array,
    private readonly labels: Int32Array | null,
    override readonly labelSource: string | null = null,
  ) {
    super();
    const [height, width, channels] = imageShape;
    this.length = pixels.length / (height * width * channels);
    if (!(this.length >= 1)) throw new FormatError(`${name} has no images.`);
    this.labelCount = labels === null ? 0 : countLabels(labels, this.length, name);
  }

  /** A view of the pixels of image `index`, HWC. */
  override image(index: number): Uint8Array {
    const size = this.pixels.length / this.length;
    return this.pixels.subarray(index * size, (index + 1) * size);
  }

  /** The class of image `index`, or null. */
  override label(index: number): number | null {
    return this.labels === null ? null : this.labels[index];
  }
}
