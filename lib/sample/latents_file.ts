/**
 * Initial noise from a file, so that another program's samples can be reproduced: the array
 * `latents`, or whatever single array the file has, in an npz or safetensors file.
 *
 * @module
 */

import { extname } from "jsr:@std/path@1.0.8";
import { channelsLast, sameShape, type Shape, sizeOf } from "../base/arrays.ts";
import { FormatError } from "../base/errors.ts";
import { NpzFile } from "../formats/arrays/npz.ts";
import { openSafetensors } from "../formats/safetensors/safetensors.ts";
import { requireFinite } from "./finite.ts";

const NAME = "latents";

/** Noise for some images. */
export interface Latents {
  readonly images: number;
  /** [images, ...sample], channels last. */
  readonly values: Float32Array;
}

interface StoredArray {
  readonly shape: Shape;
  toFloat32(): Float32Array<ArrayBuffer>;
}

/**
 * Reads latents for samples of a shape: [N, H, W, C], or [N, C, H, W] as PyTorch has them (also
 * where both would fit, which is when C = H = W). Numbers are taken as they are.
 *
 * @throws {FormatError} when the file cannot be read or has no array of such a shape
 * @throws {NotFiniteError} when some are not finite
 */
export async function readLatents(path: string, sampleShape: Shape): Promise<Latents> {
  const { shape, toFloat32 } = await readArray(path);
  const [images, ...sample] = shape;
  const planes = sampleShape.length === 3 ? [sampleShape[2], sampleShape[0], sampleShape[1]] : [];
  const channelsFirst = sameShape(sample, planes) && sampleShape.length === 3;
  if (!(images > 0) || !(channelsFirst || sameShape(sample, sampleShape))) {
    const expected = [sampleShape, ...(planes.length > 0 ? [planes] : [])]
      .map((s) => `[N, ${s.join(", ")}]`).join(" or ");
    throw new FormatError(
      `${path}: expected latents of the shape ${expected} for this model, found ` +
        `[${shape.join(", ")}].`,
    );
  }
  const values = toFloat32();
  requireFinite(values, sizeOf(sampleShape), {
    what: `latents of ${path}`,
    name: (n) => `number ${n}`,
    reason: "give finite noise",
  });
  return { images, values: channelsFirst ? channelsLast(values, sampleShape) : values };
}

/** Root mean square: about sigma_d for latents that a sampler can start from. */
export function latentScale(values: Float32Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares / values.length);
}

async function readArray(path: string): Promise<StoredArray> {
  switch (extname(path)) {
    case ".npz": {
      using file = await NpzFile.open(path);
      return (await file.array(theArray(path, file.names))).read();
    }
    case ".safetensors": {
      using file = await openSafetensors(path);
      return await file.read(theArray(path, [...file.entries.keys()]));
    }
    default:
      throw new FormatError(`${path}: expected latents in a .npz or a .safetensors file.`);
  }
}

function theArray(path: string, names: readonly string[]): string {
  if (names.includes(NAME)) return NAME;
  if (names.length === 1) return names[0];
  throw new FormatError(
    `${path} holds ${names.length === 0 ? "no arrays" : names.join(", ")}; expected one array, ` +
      `or one of the name "${NAME}".`,
  );
}
