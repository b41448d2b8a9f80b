/**
 * Images as they are exchanged in npz files: `arr_0` with the pixels, `arr_1` with the labels.
 * Where the arrays are floats they are latents, see latent_arrays.ts.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import type { NpyReader } from "../format/npy.ts";
import { NpzFile } from "../format/npz.ts";
import { BaseDataset, countLabels, type Dataset } from "./dataset.ts";
import { namesLatents, openNpzLatents } from "./latent_arrays.ts";
import type { LatentDataset } from "./latents.ts";

/**
 * Opens `arr_0`, uint8 of shape [count, height, width, channels] or [count, height, width], with
 * labels from `arr_1` where there is one. Images of an uncompressed file stay on the disk and are
 * read one by one; a compressed file is decompressed into memory. Latents are floats of four axes,
 * or are named so.
 *
 * @throws {FormatError} when the file is damaged or holds something else
 */
export async function openNpzDataset(path: string): Promise<Dataset | LatentDataset> {
  const file = await NpzFile.open(path);
  let array: NpyReader | null = null;
  try {
    if (!namesLatents(file.names)) {
      if (!file.names.includes("arr_0")) {
        throw new FormatError(
          `${path} holds no images: expected an array named arr_0, found ` +
            `${file.names.join(", ") || "none"}.`,
        );
      }
      array = await file.array("arr_0");
      if (!array.type.startsWith("f") || array.shape.length !== 4) {
        const labels = file.names.includes("arr_1")
          ? readLabels(await file.array("arr_1"), path)
          : null;
        return new NpzDataset(path, file, array, labels);
      }
    }
  } catch (error) {
    file.close();
    throw error;
  }
  return await openNpzLatents(file, path, array);
}

function readLabels(array: NpyReader, path: string): Int32Array {
  if (array.shape.length !== 1 || !/^[iu]/.test(array.type)) {
    throw new FormatError(
      `${path} holds no labels: expected arr_1 as integers of shape (count,), found ` +
        `${array.type} of shape (${array.shape.join(", ")}).`,
    );
  }
  return array.read().toInt32();
}

class NpzDataset extends BaseDataset {
  readonly length: number;
  readonly imageShape: readonly [height: number, width: number, channels: number];
  readonly labelCount: number;

  constructor(
    readonly name: string,
    private readonly file: NpzFile,
    private readonly pixels: NpyReader,
    private readonly labels: Int32Array | null,
  ) {
    super();
    const [count, height, width, channels = 1] = pixels.shape;
    const isImages = pixels.type === "u8" && !pixels.fortranOrder &&
      (pixels.shape.length === 3 || pixels.shape.length === 4);
    if (!isImages || count < 1 || channels < 1 || channels > 4) {
      const planar = pixels.shape.length === 4 && [1, 3].includes(height);
      throw new FormatError(
        `${name} holds no images: expected arr_0 as uint8 of shape (count, height, width, ` +
          `channels), found ${pixels.type} of shape (${pixels.shape.join(", ")})` +
          `${planar ? "; move the channels to the end" : ""}.`,
      );
    }
    this.length = count;
    this.imageShape = [height, width, channels];
    this.labelCount = labels === null ? 0 : countLabels(labels, count, name);
  }

  override image(index: number): Uint8Array {
    return this.pixels.rows(index, 1).bytes;
  }

  override label(index: number): number | null {
    return this.labels === null ? null : this.labels[index];
  }

  override close(): void {
    this.file.close();
  }
}
