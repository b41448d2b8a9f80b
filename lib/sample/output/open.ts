/**
 * Samples as files: a grid to look at, one picture per image, or arrays for other programs.
 *
 * @module
 */

import { extname } from "jsr:@std/path@1.0.8";
import { UsageError } from "../../base/errors.ts";
import { MAX_PIXELS } from "../../formats/image/pixels.ts";
import { refuseTilde } from "../../files/outputs.ts";
import { writeNpzSamples, writeSafetensorsSamples } from "./array.ts";
import type { GeneratedBatch } from "../generator.ts";
import { gridSize, writeClassGrids, writeFolder, writeGrid, writeZip } from "./picture.ts";
import { arePictures, type SampleSet } from "./sample_set.ts";

/** How samples are written. */
export const OUTPUT_FORMATS = [
  "grid",
  "class-grids",
  "folder",
  "zip",
  "npz",
  "safetensors",
] as const;

/**
 * - `grid`: one PNG file with all images side by side;
 * - `class-grids`: a folder with such a file for every class;
 * - `folder`: a PNG file per image, named by its seed, in folders of 1,000 where there are more;
 * - `zip`: the same in a zip archive;
 * - `npz`: `arr_0`, uint8 [N, H, W, C], and `arr_1`, the classes as int64, as the evaluation of
 *   guided-diffusion reads them; float32 for samples that are not pictures;
 * - `safetensors`: `samples`, float32 and channels last, as the network made them, with `seeds` and
 *   `labels`.
 */
export type OutputFormat = typeof OUTPUT_FORMATS[number];

const EXTENSIONS: Readonly<Record<string, OutputFormat>> = {
  ".png": "grid",
  ".zip": "zip",
  ".npz": "npz",
  ".safetensors": "safetensors",
  "": "folder",
};

/** The format that a path asks for. @throws {UsageError} when its extension is of none */
export async function outputFormat(
  path: string,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<OutputFormat> {
  const info = await Deno.stat(path).catch(() => null);
  const namesFolder = (os === "windows" ? /[\\/]$/ : /\/$/).test(path);
  if (info?.isDirectory || namesFolder) return "folder";
  const format = EXTENSIONS[extname(path).toLowerCase()];
  if (!format) {
    throw new UsageError(
      `${path}: expected a name that ends in .png (a grid), .npz, .zip or .safetensors, or the ` +
        `name of a folder; or choose with --format.`,
    );
  }
  return format;
}

/**
 * Checks whether samples can be in such a format; what is there already, others check (`outputs.ts`
 * and `folder.ts`).
 *
 * @throws {UsageError} when the samples cannot be written like that
 */
export async function checkOutput(
  path: string,
  format: OutputFormat,
  { shape, seeds, labels, columns }: SampleSet,
): Promise<void> {
  if (format !== "npz" && format !== "safetensors" && !arePictures(shape)) {
    throw new UsageError(
      `samples of the shape [${shape.join(", ")}] are not grey or colour pictures; write them as ` +
        `.npz or .safetensors${
          shape.length === 3 ? ", or make pictures of latents with --decoder FILE.onnx" : ""
        }.`,
    );
  }
  if (format === "grid" || format === "class-grids") {
    const images = format === "grid" ? seeds.length : largestClass(labels);
    const { width, height } = gridSize(shape, images, columns);
    if (width * height > MAX_PIXELS) {
      throw new UsageError(
        `a grid of ${images} images would have ${width} x ${height} pixels, more than ` +
          `${MAX_PIXELS}; write a folder, .zip or .npz.`,
      );
    }
  }
  const info = await Deno.stat(path).catch(() => null);
  if (isFolderFormat(format)) {
    refuseTilde(path, "--out");
    if (info && !info.isDirectory) {
      throw new UsageError(`${path} is a file; give the name of a folder, or another --format.`);
    }
  } else if (info?.isDirectory) {
    throw new UsageError(`${path} is a folder; give the name of a file for --format ${format}.`);
  }
}

/** Whether a format is that of a folder with pictures. */
export function isFolderFormat(format: OutputFormat): format is "folder" | "class-grids" {
  return format === "folder" || format === "class-grids";
}

/** Number of images of the class that has most. */
function largestClass(labels: readonly (number | null)[]): number {
  const counts = new Map<number | null, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Math.max(...counts.values());
}

type WriteSamples = (
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
) => Promise<number>;

const WRITERS: Readonly<Record<OutputFormat, WriteSamples>> = {
  grid: writeGrid,
  "class-grids": writeClassGrids,
  folder: writeFolder,
  zip: writeZip,
  npz: writeNpzSamples,
  safetensors: writeSafetensorsSamples,
};

/** Writes samples as they come, atomically, and returns the number of files. */
export async function writeSamples(
  path: string,
  format: OutputFormat,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  return await WRITERS[format](path, set, batches);
}
