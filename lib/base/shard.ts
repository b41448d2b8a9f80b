/**
 * Which part of a set this process works on, when several share it: given as `2/8`, or read from the
 * variables that schedulers set.
 *
 * @module
 */

import { environmentVariable } from "./environment.ts";
import { UsageError } from "./errors.ts";

/** Part `index` of `of` parts, counted from 1. */
export interface Shard {
  /** Number of the part, from 1. */
  readonly index: number;
  /** Number of parts. */
  readonly of: number;
}

/** Reads a variable of the environment. */
export type Environment = (name: string) => string | undefined;

/**
 * How schedulers tell a process its number, the innermost first. `first` is what they count from;
 * `count` is missing where they do not say how many there are.
 */
const SCHEDULERS: readonly {
  readonly name: string;
  readonly index: string;
  readonly first: 0 | 1;
  readonly count?: string;
}[] = [
  { name: "Open MPI", index: "OMPI_COMM_WORLD_RANK", first: 0, count: "OMPI_COMM_WORLD_SIZE" },
  { name: "MPI (PMI)", index: "PMI_RANK", first: 0, count: "PMI_SIZE" },
  { name: "MVAPICH", index: "MV2_COMM_WORLD_RANK", first: 0, count: "MV2_COMM_WORLD_SIZE" },
  { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", first: 0, count: "JOB_COMPLETIONS" },
  { name: "AWS Batch", index: "AWS_BATCH_JOB_ARRAY_INDEX", first: 0 },
  { name: "GitLab", index: "CI_NODE_INDEX", first: 1, count: "CI_NODE_TOTAL" },
  { name: "CircleCI", index: "CIRCLE_NODE_INDEX", first: 0, count: "CIRCLE_NODE_TOTAL" },
  // GitHub sets no variables for a matrix; these are to be set from strategy.job-index and -total.
  { name: "GitHub", index: "SHARD_INDEX", first: 0, count: "SHARD_COUNT" },
];

/** What {@link parseShard} accepts, for the help of options. */
export const SHARD_FORMS = "1/8 to 8/8; auto, or auto/8, as the scheduler's variables say";

/**
 * Reads `2/8`, `auto` (number and count from the scheduler's variables) or `auto/8` (the number
 * alone: Kubernetes, for one, does not tell the count).
 *
 * @throws {UsageError} for anything else, and where no scheduler's variables are found
 */
export function parseShard(
  text: string,
  option = "--shard",
  environment: Environment = environmentVariable,
): Shard {
  const [, first, count] = /^(\d+|auto)(?:\/(\d+))?$/.exec(text) ?? [];
  if (first === undefined || (first !== "auto" && count === undefined)) {
    throw new UsageError(
      `${option} expects a part and the number of parts, from 1/8 to 8/8, or auto, but got ` +
        `"${text}".`,
    );
  }
  const of = count === undefined ? undefined : Number(count);
  const shard = first === "auto"
    ? detectShard(option, of, environment)
    : { index: Number(first), of: of! };
  if (shard.index < 1 || shard.index > shard.of || !Number.isSafeInteger(shard.of)) {
    throw new UsageError(
      `${option} expects a part from 1/${shard.of} to ${shard.of}/${shard.of}, but ` +
        `${
          first === "auto"
            ? `the scheduler's variables say ${shard.index}/${shard.of}`
            : `got "${text}"`
        }.`,
    );
  }
  return shard;
}

function detectShard(option: string, of: number | undefined, environment: Environment): Shard {
  const found = slurmShard(environment) ?? otherShard(environment);
  if (found === null) {
    throw new UsageError(
      `${option} auto found none of the variables of Slurm, ` +
        `${SCHEDULERS.map(({ name }) => name).join(", ")}; give the part, as in 2/8.`,
    );
  }
  const total = of ?? found.of;
  if (total === undefined) {
    throw new UsageError(
      `${option} auto: ${found.name} says the number of this part but not how many there are; ` +
        `give it, as in auto/8.`,
    );
  }
  return { index: found.index, of: total };
}

interface Detected {
  readonly name: string;
  readonly index: number;
  readonly of: number | undefined;
}

/** Tasks of a job array, and tasks of one step, may be used together: then all of them count. */
function slurmShard(environment: Environment): Detected | null {
  const array = whole(environment, "SLURM_ARRAY_TASK_ID");
  // SLURM_NTASKS is also set in a batch script, which runs once; this only in what srun starts.
  const tasks = whole(environment, "SLURM_STEP_NUM_TASKS");
  const task = tasks === undefined ? undefined : whole(environment, "SLURM_PROCID");
  if (array === undefined && task === undefined) return null;
  const start = whole(environment, "SLURM_ARRAY_TASK_MIN") ?? 0;
  const step = whole(environment, "SLURM_ARRAY_TASK_STEP") ?? 1;
  const job = array === undefined ? 0 : (array - start) / step;
  const jobs = array === undefined ? 1 : whole(environment, "SLURM_ARRAY_TASK_COUNT");
  return {
    name: "Slurm",
    index: job * (tasks ?? 1) + (task ?? 0) + 1,
    of: jobs === undefined ? undefined : jobs * (tasks ?? 1),
  };
}

function otherShard(environment: Environment): Detected | null {
  for (const { name, index, first, count } of SCHEDULERS) {
    const number = whole(environment, index);
    if (number === undefined) continue;
    const of = count === undefined ? undefined : whole(environment, count);
    return { name, index: number - first + 1, of };
  }
  return null;
}

/** A variable that holds a whole number; anything else is as if it were not set. */
function whole(environment: Environment, name: string): number | undefined {
  const text = environment(name);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The part of a list that a shard has: runs of about equal length, which together are the list. */
export function shardOf<Value>(all: readonly Value[], { index, of }: Shard): readonly Value[] {
  const cut = (part: number) => Math.floor(part * all.length / of);
  return all.slice(cut(index - 1), cut(index));
}
