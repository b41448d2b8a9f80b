/**
 * How large samples will be as files, known before there are any.
 *
 * @module
 */

import { sizeOf } from "../tensor/tensor.ts";
import type { OutputFormat } from "./output/open.ts";
import { gridSize } from "./output/picture.ts";
import { arePictures, type SampleSet } from "./output/sample_set.ts";

/** What will be written. */
export interface OutputSize {
  /** Number of files. */
  readonly files: number;
  /** Bytes of all of them: about so many for arrays, at most so many for pictures. */
  readonly bytes: number;
  /** Width and height in pixels, of a single grid. */
  readonly pixels?: readonly [width: number, height: number];
}

/** Bytes of headers and the like of a small file. */
const OVERHEAD = 1024;

/** Sizes of a set in a format. */
export function outputSize(set: SampleSet, format: OutputFormat): OutputSize {
  const { shape, seeds: { length: count }, labels, columns } = set;
  const numbers = count * sizeOf(shape);
  // A byte before each row says how it is stored; noise does not become smaller.
  const png = (width: number, height: number) => height * (width * (shape[2] ?? 1) + 1) + OVERHEAD;
  const grid = (images: number) => {
    const { width, height, scale } = gridSize(shape, images, columns);
    // Where tiny pictures are enlarged, little is stored but each pixel, and where it ends.
    const bytes = scale === 1 ? png(width, height) : 2 * png(width / scale, height / scale);
    return { bytes, pixels: [width, height] as const };
  };
  const labelBytes = labels.every((label) => label !== null) ? 8 * count : 0;
  switch (format) {
    case "npz":
      return {
        files: 1,
        bytes: numbers * (arePictures(shape) ? 1 : 4) + labelBytes + OVERHEAD,
      };
    case "safetensors":
      return { files: 1, bytes: numbers * 4 + 8 * count + labelBytes + OVERHEAD };
    case "zip":
      return { files: 1, bytes: count * png(shape[1], shape[0]) };
    case "folder":
      return { files: count, bytes: count * png(shape[1], shape[0]) };
    case "grid":
      return { files: 1, ...grid(count) };
    case "class-grids": {
      const counts = [...Map.groupBy(labels, (label) => label).values()];
      return {
        files: counts.length,
        bytes: counts.reduce((sum, { length }) => sum + grid(length).bytes, 0),
      };
    }
  }
}
