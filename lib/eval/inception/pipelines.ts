/**
 * The ways in which published FIDs prepare images for Inception. A score is only comparable with
 * scores of the same pipeline: for 32 x 32 images two of them differ by 12 grey levels on average.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { Same } from "../../base/schema.ts";
import { didYouMean } from "../../base/suggest.ts";

/** How images are brought to 299 x 299. */
export type Resampling =
  /**
   * TensorFlow 1's `resize_bilinear`: source i * in / out, without the half pixel that would keep
   * the image centred, and no smoothing (torch-fidelity's interpolate_compat_tensorflow.py).
   */
  | "tf1-bilinear"
  /** PyTorch's `interpolate(mode="bilinear", align_corners=False)`, no smoothing. */
  | "half-pixel-bilinear"
  /** Pillow's BICUBIC on float32 channels (a = -0.5, smoothing), clipped to 0..255. */
  | "pil-bicubic";

/** The ways of resampling. */
export const RESAMPLINGS = ["tf1-bilinear", "half-pixel-bilinear", "pil-bicubic"] as const;

true satisfies Same<typeof RESAMPLINGS[number], Resampling>;

/** One way to prepare images. */
export interface Pipeline {
  /** What it is, for help texts. */
  readonly title: string;
  /** To 299 x 299. */
  readonly resampling: Resampling;
  /** Bytes after resampling become byte * scale + offset. */
  readonly scale: number;
  /** Added after the factor. */
  readonly offset: number;
}

/** (x - 128) / 128, as the graph of 2015 has it: [-1, 0.992]. */
const TF_SCALING = { scale: 1 / 128, offset: -1 } as const;

/**
 * The pipelines by name. All compute mean and covariance (divisor N - 1) in float64.
 *
 * - `fid`: the lineage of the original TTUR code: torch-fidelity, EDM, StyleGAN (whose covariance
 *   divides by N), ADM's evaluator, MeanFlow.
 * - `pytorch-fid`: pytorch-fid and dgm-eval: half-pixel bilinear, 2 x / 255 - 1.
 * - `clean-fid`: clean-fid's mode "clean": Pillow's bicubic, which smooths when it shrinks.
 */
export const PIPELINES = {
  "fid": {
    title: "TensorFlow 1's bilinear resize (torch-fidelity, EDM, ADM)",
    resampling: "tf1-bilinear",
    ...TF_SCALING,
  },
  "pytorch-fid": {
    title: "PyTorch's bilinear resize (pytorch-fid)",
    resampling: "half-pixel-bilinear",
    scale: 2 / 255,
    offset: -1,
  },
  "clean-fid": {
    title: "Pillow's bicubic resize (clean-fid)",
    resampling: "pil-bicubic",
    ...TF_SCALING,
  },
} as const satisfies Record<string, Pipeline>;

/** Name of a pipeline. */
export type PipelineName = keyof typeof PIPELINES;

/**
 * The pipeline of that name.
 *
 * @throws {UsageError} when there is none
 */
export function checkedPipeline(name: string): PipelineName {
  if (Object.hasOwn(PIPELINES, name)) return name as PipelineName;
  const names = Object.keys(PIPELINES);
  throw new UsageError(
    `Pipelines are ${names.join(", ")}; found ${name}${didYouMean(name, names) || "."}`,
  );
}
