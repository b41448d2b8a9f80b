/**
 * Which program wrote statistics that do not say it, and so how it prepared the images: told from
 * names, types and compression, in which the known programs differ. Taking clean-fid's statistics
 * for those of another pipeline changes a FID by a tenth and says nothing.
 *
 * @module
 */

import { basename } from "node:path";
import { INCEPTION_FEATURES } from "../inception/network.ts";
import type { PipelineName } from "../inception/pipelines.ts";

/** A pipeline, and what it was told from. */
export interface InferredPipeline {
  /** How the images were prepared. */
  readonly pipeline: PipelineName;
  /** A clause such as `as EDM's scripts write them (uncompressed, mu as float64)`. */
  readonly why: string;
}

/** What is to be seen of a file. */
export interface ForeignFile {
  /** Its path, with the name of a set behind `#` where one was asked for. */
  readonly path: string;
  readonly container: "npz" | "pickle" | "torch";
  /** Names of the arrays, or keys of the dictionary. */
  readonly names: readonly string[];
  readonly dimension: number;
  /** Type of the mean, or of the features. */
  readonly type: string;
  /** Whether an npz is compressed. */
  readonly isCompressed?: boolean;
}

/** How clean-fid names its modes within the names of its files. */
const CLEAN_MODES: readonly (readonly [RegExp, PipelineName])[] = [
  [/_legacy_tensorflow_/, "fid"],
  [/_legacy_pytorch_/, "pytorch-fid"],
  [/_clean_/, "clean-fid"],
];

/** The pipeline of a file of another program; null where nothing tells it. */
export function inferPipeline(file: ForeignFile): InferredPipeline | null {
  const { path, container, names, dimension, type, isCompressed } = file;
  if (dimension !== INCEPTION_FEATURES) return null;
  const name = basename(path).toLowerCase();
  const has = (...wanted: string[]) => wanted.every((item) => names.includes(item));
  const inferred = (pipeline: PipelineName, why: string) => ({ pipeline, why });
  if (container === "torch") {
    // torch-fidelity's files carry the name of the extractor.
    const [, extractor] = /-(.+?)-(?:stat|features)-/.exec(name) ?? [];
    if (extractor !== undefined && !/inception-v3-compat$/.test(extractor)) return null;
    return inferred("fid", "as torch-fidelity keeps them");
  }
  if (container === "pickle") return inferred("fid", "as EDM2's scripts write them");
  if (has("ref_mu")) return inferred("fid", "as MeanFlow's scripts write them (ref_mu, ref_sigma)");
  if (has("mu_s")) return inferred("fid", "as guided-diffusion's are (with mu_s, sigma_s)");
  const mode = CLEAN_MODES.find(([pattern]) => pattern.test(name));
  if (mode) return inferred(mode[1], `by clean-fid's mode in its name`);
  if (has("feats")) {
    return inferred("clean-fid", "as clean-fid writes features (feats), mode clean");
  }
  if (name.startsWith("fid_stats_")) return inferred("fid", "by its name, as TTUR's are called");
  if (isCompressed && type === "f64") {
    return inferred("pytorch-fid", "as pytorch-fid writes them (compressed, mu as float64)");
  }
  if (isCompressed) {
    return inferred(
      "clean-fid",
      "as clean-fid writes them (compressed, mu as float32), mode clean",
    );
  }
  return type === "f64"
    ? inferred("fid", "as EDM's scripts write them (uncompressed, mu as float64)")
    : null;
}
