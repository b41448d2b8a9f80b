/**
 * Pictures for a report: some samples, and the real images that are nearest to some of them. A
 * model that only remembers shows its training images there.
 *
 * @module
 */

import { splitImages } from "../../formats/image/grid.ts";
import type { Image } from "../../formats/image/pixels.ts";
import { type ImageSource, toBytes } from "../images.ts";
import type { MetricSet } from "../metrics/metric.ts";
import type { Features } from "../statistics/statistics.ts";

/** A picture and its class. */
export interface GalleryImage {
  /** The pixels. */
  readonly image: Image;
  /** Its class, where it has one. */
  readonly label: number | null;
  /** Name of the class, where that is known. */
  readonly className?: string;
}

/** A sample and the real images nearest to it. */
export interface GalleryNeighbours {
  /** The sample. */
  readonly sample: GalleryImage;
  /** Nearest first, with the Euclidean distance of the features. */
  readonly nearest: readonly (GalleryImage & { readonly distance: number })[];
}

/** Pictures for a report. */
export interface Gallery {
  /** The first samples. */
  readonly samples: readonly GalleryImage[];
  /** Some samples, of every class where there are labels; empty where no real images are known. */
  readonly neighbours: readonly GalleryNeighbours[];
  /** Classes of the samples, where not all are among the neighbours. */
  readonly classesLeftOut?: { readonly shown: number; readonly all: number };
}

/** Images, and what was collected of them. */
export interface GallerySide {
  /** Where to look images up. */
  readonly source: ImageSource;
  /** With all vectors. */
  readonly set: MetricSet;
}

/** Pixels in a row or column of the grid of samples, at most. */
const GRID_PIXELS = 1024;
/** Samples whose neighbours are shown, at least, and neighbours of each. */
const QUERIES = 8;
const NEAREST = 6;
/** Classes that all have a row; of more, some do. */
const MANY_CLASSES = 100;
const SOME_CLASSES = 24;

/** Looks up samples and their nearest real images. */
export async function makeGallery(
  samples: GallerySide,
  real: GallerySide | null,
): Promise<Gallery> {
  const rows = samples.set.features?.rows ?? 0;
  const [head] = await lookUp(samples, [0]);
  const across = Math.max(2, Math.min(8, Math.floor(GRID_PIXELS / head.image.width)));
  const shown = Math.min(rows, across ** 2);
  const grid = await lookUp(samples, Array.from({ length: shown }, (_, i) => i));
  const neighbours: GalleryNeighbours[] = [];
  let classesLeftOut: Gallery["classesLeftOut"];
  const [queries, references] = [samples.set.features, real?.set.features ?? null];
  if (queries && references && real) {
    const chosen = queryRows(rows, samples.set.labels);
    if (chosen.shown < chosen.all) classesLeftOut = { shown: chosen.shown, all: chosen.all };
    for (const row of chosen.rows) {
      const [sample] = await lookUp(samples, [row]);
      const found = nearestRows(queries, row, references, NEAREST);
      const images = await lookUp(real, found.map(({ row }) => row));
      const nearest = images.map((image, j) => ({ ...image, distance: found[j].distance }));
      neighbours.push({ sample, nearest });
    }
  }
  return { samples: grid, neighbours, ...(classesLeftOut ? { classesLeftOut } : {}) };
}

/**
 * The samples whose neighbours are shown: of each class in turn the same number, spread over the
 * samples of the class; without labels spread over all.
 *
 * @param labels class of each of the samples, negative for none
 * @returns their numbers, and how many classes of how many they have
 */
export function queryRows(
  rows: number,
  labels: ArrayLike<number> | null,
): { rows: number[]; shown: number; all: number } {
  const byClass = new Map<number, number[]>();
  for (let row = 0; row < rows; row++) {
    const label = labels?.[row] ?? -1;
    if (!byClass.has(label)) byClass.set(label, []);
    byClass.get(label)!.push(row);
  }
  const groups = [...byClass].sort(([a], [b]) => a - b).map(([, members]) => members);
  const shown = groups.length > MANY_CLASSES ? spread(groups, SOME_CLASSES) : groups;
  const each = Math.ceil(QUERIES / Math.max(1, shown.length));
  return {
    rows: shown.flatMap((members) => spread(members, each)),
    shown: shown.length,
    all: groups.length,
  };
}

/** Some of a list, as far apart as possible; all where there are no more. */
function spread<T>(all: readonly T[], count: number): T[] {
  const taken = Math.min(count, all.length);
  return Array.from({ length: taken }, (_, i) => all[Math.floor(i * all.length / taken)]);
}

/** The images behind some rows of what was collected. */
async function lookUp(
  { source, set: { skipped = [], classes } }: GallerySide,
  rows: readonly number[],
): Promise<GalleryImage[]> {
  const positions = rows.map((row) => positionOf(row, skipped));
  const found: GalleryImage[] = [];
  // A model makes its images in batches, so neighbours in a row are read together.
  for (let i = 0; i < positions.length;) {
    let end = i + 1;
    const isNext = () => positions[end] === positions[end - 1] + 1;
    while (!source.mixed && end < positions.length && isNext()) end++;
    const batch = await source.read(positions[i], end - i);
    const { height, width, channels, labels } = batch;
    splitImages(toBytes(batch.data), [height, width, channels]).forEach((image, j) => {
      const label = labels?.[j] ?? null;
      const className = label === null ? undefined : classes?.names?.[label];
      found.push({ image, label, ...(className === undefined ? {} : { className }) });
    });
    i = end;
  }
  return found;
}

/** The number in its source of the image behind a row, when images before it were left out. */
function positionOf(row: number, skipped: readonly number[]): number {
  let position = row;
  for (const left of skipped) {
    if (left > position) break;
    position++;
  }
  return position;
}

/** The rows nearest to one row of other features, nearest first. */
export function nearestRows(
  queries: Features,
  row: number,
  references: Features,
  count: number,
): { row: number; distance: number }[] {
  const { dimension, rows, data } = references;
  const query = queries.data.subarray(row * dimension, (row + 1) * dimension);
  const best: { row: number; distance: number }[] = [];
  for (let i = 0; i < rows; i++) {
    let squared = 0;
    for (let j = 0, at = i * dimension; j < dimension; j++, at++) {
      squared += (query[j] - data[at]) ** 2;
    }
    if (best.length === count && squared >= best[count - 1].distance) continue;
    const place = best.findIndex(({ distance }) => squared < distance);
    best.splice(place < 0 ? best.length : place, 0, { row: i, distance: squared });
    best.length = Math.min(best.length, count);
  }
  return best.map(({ row, distance }) => ({ row, distance: Math.sqrt(distance) }));
}
