/**
 * Files of reference statistics, those of other programs among them.
 *
 * | format           | file     | who                                             | content            |
 * | ---------------- | -------- | ----------------------------------------------- | ------------------ |
 * | `npz`            | `.npz`   | EDM, pytorch-fid, TTUR, clean-fid, MAR, JiT     | `mu`, `sigma`      |
 * | `adm`            | `.npz`   | guided-diffusion                                | and `mu_s`, `sigma_s`, `arr_0` |
 * | `meanflow`       | `.npz`   | MeanFlow, iMF                                   | `ref_mu`, `ref_sigma` |
 * | `stats`          | `.stats` | this program                                    | sums, for `imm eval merge` |
 *
 * None of the others says which network and which resizing made it; files written here do, in an
 * array `provenance` that holds JSON as bytes.
 *
 * @module
 */

import { FormatError, UsageError } from "../errors.ts";
import { writeFileAtomic } from "../format/atomic.ts";
import type { ArrayToWrite } from "../format/npy.ts";
import { NpzFile, writeNpz } from "../format/npz.ts";
import { openZip } from "../format/zip.ts";
import { ZipWriter } from "../format/zip_writer.ts";
import {
  parseProvenance,
  type PartialStatistics,
  type Provenance,
  type Reference,
  referenceOf,
} from "./references.ts";
import { FeatureStatistics, type Moments } from "./statistics.ts";

/** Names of mean and covariance, and who uses them. */
const NAMES = [
  ["mu", "sigma"], // EDM, pytorch-fid, TTUR, ADM
  ["ref_mu", "ref_sigma"], // MeanFlow
] as const;

/** What ADM calls the statistics of spatial features, of which sFID is computed. */
const SPATIAL = ["mu_s", "sigma_s"] as const;

/** Formats that can be written. */
export const REFERENCE_FORMATS = ["npz", "meanflow", "stats"] as const;

/** Name of a format. */
export type ReferenceFormat = typeof REFERENCE_FORMATS[number];

/**
 * The format that a path asks for.
 *
 * @throws {UsageError} when its extension is of none
 */
export function referenceFormat(path: string): ReferenceFormat {
  const extension = /\.[^./]+$/.exec(path.toLowerCase())?.[0];
  if (extension === ".npz") return "npz";
  if (extension === ".stats") return "stats";
  throw new UsageError(
    `${path}: expected a name that ends in .npz (mean and covariance) or .stats (sums that can be ` +
      `merged).`,
  );
}

/** Whether a file is one of statistics, told from its name and the names of its arrays. */
export async function holdsStatistics(path: string): Promise<boolean> {
  const lower = path.toLowerCase();
  if (lower.endsWith(".stats")) return true;
  if (!lower.endsWith(".npz")) return false;
  using file = await NpzFile.open(path);
  return NAMES.some(([mean]) => file.names.includes(mean));
}

/**
 * Reads a file of reference statistics.
 *
 * @throws {FormatError} when it holds none, or arrays of the wrong form
 */
export async function readReference(path: string): Promise<Reference> {
  if (path.toLowerCase().endsWith(".stats")) return referenceOf(await readPartial(path));
  return await readNpzReference(path);
}

async function readNpzReference(path: string): Promise<Reference> {
  using file = await NpzFile.open(path);
  const names = NAMES.find((pair) => pair.every((name) => file.names.includes(name)));
  if (!names) {
    throw new FormatError(
      `${path} holds no reference statistics: expected the arrays mu and sigma (or ref_mu and ` +
        `ref_sigma), found ${file.names.join(", ") || "none"}.`,
    );
  }
  const provenance = file.names.includes("provenance")
    ? parseProvenance((await file.array("provenance")).read().bytes, path)
    : undefined;
  const moments = await readMoments(file, names, path);
  const spatial = SPATIAL.every((name) => file.names.includes(name))
    ? await readMoments(file, SPATIAL, path)
    : null;
  return {
    name: path,
    ...moments,
    count: provenance?.count,
    provenance,
    ...(spatial ? { taps: { spatial } } : {}),
  };
}

