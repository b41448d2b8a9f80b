/**
 * Models on disk: a safetensors file with the tensors of the official state dict, and in its
 * metadata what it takes to use them: the network's configuration and the method's.
 *
 * @module
 */

import { join } from "jsr:@std/path@^1";
import { FormatError, ImmError } from "../errors.ts";
import { openSafetensors, type TensorToWrite, writeSafetensors } from "../format/safetensors.ts";
import { describeFileError } from "../format/source.ts";
import { type ImmConfig, immConfig } from "../imm/config.ts";
import type { HostTensor, StateDict } from "../nn/parameters.ts";
import { type NetworkConfig, parseNetworkConfig } from "./config.ts";

/** Name of the model file in the folder of a training run. */
const RUN_MODEL = "model.safetensors";

/** Value of the metadata key `format`. */
const FORMAT = "imm";

/** What a model file says about its tensors. */
export interface ModelDescription {
  /** How to build the network. */
  readonly network: NetworkConfig;
  /** How it was trained, which is how it must be sampled. */
  readonly imm: ImmConfig;
  /** Names of the classes' data set or anything else that is worth keeping. */
  readonly notes: Readonly<Record<string, string>>;
}

/** A model in memory. */
export interface Model extends ModelDescription {
  /** Everything by official name, in official order. */
  readonly weights: StateDict;
}

/** Metadata of a model file. */
export function describeModel({ network, imm, notes }: ModelDescription): Record<string, string> {
  return {
    ...notes,
    format: FORMAT,
    network: JSON.stringify(network),
    imm: JSON.stringify(imm),
  };
}

/** Tensors of a state dict as a file stores them, their names behind a prefix. */
export function storedTensors(
  weights: ReadonlyMap<string, HostTensor>,
  prefix = "",
): Map<string, TensorToWrite> {
  return new Map(
    [...weights].map(([name, { shape, data }]) => [
      prefix + name,
      { dtype: "F32", shape, data },
    ]),
  );
}

/** Writes a model, atomically. */
export async function saveModel(path: string, model: Model): Promise<void> {
  await writeSafetensors(path, storedTensors(model.weights), describeModel(model));
}

/**
 * The model file that `path` means: the file itself, or that of the training run in a folder.
 *
 * @throws {FormatError} when there is none
 */
export async function findModel(path: string): Promise<string> {
  const isFolder = async (path: string) => (await Deno.stat(path)).isDirectory;
  try {
    if (!await isFolder(path)) return path;
  } catch (error) {
    throw describeFileError(error, path);
  }
  const file = join(path, RUN_MODEL);
  if (await isFolder(file).catch(() => true)) {
    throw new FormatError(
      `${path} has no ${RUN_MODEL}; expected a model file or the folder of a training run that ` +
        `has written a checkpoint.`,
    );
  }
  return file;
}

/**
 * Reads a model from a model file or from a training run's checkpoint, of which it is a part.
 *
 * @throws {FormatError} when the file is not a model of this program
 */
export async function loadModel(path: string): Promise<Model> {
  using file = await openSafetensors(path);
  const description = parseModelMetadata(path, file.metadata);
  if (description === null) {
    throw new FormatError(
      `${path} has no description of a model; expected a file written by imm train or imm convert`,
    );
  }
  const weights: StateDict = new Map();
  for (const [name, { shape }] of file.entries) {
    if (name.startsWith(TRAINING_PREFIX)) continue;
    weights.set(name, { shape, data: (await file.read(name)).toFloat32() });
  }
  return { ...description, weights };
}

/** Tensors of a checkpoint that only a resumed run needs have names that begin with this. */
export const TRAINING_PREFIX = "training.";

/**
 * What the metadata of a safetensors file say, or null when they are not of this program.
 *
 * @throws {FormatError} when they are damaged
 */
export function parseModelMetadata(
  path: string,
  metadata: Readonly<Record<string, string>>,
): ModelDescription | null {
  const { format, network, imm, ...notes } = metadata;
  if (format !== FORMAT || !network || !imm) return null;
  return { ...parseDescription(path, network, imm), notes };
}

function parseDescription(
  path: string,
  network: string,
  imm: string,
): Pick<ModelDescription, "network" | "imm"> {
  try {
    return {
      network: parseNetworkConfig(JSON.parse(network)),
      imm: immConfig(JSON.parse(imm)),
    };
  } catch (error) {
    if (!(error instanceof ImmError) && !(error instanceof SyntaxError)) throw error;
    throw new FormatError(`${path}: the description of the model is wrong: ${error.message}`);
  }
}
