/**
 * Images as they are exchanged in npz files: `arr_0` with the pixels, `arr_1` with the labels; or
 * under the names that Keras and MedMNIST give them, divided in images for training and others.
 * Where the arrays are floats they are latents, see latent_arrays.ts.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import type { NpyReader } from "../../formats/arrays/npy.ts";
import { NpzFile } from "../../formats/arrays/npz.ts";
import { weightsHint } from "../../formats/recognize/bytes.ts";
import { RECORD_NAME, recordedClassNames } from "./sample_record.ts";
import { BaseDataset, type Dataset } from "../dataset.ts";
import { countLabels, labelsFromArray } from "../folders/labels.ts";
import { namesLatents, openNpzLatents } from "../latents/arrays.ts";
import type { LatentDataset } from "../latents/dataset.ts";
import type { FileTree } from "../folders/file_tree.ts";
import type { Split } from "../folders/splits.ts";
import { notDivided } from "../source.ts";
import { isPicture } from "./folder.ts";

/** Names of images and their labels: of sets that are not divided, and of the parts of others. */
const WHOLE = [
  { images: "arr_0", labels: ["arr_1", "labels", "label"] },
  { images: "images", labels: ["labels", "label"] },
] as const;
const PARTS = [
  (split: Split) => [`x_${split}`, `y_${split}`], // Keras
  (split: Split) => [`${split}_images`, `${split}_labels`], // MedMNIST
] as const;

/** Arrays that may be meant as labels. */
const LIKE_LABELS = /label|class|target|^y$|^y_/i;

/**
 * Opens images, uint8 of shape [count, height, width, channels] or [count, height, width], with
 * labels where there are some:
 *
 * | images                         | labels                         |
 * | ------------------------------ | ------------------------------ |
 * | `arr_0`                        | `arr_1`, `labels` or `label`   |
 * | `images`                       | `labels` or `label`            |
 * | `x_train`, `x_val`, `x_test`   | `y_train`, `y_val`, `y_test`   |
 * | `train_images`, `val_images` … | `train_labels`, `val_labels` … |
 *
 * Classes have the names that `imm sample` notes in its files. Images of an uncompressed file stay on the disk and are read one by one; a compressed file is
 * decompressed into memory, and so are images in Fortran order. Latents are floats of four axes, or
 * are named so.
 *
 * @param split which part of a file that is divided; default: the images for training
 * @throws {FormatError} when the file is damaged, holds something else, or is not divided
 */
export async function openNpzDataset(
  path: string,
  split?: Split,
): Promise<Dataset | LatentDataset> {
  const file = await NpzFile.open(path);
  let array: NpyReader | null = null;
  try {
    if (!namesLatents(file.names)) {
      const { key, labelsKey, notes } = chooseArrays(file.names, path, split);
      array = await file.array(key);
      if (key !== "arr_0" || !array.type.startsWith("f") || array.shape.length !== 4) {
        const labels = await readLabels(file, labelsKey);
        const names = labels && recordedClassNames(await file.note(RECORD_NAME));
        return new NpzDataset(path, file, array, labels, notes, names);
      }
    }
    if (split) throw notDivided(path, split);
  } catch (error) {
    file.close();
    throw error;
  }
  return await openNpzLatents(file, path, array);
}