async function readMoments(
  file: NpzFile,
  names: readonly [string, string],
  path: string,
): Promise<Moments> {
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
  return {
    dimension,
    mean: mean.read().toFloat64(),
    covariance: covariance.read().toFloat64(),
  };
}

/**
 * Writes statistics with their provenance, by default as float64 `mu` and `sigma`, which EDM's and
 * pytorch-fid's scripts read.
 *
 * @param format default: what the path asks for
 * @throws {FormatError} when the file cannot be written
 * @throws {UsageError} when sums are to be written that are not known
 */
export async function writeReference(
  path: string,
  reference: Omit<Reference, "name">,
  provenance: Provenance,
  format: ReferenceFormat = referenceFormat(path),
): Promise<void> {
  if (format === "stats") {
    const { sums } = reference;
    if (!sums) throw new UsageError(`${path}: the sums of these statistics are not known.`);
    return await writePartial(path, { name: path, ...sums, provenance });
  }
  const names = format === "meanflow" ? NAMES[1] : NAMES[0];
  const json = new TextEncoder().encode(JSON.stringify(provenance));
  const spatial = reference.taps?.spatial;
  await writeNpz(path, [
    ...momentArrays(names, reference),
    ...(spatial ? momentArrays(SPATIAL, spatial) : []),
    ["provenance", { type: "u8", shape: [json.length], data: json }],
  ]);
}

function momentArrays(
  names: readonly [string, string],
  { dimension, mean, covariance }: Moments,
): [string, ArrayToWrite][] {
  return [
    [names[0], { type: "f64", shape: [dimension], data: mean }],
    [names[1], { type: "f64", shape: [dimension, dimension], data: covariance }],
  ];
}

const PROVENANCE = "provenance.json";
const FEATURES = "features.safetensors";
const TAP = /^tap-([a-z0-9]+)\.safetensors$/;
/** Sums of 16,384 features, the most that there can be, and as many vectors. */
const MAX_SUMS = 2 ** 32;

/**
 * Writes sums: a zip archive of `features.safetensors` (see `FeatureStatistics.toBytes`), one such
 * file for each of the other vectors, and `provenance.json`.
 *
 * @throws {FormatError} when the file cannot be written
 */
export async function writePartial(path: string, partial: PartialStatistics): Promise<void> {
  const members: [string, Uint8Array][] = [
    [PROVENANCE, new TextEncoder().encode(JSON.stringify(partial.provenance))],
    [FEATURES, partial.statistics.toBytes()],
    ...Object.entries(partial.taps).map(([tap, sums]): [string, Uint8Array] => [
      `tap-${tap}.safetensors`,
      sums.toBytes(),
    ]),
  ];
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    for (const [name, bytes] of members) await zip.add(name, [bytes], { size: bytes.length });
    await zip.finish();
  });
}

/**
 * Reads what {@link writePartial} wrote.
 *
 * @throws {FormatError} when the file is damaged or something else
 */
export async function readPartial(path: string): Promise<PartialStatistics> {
  using archive = await openZip(path);
  for (const name of [PROVENANCE, FEATURES]) {
    if (!archive.members.has(name)) {
      throw new FormatError(
        `${path} holds no sums of features: it has no ${name}; expected a file that imm eval ` +
          `stats --out PART.stats wrote.`,
      );
    }
  }
  const provenance = parseProvenance(await archive.read(PROVENANCE, 2 ** 20), path);
  const read = async (member: string) =>
    FeatureStatistics.fromBytes(await archive.read(member, MAX_SUMS), `${path}:${member}`);
  const statistics = await read(FEATURES);
  if (statistics.count !== provenance.count) {
    throw new FormatError(
      `${path} is corrupt: it holds sums of ${statistics.count} images, but says that they are ` +
        `${provenance.count}.`,
    );
  }
  const taps: Record<string, FeatureStatistics> = {};
  for (const member of archive.members.keys()) {
    const tap = TAP.exec(member)?.[1];
    if (tap) taps[tap] = await read(member);
  }
  return { name: path, statistics, taps, provenance };
}
