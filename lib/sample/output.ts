/**
 * Samples as files: a grid to look at, one picture per image, or arrays for other programs.
 *
 * @module
 */

import { dirname, extname, join } from "jsr:@std/path@^1";
import { UsageError } from "../errors.ts";
import { writeFileAtomic } from "../format/atomic.ts";
import { enlargement, imageGrid, splitImages } from "../format/grid.ts";
import type { ArrayToWrite } from "../format/npy.ts";
import { writeNpz } from "../format/npz.ts";
import { type Image, MAX_PIXELS } from "../format/pixels.ts";
import { encodePng } from "../format/png.ts";
import { type TensorToWrite, writeSafetensors } from "../format/safetensors.ts";
import { ZipWriter } from "../format/zip_writer.ts";
import { decodeRgb } from "../imm/rgb.ts";
import { type Shape, sizeOf } from "../tensor/tensor.ts";
import type { GeneratedBatch } from "./generator.ts";

/** How samples are written. */
export const OUTPUT_FORMATS = ["grid", "folder", "zip", "npz", "safetensors"] as const;

/**
 * - `grid`: one PNG file with all images side by side;
 * - `folder`: a PNG file per image, named by its seed, in folders of 1,000 where there are more;
 * - `zip`: the same in a zip archive;
 * - `npz`: `arr_0`, uint8 [N, H, W, C], and `arr_1`, the classes as int64, as the evaluation of
 *   guided-diffusion reads them; float32 for samples that are not pictures;
 * - `safetensors`: `samples`, float32 and channels last, as the network made them, with `seeds` and
 *   `labels`.
 */
export type OutputFormat = typeof OUTPUT_FORMATS[number];

/** What is known of a set of samples before it is generated. */
export interface SampleSet {
  /** Shape of one sample: [H, W, C], or [D] for points. */
  readonly shape: Shape;
  readonly seeds: readonly number[];
  readonly labels: readonly (number | null)[];
  /** Pictures per row of a grid; left out, a grid is about square. */
  readonly columns?: number;
}

/** Images in one folder. */
const FOLDER_SIZE = 1000;

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

/** Whether samples of a shape are grey or colour pictures. */
export function arePictures(shape: Shape): boolean {
  return shape.length === 3 && (shape[2] === 1 || shape[2] === 3);
}

/**
 * Checks everything that can be checked before the work begins.
 *
 * @throws {UsageError} when the samples cannot be written like that
 */
export async function checkOutput(
  path: string,
  format: OutputFormat,
  { shape, seeds, columns }: SampleSet,
): Promise<void> {
  if (format !== "npz" && format !== "safetensors" && !arePictures(shape)) {
    throw new UsageError(
      `samples of the shape [${shape.join(", ")}] are not grey or colour pictures; write them as ` +
        `.npz or .safetensors.`,
    );
  }
  if (format === "grid") {
    const { width, height } = gridSize(shape, seeds.length, columns);
    if (width * height > MAX_PIXELS) {
      throw new UsageError(
        `a grid of ${seeds.length} images would have ${width} x ${height} pixels, more than ` +
          `${MAX_PIXELS}; write a folder, .zip or .npz.`,
      );
    }
  }
  const info = await Deno.stat(path).catch(() => null);
  if (format === "folder") {
    if (info && !info.isDirectory) {
      throw new UsageError(`${path} is a file; give the name of a folder, or another --format.`);
    }
    return;
  }
  if (info?.isDirectory) {
    throw new UsageError(`${path} is a folder; give the name of a file for --format ${format}.`);
  }
  const parent = dirname(path);
  if (!(await Deno.stat(parent).catch(() => null))?.isDirectory) {
    throw new UsageError(`the folder ${parent} does not exist; create it before sampling.`);
  }
}

