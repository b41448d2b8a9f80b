/**
 * Checkpoints of a training run. One safetensors file holds the averaged weights under their
 * official names, so that it is also a model file (lib/models/model_file.ts), and under
 * `training.PART.NAME` what only a resumed run needs.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError } from "../errors.ts";
import { openSafetensors, writeSafetensors } from "../format/safetensors.ts";
import {
  describeModel,
  type ModelDescription,
  storedTensors,
  TRAINING_PREFIX,
} from "../models/model_file.ts";
import type { StateDict } from "../nn/parameters.ts";
import type { TrainConfig } from "./config.ts";
import type { LearnerState, StatePart } from "./learner.ts";
import { TIME_BINS } from "./programs.ts";

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
export interface Checkpoint {
  readonly path: string;
  readonly progress: Progress;
  readonly state: LearnerState;
}

/** What a checkpoint says of the run besides how far it has come. */
export interface CheckpointOrigin extends Pick<ModelDescription, "classNames"> {
  /** The configuration of the run. */
  readonly config: TrainConfig;
}

/** Writes a checkpoint, atomically. */
export async function saveCheckpoint(
  path: string,
  { config, classNames }: CheckpointOrigin,
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
    ...describeModel({ network: config.network, imm: config.imm, classNames, notes: {} }),
    "training.progress": JSON.stringify(complete),
    "training.config": JSON.stringify(config),
  });
}

/** Reads a checkpoint. @throws {FormatError} when it is not a complete checkpoint */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  using file = await openSafetensors(path);
  const progress = parseProgress(path, file.metadata["training.progress"]);
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
  const { step, sums, scaling } = progress;
  const state = { step, parts, averages, sums, ...(scaling ? { scaling } : {}) };
  return { path, progress, state };
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
