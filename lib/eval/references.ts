/**
 * Files of reference statistics: what a Fréchet distance is measured against.
 *
 * They are npz files with a mean and a covariance. EDM, pytorch-fid, TTUR and ADM name them `mu`
 * and `sigma`, MeanFlow `ref_mu` and `ref_sigma`. None of these says which network and which
 * resizing made it, though a distance is only meaningful against the same; files written here do,
 * in an array `provenance` that holds JSON as bytes.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError, UsageError } from "../errors.ts";
import { NpzFile, writeNpz } from "../format/npz.ts";
import type { Same } from "../schema.ts";
import type { FeatureExtractor } from "./extractor.ts";
import type { Moments } from "./statistics.ts";

/** Names of mean and covariance, and who uses them. */
const NAMES = [
  ["mu", "sigma"], // EDM, pytorch-fid, TTUR, ADM
  ["ref_mu", "ref_sigma"], // MeanFlow
] as const;

/** What reference statistics were computed of. */
export interface Provenance {
  /** Version of this record. */
  readonly version: 1;
  /** Name and SHA-256 of the extractor. */
  readonly extractor: { readonly id: string; readonly hash: string };
  /** Number of images. */
  readonly count: number;
  /** What the set of images was called: usually its path. */
  readonly images: string;
}

const provenanceSchema = z.object({
  version: z.literal(1),
  extractor: z.object({ id: z.string(), hash: z.string() }),
  count: z.int().positive(),
  images: z.string(),
});

true satisfies Same<z.output<typeof provenanceSchema>, Provenance>;

/** Statistics of a set of real images. */
export interface Reference extends Moments {
  /** What reports call it. */
  readonly name: string;
  /** Undefined for files of other programs. */
  readonly provenance?: Provenance;
}

/**
 * Reads a file of reference statistics.
 *
 * @throws {FormatError} when it holds none, or arrays of the wrong form
 */
export async function readReference(path: string): Promise<Reference> {
  using file = await NpzFile.open(path);
  const names = NAMES.find((pair) => pair.every((name) => file.names.includes(name)));
  if (!names) {
    throw new FormatError(
      `${path} holds no reference statistics: expected the arrays mu and sigma (or ref_mu and ` +
        `ref_sigma), found ${file.names.join(", ") || "none"}.`,
    );
  }
  const mean = await file.array(names[0]);
  const covariance = await file.array(names[1]);
  const dimension = mean.shape[0];
  const isFloat = [mean, covariance].every(({ type }) => type === "f64" || type === "f32");
  if (
    !isFloat || mean.shape.length !== 1 || `${covariance.shape}` !== `${[dimension, dimension]}`
  ) {
    throw new FormatError(
      `${path} has ${names[0]} as ${mean.type} [${mean.shape.join(", ")}] and ${names[1]} as ` +
        `${covariance.type} [${covariance.shape.join(", ")}]; expected floats [d] and [d, d].`,
    );
  }
  const provenance = file.names.includes("provenance")
    ? parseProvenance((await file.array("provenance")).read().bytes, path)
    : undefined;
  return {
    name: path,
    dimension,
    count: provenance?.count,
    mean: mean.read().toFloat64(),
    covariance: covariance.read().toFloat64(),
    provenance,
  };
}

/**
 * Writes statistics as `mu` and `sigma` (float64, so that EDM's and pytorch-fid's scripts read
 * them) and `provenance`.
 *
 * @throws {FormatError} when the file cannot be written
 */
export async function writeReference(
  path: string,
  { dimension, mean, covariance }: Moments,
  provenance: Provenance,
): Promise<void> {
  const json = new TextEncoder().encode(JSON.stringify(provenance));
  await writeNpz(path, [
    ["mu", { type: "f64", shape: [dimension], data: mean }],
    ["sigma", { type: "f64", shape: [dimension, dimension], data: covariance }],
    ["provenance", { type: "u8", shape: [json.length], data: json }],
  ]);
}

/**
 * Checks that a reference was made by an extractor.
 *
 * @param force use it although it was made by another extractor
 * @returns warnings: what could not be checked or was forced
 * @throws {UsageError} when it was made by another extractor, or cannot have been made by this one
 */
export function checkReference(
  reference: Reference,
  extractor: Pick<FeatureExtractor, "id" | "hash" | "dimension">,
  { force = false }: { force?: boolean } = {},
): string[] {
  if (reference.dimension !== extractor.dimension) {
    throw new UsageError(
      `${reference.name} holds statistics of ${reference.dimension} features, but the extractor ` +
        `${extractor.id} has ${extractor.dimension}; use the extractor that made the reference.`,
    );
  }
  if (!reference.provenance) {
    return [
      `${reference.name} does not say which extractor made it; a distance is only meaningful ` +
      `if it was ${extractor.id}.`,
    ];
  }
  const { id, hash } = reference.provenance.extractor;
  if (hash === extractor.hash) return [];
  const found =
    `${reference.name} was made by the extractor ${id} (${hash.slice(0, 12)}), not by ` +
    `${extractor.id} (${extractor.hash.slice(0, 12)})`;
  if (force) return [`${found}; the comparison was forced.`];
  throw new UsageError(
    `${found}; use that extractor, make the reference again, or force the comparison.`,
  );
}

function parseProvenance(bytes: Uint8Array, path: string): Provenance {
  try {
    return provenanceSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw new FormatError(
      `The array provenance of ${path} is not what this program writes; make the reference again.`,
      { cause: error },
    );
  }
}