/** Writes samples as they come, atomically, and returns the number of files. */
export async function writeSamples(
  path: string,
  format: OutputFormat,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  switch (format) {
    case "grid":
      await writeFileAtomic(
        path,
        encodePng(sampleGrid(await Array.fromAsync(pictures(set, batches)), set)),
      );
      return 1;
    case "folder":
      return await writeFolder(path, set, batches);
    case "zip":
      await writeFileAtomic(path, async (write) => {
        const zip = new ZipWriter(write);
        let number = 0;
        for await (const picture of pictures(set, batches)) {
          const png = encodePng(picture);
          await zip.add(pictureName(set.seeds, number++), [png], { size: png.length });
        }
        await zip.finish();
      });
      return 1;
    case "npz":
      await writeNpz(path, npzArrays(set, batches));
      return 1;
    case "safetensors":
      await writeSafetensors(path, await storedSamples(set, batches));
      return 1;
  }
}

/** Pictures side by side, tiny ones enlarged. */
export function sampleGrid(
  pictures: readonly Image[],
  { shape, columns }: Pick<SampleSet, "shape" | "columns">,
): Image {
  return imageGrid(pictures, { columns, padding: 1, scale: gridScale(shape) });
}

/** The samples of a batch as pictures, which share one array. */
export function toPictures(samples: Float32Array, shape: Shape): Image[] {
  return splitImages(decodeRgb(samples), shape as [number, number, number]);
}

async function* pictures(
  { shape }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): AsyncGenerator<Image> {
  for await (const { samples } of batches) yield* toPictures(samples, shape);
}

/** `000017.png`, or `000000/000017.png` in a set that needs more than one folder. */
function pictureName(seeds: readonly number[], number: number): string {
  const seed = seeds[number];
  const name = `${padded(seed)}.png`;
  return seeds.length > FOLDER_SIZE ? `${padded(seed - seed % FOLDER_SIZE)}/${name}` : name;
}

function padded(seed: number): string {
  return String(seed).padStart(6, "0");
}

async function writeFolder(
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  let number = 0;
  for await (const picture of pictures(set, batches)) {
    const file = join(path, pictureName(set.seeds, number++));
    await Deno.mkdir(dirname(file), { recursive: true });
    await writeFileAtomic(file, encodePng(picture));
  }
  return number;
}

function npzArrays(
  { shape, seeds, labels }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Map<string, ArrayToWrite> {
  const asPictures = arePictures(shape);
  const arrays = new Map<string, ArrayToWrite>([["arr_0", {
    type: asPictures ? "u8" : "f32",
    shape: [seeds.length, ...shape],
    data: async function* () {
      for await (const { samples } of batches) yield asPictures ? decodeRgb(samples) : samples;
    },
  }]]);
  const classes = known(labels);
  if (classes) arrays.set("arr_1", { type: "i64", shape: [labels.length], data: classes });
  return arrays;
}

async function storedSamples(
  { shape, seeds, labels }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<Map<string, TensorToWrite>> {
  const size = sizeOf(shape);
  const all = new Float32Array(seeds.length * size);
  for await (const { first, samples } of batches) all.set(samples, first * size);
  const tensors = new Map<string, TensorToWrite>([
    ["samples", { dtype: "F32", shape: [seeds.length, ...shape], data: all }],
    ["seeds", { dtype: "I64", shape: [seeds.length], data: BigInt64Array.from(seeds, BigInt) }],
  ]);
  const classes = known(labels);
  if (classes) tensors.set("labels", { dtype: "I64", shape: [labels.length], data: classes });
  return tensors;
}

/** The classes as an array, when every image has one. */
function known(labels: readonly (number | null)[]): BigInt64Array | null {
  return labels.every((label) => label !== null) ? BigInt64Array.from(labels, BigInt) : null;
}

function gridSize(
  shape: Shape,
  images: number,
  columns: number = Math.ceil(Math.sqrt(images)),
): { width: number; height: number } {
  const across = Math.min(columns, images);
  const down = Math.ceil(images / across);
  const scale = gridScale(shape);
  return {
    width: (across * (shape[1] + 1) + 1) * scale,
    height: (down * (shape[0] + 1) + 1) * scale,
  };
}

function gridScale([height, width]: Shape): number {
  return enlargement(Math.max(height, width), 32);
}
