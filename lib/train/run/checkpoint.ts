/**
 * Checkpoints of a training run. One safetensors file holds the averaged weights under their
 * official names, so that it is also a model file (lib/models/model_file.ts), and under
 * `training.PART.NAME` what only a resumed run needs.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError, ImmError } from "../../base/errors.ts";
import { openSafetensors, writeSafetensors } from "../../formats/safetensors/safetensors.ts";
import {
  describeModel,
  parseModelMetadata,
  storedTensors,
  TRAINING_PREFIX,
} from "../../models/model_file.ts";
import type { StateDict } from "../../nn/parameters.ts";
import { sectionsOf } from "../../objectives/registry.ts";
import { parseTrainConfig, type TrainConfig } from "../config/config.ts";
import { type Beginning, parseBeginning } from "./history.ts";
import type { LearnerState, StatePart } from "../step/learner.ts";
import { TIME_BINS } from "../step/programs.ts";

/** Parts that are stored besides the average. */
const PARTS = ["parameters", "m", "v"] as const satisfies readonly StatePart[];

/** Names of tensors of the other averages. */
const AVERAGE = /^training\.average(\d{1,3})\.(.*)$/;

const progressSchema = z.strictObject({
  images: z.int().min(0),
  step: z.int().min(0),
  /** Of the steps since the last line of the log, so that a resumed log continues exactly. */
  sums: z.strictObject({
    loss: z.number(),
    gradientNorm: z.number(),
    lossBins: z.array(z.number()).length(TIME_BINS).readonly().optional(),
    skipped: z.int().min(0).optional(),
  }),
  /** Of runs in float16. */
  scaling: z.strictObject({
    scale: z.number().min(0),
    goodSteps: z.int().min(0),
    skipped: z.int().min(0),
  }).readonly().optional(),
  /** Groups whose losses the bins are sums of. */
  binCounts: z.array(z.int().min(0)).length(TIME_BINS).optional(),
  /** Images when the sums were last reset. */
  sumsSince: z.int().min(0),
  /** Seconds of training so far. */
  seconds: z.number().min(0),
});

/** How far a run has come. */
export type Progress = z.infer<typeof progressSchema>;

/** What is read from a checkpoint. */
export interface Checkpoint extends CheckpointDescription {
  readonly state: LearnerState;
}

/** What a checkpoint says of the run besides how far it has come. */
export interface CheckpointOrigin {
  /** Names of the classes, where there are some. */
  readonly classNames?: readonly string[];
  /** The configuration of the run. */
  readonly config: TrainConfig;
  /** Where and with what data it was begun. */
  readonly beginning?: Beginning | null;
}

/** What a checkpoint says without its tensors. */
export interface CheckpointDescription {
  readonly path: string;
  /** How far the run had come. */
  readonly progress: Progress;
  /** The configuration that it was trained with. */
  readonly config: TrainConfig;
  /** Names of the classes; null where it has none. */
  readonly classNames: readonly string[] | null;
  /** Where and with what data it was begun; null for runs of older versions. */
  readonly beginning: Beginning | null;
}

/** Writes a checkpoint, atomically. */
export async function saveCheckpoint(
  path: string,
  { config, classNames, beginning }: CheckpointOrigin,
  progress: Omit<Progress, "step" | "sums" | "scaling">,
  state: LearnerState,
): Promise<void> {
  const tensors = storedTensors(state.parts.ema);
  for (const part of PARTS) {
    for (const [name, tensor] of storedTensors(state.parts[part], `${TRAINING_PREFIX}${part}.`)) {
      tensors.set(name, tensor);
    }
  }
  for (const [i, average] of state.averages.entries()) {
    for (const [name, tensor] of storedTensors(average, `${TRAINING_PREFIX}average${i}.`)) {
      tensors.set(name, tensor);
    }
  }
  const { step, sums, scaling } = state;
  const complete: Progress = { ...progress, step, sums, ...(scaling ? { scaling } : {}) };
  await writeSafetensors(path, tensors, {
    ...describeModel({
      network: config.network,
      ...sectionsOf(config),
      ...(classNames ? { classNames } : {}),
      notes: {},
    }),
    "training.progress": JSON.stringify(complete),
    "training.config": JSON.stringify(config),
    ...(beginning ? { "training.beginning": JSON.stringify(beginning) } : {}),
  });
}

/** Reads what a checkpoint says. @throws {FormatError} when it is not a checkpoint */
export async function describeCheckpoint(path: string): Promise<CheckpointDescription> {
  using file = await openSafetensors(path);
  return parseDescription(path, file.metadata);
}

/** Reads a checkpoint. @throws {FormatError} when it is not a complete checkpoint */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  using file = await openSafetensors(path);
  const description = parseDescription(path, file.metadata);
  const parts: Record<StatePart, StateDict> = {
    ema: new Map(),
    parameters: new Map(),
    m: new Map(),
    v: new Map(),
  };
  const averages: StateDict[] = [];
  for (const [name, { shape }] of file.entries) {
    const data = (await file.read(name)).toFloat32();
    const average = AVERAGE.exec(name);
    if (average) {
      (averages[Number(average[1])] ??= new Map()).set(average[2], { shape, data });
      continue;
    }
    const part = PARTS.find((part) => name.startsWith(`${TRAINING_PREFIX}${part}.`));
    const own = part ? name.slice(`${TRAINING_PREFIX}${part}.`.length) : name;
    parts[part ?? "ema"].set(own, { shape, data });
  }
  const { step, sums, scaling } = description.progress;
  const state = { step, parts, averages, sums, ...(scaling ? { scaling } : {}) };
  return { ...description, state };
}

function parseDescription(
  path: string,
  metadata: Readonly<Record<string, string>>,
): CheckpointDescription {
  const beginning = metadata["training.beginning"];
  return {
    path,
    progress: parseProgress(path, metadata["training.progress"]),
    config: parseConfig(path, metadata["training.config"]),
    classNames: parseModelMetadata(path, metadata)?.classNames ?? null,
    beginning: beginning === undefined
      ? null
      : parseBeginning(parseJson(beginning, path), `${path}: training.beginning`),
  };
}

/** What settings mean that a checkpoint of an older version does not have is for their defaults. */
function parseConfig(path: string, text: string | undefined): TrainConfig {
  try {
    return parseTrainConfig(parseJson(text ?? "null", path), null);
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    throw new FormatError(`${path}: the configuration of the run is wrong: ${error.message}`);
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path}: the description of the run is wrong: ${error}`);
  }
}

function parseProgress(path: string, text: string | undefined): Progress {
  if (text === undefined) {
    throw new FormatError(`${path} holds no training state; give a checkpoint of a training run`);
  }
  try {
    return progressSchema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? error.issues[0].message : String(error);
    throw new FormatError(`${path}: the training progress is wrong: ${reason}`);
  }
}
