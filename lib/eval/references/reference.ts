/**
 * Statistics of a set of images: what a Fréchet distance is measured between.
 *
 * A distance is only meaningful between statistics of the same network and the same resizing, so
 * files written here say what made them; reference_files.ts knows the formats.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import type { Shard } from "../../base/shard.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import type { Same } from "../../base/schema.ts";
import type { FeatureExtractor } from "../extractors/extractor.ts";
import type { InferredPipeline } from "./foreign_origin.ts";
import { type Features, FeatureStatistics, type Moments } from "../statistics/statistics.ts";

/** What reference statistics were computed of. */
export interface Provenance {
  /** Version of this record. */
  readonly version: 1;
  /** Name and SHA-256 of the extractor, and what else it tells of itself. */
  readonly extractor: {
    readonly id: string;
    readonly hash: string;
    readonly details?: Readonly<Record<string, string | number>>;
  };
  /** Number of images. */
  readonly count: number;
  /** What the set of images was called: usually its path. */
  readonly images: string;
  /** Hash of the images (`Dataset.contentHash`), or of the model that made them. */
  readonly sha256?: string;
  /** Images that were left out because they cannot be read. */
  readonly skipped?: number;
  /** For statistics of a part. */
  readonly shard?: Shard;
}

/** A provenance as results print it, in which a set of images has a `name`, as everywhere. */
export function namedProvenance(
  { images: name, ...rest }: Provenance,
): Omit<Provenance, "images"> & { readonly name: string } {
  return { name, ...rest };
}

const provenanceSchema = z.object({
  version: z.literal(1),
  extractor: z.object({
    id: z.string(),
    hash: z.string(),
    details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  }),
  count: z.int().positive(),
  images: z.string(),
  sha256: z.string().optional(),
  skipped: z.int().positive().optional(),
  shard: z.object({ index: z.int().positive(), of: z.int().positive() }).optional(),
});

true satisfies Same<z.output<typeof provenanceSchema>, Provenance>;

/** Statistics of a set of real images. */
export interface Reference extends Moments {
  /** What reports call it. */
  readonly name: string;
  /** Undefined for files of other programs. */
  readonly provenance?: Provenance;
  /** How such a program prepared the images, where something tells it (foreign_origin.ts). */
  readonly inferred?: InferredPipeline;
  /** All vectors, for files that hold these. */
  readonly features?: Features;
  /** Statistics of other vectors of the same images, by name: `spatial` for sFID. */
  readonly layers?: Readonly<Record<string, Moments>>;
  /** The sums behind mean and covariance: exact also for fewer images than features. */
  readonly sums?: Sums;
}

/** Sums of the vectors of a set of images. */
export interface Sums {
  /** Of the features. */
  readonly statistics: FeatureStatistics;
  /** Of other vectors, by name. */
  readonly layers: Readonly<Record<string, FeatureStatistics>>;
}

/** Sums of a part of a set of images, as shards write them. */
export interface PartialStatistics extends Sums {
  /** What messages call it. */
  readonly name: string;
  /** Of what. */
  readonly provenance: Provenance;
}

/** Statistics that were computed here, so that it is known of what. */
export type MadeReference = Reference & { readonly provenance: Provenance; readonly sums: Sums };

