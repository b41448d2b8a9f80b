/**
 * What a file or the folder of a training run holds, without reading the numbers.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { ImmError, UsageError } from "../base/errors.ts";
import { NUMERIC_SIZE, type NumericType } from "../formats/arrays/numeric.ts";
import { IMM_DEFAULTS, type ImmConfig } from "../imm/config.ts";
import type { OtherObjective } from "../objectives/registry.ts";
import type { NetworkConfig } from "../models/registry.ts";
import { parseModelMetadata, TRAINING_PREFIX } from "../models/model_file.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { findModelIn, type FoundModel } from "./convert.ts";
import { findForeign, openForeign } from "./foreign_file.ts";
import type { ForeignFile } from "./formats/format.ts";

/** One tensor of a file. */
export interface TensorDescription {
  /** As the file has it. */
  readonly name: string;
  /** Type of the elements. */
  readonly type: NumericType;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
}

/** What is known about a file. What does not apply or is not in the file is null. */
export interface FileDescription {
  /** The file itself, also where a folder was given. */
  readonly path: string;
  /** What it turned out to be. */
  readonly format: string;
  /** Length of the file. */
  readonly bytes: number;
  /** The model in it. */
  readonly model: {
    readonly network: NetworkConfig;
    readonly parameters: number;
    /** Settings of IMM; null where the file does not say how the network is to be called. */
    readonly imm: ImmConfig | null;
    /** Another objective that it was trained for; left out for IMM. */
    readonly objective?: OtherObjective;
    /** Names of the classes, class 0 first; null where the file has none. */
    readonly classNames: readonly string[] | null;
    /** Prefix of the weights that would be used, and of others in the file. */
    readonly weights: string;
    readonly otherWeights: readonly string[];
    readonly assumptions: readonly string[];
    readonly notes: Readonly<Record<string, string>>;
  } | null;
  /** Why no model was found. */
  readonly problem: string | null;
  /** Of a checkpoint: how far the training has come, and its configuration. */
  readonly training: { readonly progress: unknown; readonly config: unknown } | null;
  /** The newest line of the log, for the folder of a run. */
  readonly lastReport: Readonly<Record<string, unknown>> | null;
  /** Classes of objects that are not known here and were passed over. */
  readonly passedOver: readonly string[];
  /** All tensors, in the order of the file. */
  readonly tensors: readonly TensorDescription[];
}

/**
 * Describes a model file, a checkpoint, a foreign file, or the run in a folder.
 *
 * @throws {FormatError} when it cannot be read at all
 */
export async function describeFile(path: string): Promise<FileDescription> {
  const source = await findForeign(path);
  using file = await openForeign(source);
  const found = findSomeModel(file);
  return {
    path: source,
    format: file.format,
    bytes: file.bytes,
    ...found,
    training: trainingOf(file.metadata) ?? (source === path ? null : await configOfRun(path)),
    lastReport: source === path ? null : await lastReport(path),
    passedOver: file.unknown,
    tensors: [...file.tensors].map(([name, { type, shape }]) => ({ name, type, shape })),
  };
}

/** Bytes of all tensors. */
export function tensorBytes(tensors: readonly TensorDescription[]): number {
  return tensors.reduce((sum, { shape, type }) => sum + sizeOf(shape) * NUMERIC_SIZE[type], 0);
}

function findSomeModel(file: ForeignFile): Pick<FileDescription, "model" | "problem"> {
  try {
    return { model: summary(file, findModelIn(file, { guess: true }), true), problem: null };
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    if (!(error instanceof UsageError)) return { model: null, problem: error.message };
  }
  try {
    // The network shows in the tensors, even where nothing says how it was trained.
    const found = findModelIn(file, {
      settings: { network: {}, imm: IMM_DEFAULTS },
      guess: true,
    });
    return { model: summary(file, found, false), problem: null };
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    return { model: null, problem: error.message };
  }
}

function summary(
  file: ForeignFile,
  found: FoundModel,
  saysMethod: boolean,
): FileDescription["model"] {
  const isOurs = parseModelMetadata(file.name, file.metadata) !== null;
  return {
    network: found.network,
    parameters: found.parameterCount,
    imm: saysMethod ? found.imm ?? null : null,
    ...(saysMethod && found.objective ? { objective: found.objective } : {}),
    classNames: found.classNames ?? null,
    weights: found.prefix.replace(/\.$/, ""),
    otherWeights: found.others.map((prefix) => prefix.replace(/\.$/, "")),
    assumptions: found.assumptions,
    notes: isOurs
      ? Object.fromEntries(
        Object.entries(found.notes).filter(([key]) => !key.startsWith(TRAINING_PREFIX)),
      )
      : {},
  };
}

function trainingOf(metadata: Readonly<Record<string, string>>): FileDescription["training"] {
  const progress = metadata[`${TRAINING_PREFIX}progress`];
  if (progress === undefined) return null;
  return {
    progress: parsed(progress),
    config: parsed(metadata[`${TRAINING_PREFIX}config`] ?? "null"),
  };
}

async function configOfRun(folder: string): Promise<FileDescription["training"]> {
  const text = await Deno.readTextFile(join(folder, "config.json")).catch(() => null);
  return text === null ? null : { progress: null, config: parsed(text) };
}

async function lastReport(folder: string): Promise<FileDescription["lastReport"]> {
  const text = await Deno.readTextFile(join(folder, "stats.jsonl")).catch(() => "");
  const lines = text.split("\n").map(parsed).filter((line) => line !== null);
  return lines.at(-1) as FileDescription["lastReport"] ?? null;
}

/** JSON, or null where it is none: a description must not fail because of a half line. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
