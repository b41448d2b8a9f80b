/**
 * Models on disk: a safetensors file with the tensors of the official state dict, and in its
 * metadata what it takes to use them: the network's configuration and the method's.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { FormatError, ImmError } from "../base/errors.ts";
import {
  openSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from "../formats/safetensors/safetensors.ts";
import { unexpected } from "../formats/recognize/bytes.ts";
import { recognizeFile } from "../formats/recognize/file.ts";
import { recognizeFolder } from "../formats/recognize/folder.ts";
import { describeFileError } from "../formats/source.ts";
import {
  type ObjectiveSections,
  objectiveSections,
  parseObjective,
} from "../objectives/registry.ts";
import type { HostTensor, StateDict, StateTensor } from "../nn/parameters.ts";
import { type NetworkConfig, parseNetworkConfig } from "./registry.ts";

/** Name of the model file in the folder of a training run. */
const RUN_MODEL = "model.safetensors";

/** Value of the metadata key `format`. */
const FORMAT = "imm";

/** What a model file says about its tensors; what it was trained for is how it must be sampled. */
export interface ModelDescription extends ObjectiveSections {
  /** How to build the network. */
  readonly network: NetworkConfig;
  /** Names of the classes, class 0 first, where the data set had some: as many as `labelDim`. */
  readonly classNames?: readonly string[];
  /** Anything else that is worth keeping. */
  readonly notes: Readonly<Record<string, string>>;
}

/** A model in memory. */
export interface Model extends ModelDescription {
  /** Everything by official name, in official order. */
  readonly weights: StateDict;
}

/** Metadata of a model file. */
export function describeModel(
  { network, imm, objective, classNames, notes }: ModelDescription,
): Record<string, string> {
  return {
    ...notes,
    format: FORMAT,
    network: JSON.stringify(network),
    ...(imm ? { imm: JSON.stringify(imm) } : { objective: JSON.stringify(objective) }),
    ...(classNames ? { classNames: JSON.stringify(classNames) } : {}),
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
    const kind = await recognizeFolder(path);
    throw new FormatError(
      kind !== null
        ? `${path} is ${kind}.`
        : `${path} has no ${RUN_MODEL}; expected a model file or the folder of a training run that ` +
          `has written a checkpoint.`,
    );
  }
  return file;
}

/** An open model file: everything is known, and the weights are read one by one. */
export interface ModelFile extends ModelDescription, Disposable {
  /** As of a model in memory. */
  readonly weights: ReadonlyMap<string, StateTensor>;
  /** Closes the file; weights can no longer be read. */
  close(): void;
}

/**
 * Opens a model file, or a training run's checkpoint, of which a model is a part.
 *
 * @throws {FormatError} when the file is not a model of this program
 */
export async function openModel(path: string): Promise<ModelFile> {
  const known = await recognizeFile(path);
  if (known === null || !/safetensors/.test(known.what)) {
    const foreign = known !== null && /PyTorch|numpy/.test(known.what);
    throw new FormatError(
      unexpected(
        path,
        known ?? { what: "no model of this program", advice: "" },
        foreign
          ? `bring it here with "imm convert ${path} --out model.safetensors"`
          : "expected a file written by imm train or imm convert",
      ),
    );
  }
  const file = await openSafetensors(path);
  try {
    const description = parseModelMetadata(path, file.metadata);
    if (description === null) {
      throw new FormatError(
        `${path} is a file of safetensors without the description of a model of this program; ` +
          `bring it here with "imm convert ${path} --out model.safetensors".`,
      );
    }
    const weights = new Map<string, StateTensor>();
    for (const [name, { shape }] of file.entries) {
      if (name.startsWith(TRAINING_PREFIX)) continue;
      weights.set(name, { shape, data: async () => (await file.read(name)).toFloat32() });
    }
    const close = () => file.close();
    return { ...description, weights, close, [Symbol.dispose]: close };
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Reads a model into memory; see {@link openModel}.
 *
 * @throws {FormatError} when the file is not a model of this program
 */
export async function loadModel(path: string): Promise<Model> {
  using file = await openModel(path);
  const weights: StateDict = new Map();
  for (const [name, { shape, data }] of file.weights) {
    weights.set(name, { shape, data: typeof data === "function" ? await data() : data });
  }
  const { close: _close, [Symbol.dispose]: _dispose, ...description } = file;
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
  const { format, network, imm, objective, classNames, ...notes } = metadata;
  if (format !== FORMAT || !network || !(imm || objective)) return null;
  const description = parseDescription(path, network, { imm, objective });
  if (classNames === undefined) return { ...description, notes };
  const names = parseClassNames(path, classNames, description.network.labelDim);
  return { ...description, classNames: names, notes };
}

/** The names of `count` classes, as {@link describeModel} writes them. */
function parseClassNames(path: string, text: string, count: number): readonly string[] {
  const names = parsedJson(text);
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
    throw new FormatError(
      `${path}: the description of the model is wrong: expected a list of texts in classNames`,
    );
  }
  if (names.length !== count) {
    throw new FormatError(
      `${path}: the description of the model is wrong: the network has ${count} classes, but ` +
        `classNames is a list of ${names.length}`,
    );
  }
  return names;
}

/** The value of a JSON text; undefined where it is none. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseDescription(
  path: string,
  network: string,
  { imm, objective }: { readonly imm?: string; readonly objective?: string },
): Pick<ModelDescription, "network"> & ObjectiveSections {
  try {
    return {
      network: parseNetworkConfig(JSON.parse(network)),
      ...objectiveSections(parseObjective({
        ...(imm ? { imm: JSON.parse(imm) } : {}),
        ...(objective ? { objective: JSON.parse(objective) } : {}),
      })),
    };
  } catch (error) {
    if (!(error instanceof ImmError) && !(error instanceof SyntaxError)) throw error;
    throw new FormatError(`${path}: the description of the model is wrong: ${error.message}`);
  }
}
