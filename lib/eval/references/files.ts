/**
 * Files of reference statistics, those of other programs among them.
 *
 * | format           | file     | who                                             | content            |
 * | ---------------- | -------- | ----------------------------------------------- | ------------------ |
 * | `npz`            | `.npz`   | EDM, pytorch-fid, TTUR, clean-fid, MAR, JiT     | `mu`, `sigma`      |
 * | `adm`            | `.npz`   | guided-diffusion                                | and `mu_s`, `sigma_s`, `arr_0` |
 * | `meanflow`       | `.npz`   | MeanFlow, iMF                                   | `ref_mu`, `ref_sigma` |
 * | `edm2`           | `.pkl`   | EDM2                                            | a dictionary of sets: `fid`, `fd_dinov2` |
 * | `torch-fidelity` | `.pt`    | the cache of torch-fidelity                     | `mu`, `sigma`      |
 * |                  | `.pt`    | the same                                        | a tensor of features |
 * |                  | `.npz`   | clean-fid, for KID                              | `feats`, features  |
 * | `stats`          | `.stats` | this program                                    | sums, for `imm eval merge` |
 *
 * None of the others says which network and which resizing made it; files written here do: npz files
 * in an array `provenance` that holds JSON as bytes, pickles in a text `provenance`. A set of a file
 * of EDM2 is chosen with `img512.pkl#fd_dinov2`; the first that there is counts otherwise.
 *
 * @module
 */

