/**
 * Items of a stream that take time, made in whatever thread: pictures are read and decoded, images
 * changed at random, latents drawn. What an item becomes does not depend on the thread.
 *
 * @module
 */

import { augment, AUGMENT_LABELS, type AugmentConfig } from "../augment/mod.ts";
import { FormatError } from "../../base/errors.ts";
import { loadDecoder } from "../../formats/image/decode.ts";
import { type ByteSource, openFileSource } from "../../formats/source.ts";
import { readPlace } from "../../formats/archive/zip.ts";
import { decodePicture, type PictureFormat, type PicturePlace } from "../images/decode_picture.ts";
import type { FilePlace } from "../folders/file_tree.ts";
import { drawLatent, type LatentRule } from "../latents/loader.ts";

/** Pictures to decode. */
export interface PictureTask {
  /** Of the union {@link ItemTask}. */
  readonly kind: "pictures";
  /** What they are to be. */
  readonly format: PictureFormat;
  /** Where they lie. */
  readonly pictures: readonly PicturePlace[];
}

/** Latents to draw. */
export interface LatentTask {
  /** Of the union {@link ItemTask}. */
  readonly kind: "latents";
  /** What becomes of the stored numbers. */
  readonly rule: LatentRule;
  /** Of the stream. */
  readonly seed: number | bigint;
  /** Places of the latents in the stream. */
  readonly positions: readonly number[];
  /** [positions, ...stored shape] */
  readonly stored: Float32Array<ArrayBuffer>;
}

/** Images to change. */
export interface AugmentTask {
  /** Of the union {@link ItemTask}. */
  readonly kind: "augment";
  /** Which changes. */
  readonly config: AugmentConfig;
  /** Of the changes. */
  readonly seed: number;
  /** Of an image. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** Places of the images in the stream. */
  readonly positions: readonly number[];
  /** [positions, ...shape] */
  readonly images: Float32Array<ArrayBuffer>;
}

/** Some items of one stream. */
export type ItemTask = PictureTask | LatentTask | AugmentTask;

/** What became of a task. */
export interface MadeItems {
  /** One item after the other, of one size: pixels, or what the network sees. */
  readonly data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
  /**
   * 1 for every item that was made, 0 for one that is damaged or odd: whoever needs it makes it again, and
   * is told then what is wrong.
   */
  readonly made: Uint8Array<ArrayBuffer>;
}

/** Makes the items of a task. */
export async function makeItems(task: ItemTask): Promise<MadeItems> {
  switch (task.kind) {
    case "pictures":
      return await decodeAll(task);
    case "latents":
      return drawAll(task);
    case "augment":
      return augmentAll(task);
  }
}

/** Every image with its augmentation labels behind it. */
function augmentAll({ config, seed, shape, positions, images }: AugmentTask): MadeItems {
  const size = images.length / positions.length;
  const itemSize = size + AUGMENT_LABELS;
  const data = new Float32Array(positions.length * itemSize);
  for (const [i, position] of positions.entries()) {
    const image = images.subarray(i * size, (i + 1) * size);
    const changed = augment(config, seed, image, shape, position);
    data.set(changed.images, i * itemSize);
    data.set(changed.labels, i * itemSize + size);
  }
  return { data, made: new Uint8Array(positions.length).fill(1) };
}

async function decodeAll({ format, pictures }: PictureTask): Promise<MadeItems> {
  const { width, height, channels } = format.shape;
  const size = width * height * channels;
  const data = new Uint8Array(pictures.length * size);
  const made = new Uint8Array(pictures.length);
  for (const [i, { name, place }] of pictures.entries()) {
    try {
      const bytes = await read(place, name);
      await loadDecoder(bytes);
      const { pixels, oddities } = decodePicture(bytes, name, format);
      if (oddities.length > 0) continue; // whoever decodes it again can tell people of them
      data.set(pixels, i * size);
      made[i] = 1;
    } catch (error) {
      if (!isOfFile(error)) throw error;
    }
  }
  return { data, made };
}

function drawAll({ rule, seed, positions, stored }: LatentTask): MadeItems {
  const size = rule.shape.reduce((a, b) => a * b);
  const storedSize = stored.length / positions.length;
  const data = new Float32Array(positions.length * size);
  const made = new Uint8Array(positions.length);
  for (const [i, position] of positions.entries()) {
    try {
      drawLatent(
        stored.subarray(i * storedSize, (i + 1) * storedSize),
        rule,
        { seed, position },
        data.subarray(i * size, (i + 1) * size),
        "a latent",
      );
      made[i] = 1;
    } catch (error) {
      if (!isOfFile(error)) throw error;
    }
  }
  return { data, made };
}

/** Whether an error says something of a file, and not of this program. */
function isOfFile(error: unknown): boolean {
  return error instanceof FormatError || error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.PermissionDenied;
}

/** Archives that this thread has opened; they are closed when it ends. */
const archives = new Map<string, ByteSource>();

async function read({ file, within }: FilePlace, name: string): Promise<Uint8Array> {
  if (within === null) return Deno.readFileSync(file);
  let archive = archives.get(file);
  if (archive === undefined) archives.set(file, archive = await openFileSource(file));
  return readPlace(archive, within, name);
}