/** Sums as a reference. */
export function referenceOf(partial: PartialStatistics): MadeReference {
  const { name, statistics, layers, provenance } = partial;
  return {
    ...statistics.moments(),
    name,
    sums: { statistics, layers },
    layers: Object.fromEntries(
      Object.entries(layers).map(([layer, sums]) => [layer, sums.moments()]),
    ),
    provenance,
  };
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
  extractor: Pick<FeatureExtractor, "id" | "hash" | "dimension" | "details">,
  { force = false }: { force?: boolean } = {},
): string[] {
  if (reference.dimension !== extractor.dimension) {
    throw new UsageError(
      `${reference.name} holds statistics of ${reference.dimension} features, but the extractor ` +
        `${extractor.id} has ${extractor.dimension}; use the extractor that made the reference.`,
    );
  }
  if (!reference.provenance) return foreignWarnings(reference, extractor, force);
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

/** What must be said about statistics of another program. */
function foreignWarnings(
  { name, inferred }: Reference,
  { id, details }: Pick<FeatureExtractor, "id" | "details">,
  force: boolean,
): string[] {
  const pipeline = details?.pipeline;
  if (!inferred || pipeline === undefined) {
    return [
      `${name} does not say which extractor made it; a distance is only meaningful if it was ${id}.`,
    ];
  }
  const found =
    `${name} does not say how its images were prepared; it is ${inferred.why}, so the ` +
    `pipeline is taken to be ${inferred.pipeline}`;
  if (pipeline === inferred.pipeline) return [`${found}.`];
  if (force) return [`${found}; the comparison with ${pipeline} was forced.`];
  throw new UsageError(
    `${found}, not ${pipeline}; use --pipeline ${inferred.pipeline}, or force the comparison if it is ` +
      `something else.`,
  );
}

/**
 * The statistics of all parts together, with the same bits whatever the order of the parts: they
 * are added in the order of their numbers. The sums are those of the whole set up to rounding.
 *
 * @param force accept parts of different sets, and sets that lack a part
 * @throws {UsageError} when they are of different extractors, the same part comes twice, or parts
 * are missing
 */
export function mergePartials(
  parts: readonly PartialStatistics[],
  name: string,
  { force = false }: { force?: boolean } = {},
): PartialStatistics {
  if (parts.length === 0) throw new UsageError("Expected statistics to merge, found none.");
  const ordered = [...parts].sort((a, b) => compareParts(a, b));
  const [head] = ordered;
  for (const part of ordered) {
    const [a, b] = [head.provenance.extractor, part.provenance.extractor];
    if (a.hash !== b.hash) {
      throw new UsageError(
        `${head.name} was made by the extractor ${a.id} (${a.hash.slice(0, 12)}), but ` +
          `${part.name} by ${b.id} (${
            b.hash.slice(0, 12)
          }); only statistics of one extractor can ` +
          `be merged.`,
      );
    }
  }
  if (!force) checkComplete(ordered);
  const statistics = new FeatureStatistics(head.statistics.dimension);
  for (const part of ordered) statistics.merge(part.statistics);
  const layerNames = Object.keys(head.layers).filter((layer) =>
    ordered.every(({ layers }) => layers[layer])
  );
  const layers = Object.fromEntries(layerNames.map((layer) => {
    const sums = new FeatureStatistics(head.layers[layer].dimension);
    for (const part of ordered) sums.merge(part.layers[layer]);
    return [layer, sums];
  }));
  const names = [...new Set(ordered.map(({ provenance }) => provenance.images))];
  const hashes = [...new Set(ordered.map(({ provenance }) => provenance.sha256))];
  const skipped = ordered.reduce((sum, { provenance }) => sum + (provenance.skipped ?? 0), 0);
  const { version, extractor } = head.provenance;
  return {
    name,
    statistics,
    layers,
    provenance: {
      version,
      extractor,
      count: statistics.count,
      images: names.join(", "),
      ...(hashes.length === 1 && hashes[0] !== undefined ? { sha256: hashes[0] } : {}),
      ...(skipped > 0 ? { skipped } : {}),
    },
  };
}

/** By the number of the part; parts without a number by their name and content. */
function compareParts(a: PartialStatistics, b: PartialStatistics): number {
  const key = ({ provenance, statistics }: PartialStatistics) => {
    const { images, shard, count } = provenance;
    const sum = statistics.mean().reduce((sum, value) => sum + value, 0);
    return [shard?.index ?? 0, images, count, sum] as const;
  };
  const [ka, kb] = [key(a), key(b)];
  const at = ka.findIndex((value, i) => value !== kb[i]);
  return at < 0 ? 0 : ka[at] < kb[at] ? -1 : 1;
}

/** Parts may come from machines that call the set by different paths, so names are not compared. */
function checkComplete(parts: readonly PartialStatistics[]): void {
  const found = parts.filter(({ provenance }) => provenance.shard);
  if (found.length === 0) return;
  const shardOf = ({ provenance }: PartialStatistics) => provenance.shard!;
  const { of } = shardOf(found[0]);
  const odd = found.find((part) => shardOf(part).of !== of);
  if (odd) {
    throw new UsageError(
      `${found[0].name} is one of ${of} parts, but ${odd.name} one of ${shardOf(odd).of}; merge ` +
        `parts of one division.`,
    );
  }
  const indices = found.map((part) => shardOf(part).index);
  const twice = found.find((_, i) => indices.indexOf(indices[i]) !== i);
  if (twice) {
    throw new UsageError(
      `${twice.name} is part ${shardOf(twice).index} of ${of}, which is there twice; give each ` +
        `part once.`,
    );
  }
  const missing = Array.from({ length: of }, (_, i) => i + 1).filter((i) => !indices.includes(i));
  if (missing.length > 0) {
    throw new UsageError(
      `Of ${of} parts ${missing.length === 1 ? "part" : "parts"} ${missing.join(", ")} ` +
        `${missing.length === 1 ? "is" : "are"} missing; make what is missing, or force the merge.`,
    );
  }
}

/**
 * Reads the record that files of this program carry.
 *
 * @throws {FormatError} when it is something else
 */
export function parseProvenance(bytes: Uint8Array, path: string): Provenance {
  try {
    return provenanceSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw new FormatError(
      `The array provenance of ${path} is not what this program writes; make the reference again.`,
      { cause: error },
    );
  }
}

/** Whether one side of a comparison is statistics, not images. */
export function isReference(side: object | null | undefined): side is Reference {
  return !!side && "covariance" in side;
}