import { FormatError, UsageError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../formats/atomic.ts";
import type { ArrayToWrite } from "../../formats/arrays/npy.ts";
import { NpzFile, writeNpz } from "../../formats/arrays/npz.ts";
import { toFloat64 } from "../../formats/arrays/numeric.ts";
import { PickleArray } from "../../formats/torch/pickle_globals.ts";
import { writePickle } from "../../formats/torch/pickle_writer.ts";
import { weightsHint } from "../../formats/recognize/bytes.ts";
import { openTorchFile } from "../../formats/torch/file.ts";
import { TorchTensor } from "../../formats/torch/tensor.ts";
import { openZip } from "../../formats/archive/zip.ts";
import { ZipWriter } from "../../formats/archive/zip_writer.ts";
import { checkMoments } from "../statistics/check_moments.ts";
import { type ForeignFile, inferPipeline } from "./foreign_origin.ts";
import {
  parseProvenance,
  type PartialStatistics,
  type Provenance,
  type Reference,
  referenceOf,
} from "./reference.ts";
import { FeatureStatistics, type Moments } from "../statistics/statistics.ts";

/** Names of mean and covariance, and who uses them. */
const NAMES = [
  ["mu", "sigma"], // EDM, pytorch-fid, TTUR, ADM
  ["ref_mu", "ref_sigma"], // MeanFlow
] as const;

/** What ADM calls the statistics of spatial features, of which sFID is computed. */
const SPATIAL = ["mu_s", "sigma_s"] as const;

/** Formats that can be written. */
export const REFERENCE_FORMATS = ["npz", "meanflow", "edm2", "torch-fidelity", "stats"] as const;

/** Name of a format. */
export type ReferenceFormat = typeof REFERENCE_FORMATS[number];

/**
 * The format that a path asks for.
 *
 * @throws {UsageError} when its extension is of none
 */
export function referenceFormat(path: string): ReferenceFormat {
  const extension = /\.[^./]+$/.exec(path.toLowerCase())?.[0] ?? "";
  const format = EXTENSIONS[extension];
  if (format) return format;
  throw new UsageError(
    `${path}: expected a name that ends in .npz (mean and covariance), .stats (sums that can be ` +
      `merged), .pkl (as of EDM2) or .pt (as of torch-fidelity).`,
  );
}

const EXTENSIONS: Readonly<Record<string, ReferenceFormat>> = {
  ".npz": "npz",
  ".stats": "stats",
  ".pkl": "edm2",
  ".pt": "torch-fidelity",
};

/** Formats by the endings that they are written under. */
const ENDINGS: Readonly<Record<ReferenceFormat, string>> = {
  "npz": ".npz",
  "meanflow": ".npz",
  "stats": ".stats",
  "edm2": ".pkl",
  "torch-fidelity": ".pt",
};

/**
 * The format to write a file in: the one that was asked for, or what the path says. Files are read by
 * their endings, so the two must agree.
 *
 * @throws {UsageError} when they do not, or the path says nothing
 */
export function checkedFormat(path: string, asked?: ReferenceFormat): ReferenceFormat {
  if (asked === undefined) return referenceFormat(path);
  if (path.toLowerCase().endsWith(ENDINGS[asked])) return asked;
  throw new UsageError(
    `${path}: statistics in the format ${asked} are written to files that end in ` +
      `${ENDINGS[asked]}; give such a name, or another --format.`,
  );
}

/** `.pkl` or `.pt`, and the name of a set behind it. */
const PICKLE = /^(.*\.(?:pkl|pt))(?:#([^#/]*))?$/i;

/** Whether a file is one of statistics, told from its name and the names of its arrays. */
export async function holdsStatistics(path: string): Promise<boolean> {
  const lower = path.toLowerCase();
  if (lower.endsWith(".stats") || PICKLE.test(lower)) return true;
  if (!lower.endsWith(".npz")) return false;
  using file = await NpzFile.open(path);
  return NAMES.some(([mean]) => file.names.includes(mean)) || file.names.includes(FEATS);
}

/** What clean-fid calls features. */
const FEATS = "feats";

/**
 * Reads a file of reference statistics.
 *
 * @throws {FormatError} when it holds none, arrays of the wrong form, or numbers that no set of
 * images has (see check_moments.ts)
 */
export async function readReference(path: string): Promise<Reference> {
  if (path.toLowerCase().endsWith(".stats")) {
    const reference = referenceOf(await readPartial(path));
    const all = [["features", reference] as const, ...Object.entries(reference.layers ?? {})];
    for (const [of, moments] of all) {
      const names = { mean: `the mean of ${of}`, covariance: `the covariance of ${of}` };
      checkMoments(moments, path, names);
    }
    return reference;
  }
  if (PICKLE.test(path)) return await readPickledReference(path);
  return await readNpzReference(path);
}

async function readNpzReference(path: string): Promise<Reference> {
  using file = await NpzFile.open(path);
  if (file.names.includes(FEATS)) {
    const array = await file.array(FEATS);
    const { shape, type } = array;
    const isFloat = type === "f32" || type === "f64";
    return featureReference(path, {
      shape,
      type,
      data: isFloat ? array.read().toFloat64() : new Float64Array(0),
      container: "npz",
      names: file.names,
      isCompressed: file.isCompressed(FEATS),
    });
  }
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
  const inferred = provenance ? null : inferPipeline({
    path,
    container: "npz",
    names: file.names,
    dimension: moments.dimension,
    type: (await file.array(names[0])).type,
    isCompressed: file.isCompressed(names[0]),
  });
  return {
    name: path,
    ...moments,
    count: provenance?.count,
    provenance,
    ...(inferred ? { inferred } : {}),
    ...(spatial ? { layers: { spatial } } : {}),
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
  const moments = {
    dimension,
    mean: mean.read().toFloat64(),
    covariance: covariance.read().toFloat64(),
  };
  checkMoments(moments, path, { mean: names[0], covariance: names[1] });
  return moments;
}

/**
 * Writes statistics with their provenance, by default as float64 `mu` and `sigma`, which EDM's and
 * pytorch-fid's scripts read.
 *
 * @param format default: what the path asks for; must agree with its ending
 * @throws {FormatError} when the file cannot be written
 * @throws {UsageError} when sums are to be written that are not known
 */
export async function writeReference(
  path: string,
  reference: Omit<Reference, "name">,
  provenance: Provenance,
  format?: ReferenceFormat,
): Promise<void> {
  format = checkedFormat(path, format);
  if (format === "stats") {
    const { sums } = reference;
    if (!sums) throw new UsageError(`${path}: the sums of these statistics are not known.`);
    return await writePartial(path, { name: path, ...sums, provenance });
  }
  if (format === "edm2" || format === "torch-fidelity") {
    return await writePickledReference(path, reference, provenance, format);
  }
  const names = format === "meanflow" ? NAMES[1] : NAMES[0];
  const json = new TextEncoder().encode(JSON.stringify(provenance));
  const spatial = reference.layers?.spatial;
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

/** Features of a file that holds those of each image. */
function featureReference(
  path: string,
  { shape, data, ...file }: Omit<ForeignFile, "path" | "dimension"> & {
    readonly shape: readonly number[];
    readonly data: Float64Array;
  },
): Reference {
  const [rows, dimension] = shape;
  const isFloat = file.type === "f32" || file.type === "f64";
  if (!isFloat || shape.length !== 2 || rows < 2 || dimension < 1) {
    throw new FormatError(
      `${path} holds features of ${file.type} [${
        shape.join(", ")
      }]; expected floats [n, d] of two ` +
        `images at least.`,
    );
  }
  const features = { rows, dimension, data: Float32Array.from(data) };
  const statistics = new FeatureStatistics(dimension);
  try {
    statistics.add(features.data);
  } catch (error) {
    throw new FormatError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  const inferred = inferPipeline({ path, dimension, ...file });
  return {
    ...statistics.moments(),
    name: path,
    features,
    sums: { statistics, layers: {} },
    ...(inferred ? { inferred } : {}),
  };
}

/** Sets of a file of EDM2 in the order in which they are looked for. */
const SETS = ["fid", "fd_dinov2"];

async function readPickledReference(spec: string): Promise<Reference> {
  const [, path, set] = PICKLE.exec(spec)!;
  using file = await openTorchFile(path);
  const found = `found ${describeValue(file.value)}`;
  const { value } = file;
  if (value instanceof TorchTensor || value instanceof PickleArray) {
    const { shape } = value;
    const type = value.type ?? "objects";
    const isFloat = type === "f32" || type === "f64";
    const data = isFloat ? toFloat64(await value.read(), type) : new Float64Array(0);
    return featureReference(spec, { shape, type, data, container: "torch", names: [] });
  }
  if (!(value instanceof Map)) {
    throw new FormatError(
      `${path} holds no reference statistics: expected a dictionary, ${found}.`,
    );
  }
  const whole = value as ReadonlyMap<unknown, unknown>;
  const isSet = (value: unknown): value is Map<unknown, unknown> =>
    value instanceof Map && value.has("mu") && value.has("sigma");
  const name = set ?? SETS.find((name) => isSet(whole.get(name))) ??
    [...whole.keys()].find((key) => isSet(whole.get(key)));
  const chosen = set === undefined && isSet(whole) ? whole : whole.get(name);
  if (!isSet(chosen)) {
    throw new FormatError(
      `${path} holds no reference statistics${
        set === undefined ? "" : ` named ${set}`
      }: expected ` +
        `mu and sigma, or sets with them such as fid, ${found}.${weightsHint(whole.keys())}`,
    );
  }
  const [mean, covariance] = await Promise.all(
    ["mu", "sigma"].map((name) => numbersOf(chosen.get(name), `${path}: ${name}`)),
  );
  const dimension = mean.shape[0];
  if (mean.shape.length !== 1 || `${covariance.shape}` !== `${[dimension, dimension]}`) {
    throw new FormatError(
      `${path} has mu of shape [${mean.shape.join(", ")}] and sigma of shape ` +
        `[${covariance.shape.join(", ")}]; expected [d] and [d, d].`,
    );
  }
  checkMoments({ dimension, mean: mean.data, covariance: covariance.data }, spec);
  const json = whole.get("provenance");
  const provenance = typeof json === "string"
    ? parseProvenance(new TextEncoder().encode(json), path)
    : undefined;
  const count = whole.get("num_images");
  const isOther = name === "fd_dinov2" || (set !== undefined && set !== "fid");
  const inferred = provenance || (chosen !== whole && isOther) ? null : inferPipeline({
    path: spec,
    container: file.format === "pickle" ? "pickle" : "torch",
    names: [...chosen.keys()].map(String),
    dimension,
    type: mean.type,
  });
  return {
    name: spec,
    ...(inferred ? { inferred } : {}),
    dimension,
    count: provenance?.count ?? (typeof count === "number" && count > 0 ? count : undefined),
    mean: mean.data,
    covariance: covariance.data,
    provenance,
  };
}

/** An array of numpy or a tensor of PyTorch as float64. */
async function numbersOf(
  value: unknown,
  name: string,
): Promise<{ type: string; shape: readonly number[]; data: Float64Array }> {
  const isArray = value instanceof PickleArray || value instanceof TorchTensor;
  if (!isArray || (value.type !== "f64" && value.type !== "f32")) {
    throw new FormatError(
      `${name} is ${describeValue(value)}; expected an array or tensor of floats.`,
    );
  }
  const { type, shape } = value;
  return { type, shape, data: toFloat64(await value.read(), type) };
}

function describeValue(value: unknown): string {
  if (value instanceof Map) {
    const keys = [...value.keys()].slice(0, 10).map(String);
    return `a dictionary with ${keys.join(", ") || "nothing"}`;
  }
  if (value instanceof PickleArray || value instanceof TorchTensor) return `of ${value.type}`;
  return value === null ? "None" : `a ${typeof value}`;
}

async function writePickledReference(
  path: string,
  { dimension, mean, covariance }: Moments,
  provenance: Provenance,
  format: "edm2" | "torch-fidelity",
): Promise<void> {
  // torch-fidelity compares means of float32 features, which NumPy gives as float32, and asserts it.
  const mu = format === "torch-fidelity" ? Float32Array.from(mean) : mean;
  const moments = {
    mu: { shape: [dimension], data: mu },
    sigma: { shape: [dimension, dimension], data: covariance },
  };
  const json = JSON.stringify(provenance);
  if (format === "edm2") {
    const set = provenance.extractor.id.includes("dinov2") ? "fd_dinov2" : "fid";
    const value = { num_images: provenance.count, [set]: moments, provenance: json };
    await writeFileAtomic(path, async (write) => {
      for (const piece of writePickle(value)) await write(piece);
    });
    return;
  }
  // torch.save: an archive with a pickle, and a version.
  const pickle = writePickle({ ...moments, provenance: json });
  const size = pickle.reduce((sum, piece) => sum + piece.length, 0);
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    await zip.add("archive/data.pkl", pickle, { size });
    await zip.add("archive/byteorder", [new TextEncoder().encode("little")], { size: 6 });
    await zip.add("archive/version", [new TextEncoder().encode("3\n")], { size: 2 });
    await zip.finish();
  });
}

const PROVENANCE = "provenance.json";
const FEATURES = "features.safetensors";
const LAYER_FILE = /^tap-([a-z0-9]+)\.safetensors$/;
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
    ...Object.entries(partial.layers).map(([layer, sums]): [string, Uint8Array] => [
      `tap-${layer}.safetensors`,
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
  const layers: Record<string, FeatureStatistics> = {};
  for (const member of archive.members.keys()) {
    const layer = LAYER_FILE.exec(member)?.[1];
    if (layer) layers[layer] = await read(member);
  }
  return { name: path, statistics, layers, provenance };
}
