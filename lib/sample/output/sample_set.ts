/**
 * What is known of a set of samples before it is generated.
 *
 * @module
 */

import { type Shape, sizeOf } from "../../tensor/tensor.ts";
import type { GenerateOptions } from "../generator.ts";

/** A set of samples, or the part of one that is made here. */
export interface SampleSet {
  /** Shape of one sample: [H, W, C], or [D] for points. */
  readonly shape: Shape;
  /** Seed of each sample; it names the picture. */
  readonly seeds: readonly number[];
  /** Class of each sample, null for none. */
  readonly labels: readonly (number | null)[];
  /** Pictures per row of a grid; left out, a grid is about square. */
  readonly columns?: number;
  /** Samples of the whole set, where this is a part; it decides whether there are subfolders. */
  readonly total?: number;
  /** Names of the classes, where they have some; class 3 has `classNames[3]`. */
  readonly classNames?: readonly string[];
  /** How the samples are made; kept in the file that they are written to. See `FileRecord`. */
  readonly record?: string;
}

export { RECORD_NAME } from "../../data/images/sample_record.ts";

/** Images in one folder. */
const FOLDER_SIZE = 1000;

/** Whether samples of a shape are grey or colour pictures. */
export function arePictures(shape: Shape): boolean {
  return shape.length === 3 && (shape[2] === 1 || shape[2] === 3);
}

/** `000017.png`, or `000000/000017.png` in a set that needs more than one folder. */
export function pictureName({ seeds, total = seeds.length }: SampleSet, number: number): string {
  const seed = seeds[number];
  const name = `${padded(seed)}.png`;
  return total > FOLDER_SIZE ? `${padded(seed - seed % FOLDER_SIZE)}/${name}` : name;
}

function padded(seed: number): string {
  return String(seed).padStart(6, "0");
}

/** The samples with these numbers, in this order, as a set of their own. */
export function subset(set: SampleSet, numbers: readonly number[]): SampleSet {
  return {
    ...set,
    seeds: numbers.map((n) => set.seeds[n]),
    labels: numbers.map((n) => set.labels[n]),
    total: set.total ?? set.seeds.length,
  };
}

/** How to generate the samples with these numbers alone: each is the same as among all. */
export function optionsOf<Options extends GenerateOptions>(
  options: Options,
  shape: Shape,
  numbers: readonly number[],
): Options {
  const size = sizeOf(shape);
  const rows = (values: Float32Array) => {
    const own = new Float32Array(numbers.length * size);
    numbers.forEach((n, i) => own.set(values.subarray(n * size, (n + 1) * size), i * size));
    return own;
  };
  return {
    ...options,
    seeds: numbers.map((n) => options.seeds[n]),
    labels: options.labels && numbers.map((n) => options.labels![n]),
    latents: options.latents && rows(options.latents),
    noise: options.noise?.map(rows),
  };
}
