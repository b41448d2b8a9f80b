/**
 * Samples as PNG files: a grid to look at, one grid per class, one picture per image.
 *
 * @module
 */

import { dirname, join } from "jsr:@std/path@1.0.8";
import { writeFileAtomic } from "../../formats/atomic.ts";
import { enlargement, imageGrid, splitImages } from "../../formats/image/grid.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { encodePng } from "../../formats/image/png.ts";
import { withPngText } from "../../formats/image/png_text.ts";
import { ZipWriter } from "../../formats/archive/zip_writer.ts";
import { decodeRgb } from "../../base/bytes.ts";
import type { Shape } from "../../tensor/tensor.ts";
import type { GeneratedBatch } from "../generator.ts";
import { pictureName, RECORD_NAME, type SampleSet } from "./sample_set.ts";

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

/** Width and height of the grid that {@link sampleGrid} makes, in pixels, and how often each is there. */
export function gridSize(
  shape: Shape,
  images: number,
  columns: number = Math.ceil(Math.sqrt(images)),
): { width: number; height: number; scale: number } {
  const across = Math.min(columns, images);
  const down = Math.ceil(images / across);
  const scale = gridScale(shape);
  return {
    width: (across * (shape[1] + 1) + 1) * scale,
    height: (down * (shape[0] + 1) + 1) * scale,
    scale,
  };
}

function gridScale([height, width]: Shape): number {
  return enlargement(Math.max(height, width), 32);
}

/** One PNG file with all images. */
export async function writeGrid(
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  const all = await Array.fromAsync(pictures(set, batches));
  const png = encodePng(sampleGrid(all, set));
  const { record } = set;
  await writeFileAtomic(path, record === undefined ? png : withPngText(png, RECORD_NAME, record));
  return 1;
}

/** `class-7.png`, or `class-7-horse.png` where it has a name: the grid of a class. */
export function classGridName(label: number | null, names?: readonly string[]): string {
  const name = label === null ? undefined : names?.[label];
  // What every file system takes, and no more of it than a name needs.
  const plain = name?.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 60);
  return `class-${label ?? "none"}${plain ? `-${plain}` : ""}.png`;
}

/** Names of the columns of a grid in which each has one class; null where that is not so. */
export function columnNames(
  { labels, columns, classNames }: SampleSet,
): readonly string[] | null {
  if (!classNames || columns === undefined || columns > labels.length) return null;
  const first = labels.slice(0, columns);
  if (labels.some((label, i) => label === null || label !== first[i % columns])) return null;
  return first.map((label) => classNames[label!]);
}

/** A PNG file per class, `class-7.png`, with all images of the class. */
export async function writeClassGrids(
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  const byClass = new Map<number | null, Image[]>();
  let number = 0;
  for await (const picture of pictures(set, batches)) {
    const label = set.labels[number++];
    const own = byClass.get(label);
    if (own) own.push(picture);
    else byClass.set(label, [picture]);
  }
  await Deno.mkdir(path, { recursive: true });
  for (const [label, own] of byClass) {
    const grid = sampleGrid(own, { shape: set.shape, columns: set.columns });
    await writeFileAtomic(join(path, classGridName(label, set.classNames)), encodePng(grid));
  }
  return byClass.size;
}

/** A PNG file per image, in folders of 1,000 where there are more. */
export async function writeFolder(
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  let number = 0;
  for await (const picture of pictures(set, batches)) {
    const file = join(path, pictureName(set, number++));
    await Deno.mkdir(dirname(file), { recursive: true });
    await writeFileAtomic(file, encodePng(picture));
  }
  return number;
}

/** The same in a zip archive. */
export async function writeZip(
  path: string,
  set: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): Promise<number> {
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    if (set.record !== undefined) {
      const record = new TextEncoder().encode(set.record);
      await zip.add(RECORD_NAME, [record], { size: record.length });
    }
    let number = 0;
    for await (const picture of pictures(set, batches)) {
      const png = encodePng(picture);
      await zip.add(pictureName(set, number++), [png], { size: png.length });
    }
    await zip.finish();
  });
  return 1;
}

async function* pictures(
  { shape }: SampleSet,
  batches: AsyncIterable<GeneratedBatch>,
): AsyncGenerator<Image> {
  for await (const { samples } of batches) yield* toPictures(samples, shape);
}