/** Which arrays are meant, and what is left aside. */
function chooseArrays(
  names: readonly string[],
  path: string,
  split?: Split,
): { key: string; labelsKey: string | null; notes: string[] } {
  const there = (key: string) => names.includes(key);
  const unread = (labelsKey: string | null) => {
    const found = names.filter((name) => LIKE_LABELS.test(name));
    return labelsKey !== null || found.length === 0
      ? []
      : [`${path}: no labels; of ${found.join(", ")} none belongs to the images by its name.`];
  };
  const whole = WHOLE.find(({ images }) => there(images));
  if (whole) {
    if (split) throw notDivided(path, split);
    const labelsKey = whole.labels.find(there) ?? null;
    return { key: whole.images, labelsKey, notes: unread(labelsKey) };
  }
  const wanted = split ?? "train";
  for (const parts of PARTS) {
    const found = (["train", "val", "test"] as const).filter((part) => there(parts(part)[0]));
    if (found.length === 0) continue;
    if (!found.includes(wanted)) {
      throw new FormatError(
        `${path} has no ${parts(wanted)[0]}; it is divided in ` +
          `${found.map((part) => `${path}#${part}`).join(", ")}.`,
      );
    }
    const [key, labels] = parts(wanted);
    const labelsKey = there(labels) ? labels : null;
    const others = found.filter((part) => part !== wanted).map((part) =>
      `${parts(part)[0]} (${path}#${part})`
    );
    const notes = split || others.length === 0
      ? []
      : [`${path}: ${key} is taken, ${others.join(" and ")} left aside.`];
    return { key, labelsKey, notes: [...notes, ...unread(labelsKey)] };
  }
  throw new FormatError(
    `${path} holds no images: expected an array named arr_0, images, x_train or train_images, ` +
      `found ${names.join(", ") || "none"}.${weightsHint(names)}`,
  );
}

/** The labels, and the name of their array. */
interface Labels {
  readonly key: string;
  readonly labels: Int32Array;
}

async function readLabels(file: NpzFile, key: string | null): Promise<Labels | null> {
  if (key === null) return null;
  const array = await file.array(key);
  return { key, labels: labelsFromArray(array.read(), array.name) };
}

class NpzDataset extends BaseDataset {
  readonly length: number;
  readonly imageShape: readonly [height: number, width: number, channels: number];
  readonly labelCount: number;
  override readonly labelNames: readonly string[] | null;
  override readonly labelSource: string | null;
  override readonly notes: readonly string[];
  readonly #labels: Int32Array | null;
  /** Of an array in Fortran order, whose images are scattered over the file. */
  readonly #reordered: Uint8Array | null;

  constructor(
    readonly name: string,
    private readonly file: NpzFile,
    private readonly pixels: NpyReader,
    labels: Labels | null,
    notes: readonly string[],
    names: readonly string[] | null,
  ) {
    super();
    const { shape, type, fortranOrder } = pixels;
    const [count, height, width, channels = 1] = shape;
    const isImages = type === "u8" && (shape.length === 3 || shape.length === 4);
    if (!isImages || count < 1 || channels < 1 || channels > 4) {
      const planar = shape.length === 4 && [1, 3].includes(height);
      throw new FormatError(
        `${pixels.name} holds no images: expected uint8 of shape (count, height, width, ` +
          `channels), found ${type} of shape (${shape.join(", ")})` +
          `${planar ? "; move the channels to the end" : ""}.`,
      );
    }
    this.length = count;
    this.imageShape = [height, width, channels];
    const counted = labels === null ? 0 : countLabels(labels.labels, count, name);
    // Of a file that was changed since they may be too few.
    this.labelNames = names !== null && names.length >= counted ? names : null;
    this.labelCount = this.labelNames?.length ?? counted;
    this.labelSource = labels?.key ?? null;
    this.#labels = labels?.labels ?? null;
    this.#reordered = fortranOrder ? pixels.read().bytes : null;
    this.notes = notes;
  }

  override image(index: number): Uint8Array {
    if (this.#reordered === null) return this.pixels.rows(index, 1).bytes;
    const size = this.#reordered.length / this.length;
    return this.#reordered.subarray(index * size, (index + 1) * size);
  }

  override label(index: number): number | null {
    return this.#labels === null ? null : this.#labels[index];
  }

  storedChecksum(): string | null {
    return this.file.storedChecksum("arr_0");
  }

  override close(): void {
    this.file.close();
  }
}

/** Arrays of images or latents, as npz files have them. */
const ARRAYS = /^(arr_0|images|x_\w+|\w+_images|latents|moments)\.npy$/;

/** Whether an archive is npz: by the name of its file, or by that of an array in it. */
export function holdsArrays({ name, paths }: FileTree): boolean {
  return !paths.some(isPicture) &&
    (name.toLowerCase().endsWith(".npz") || paths.some((path) => ARRAYS.test(path)));
}
