/**
 * What a run is resumed with: its own configuration with changes, and its data, which must be those
 * that it was begun with.
 *
 * @module
 */

import { isAbsolute, join } from "jsr:@std/path@1.0.8";
import { effortOf, fingerprintDifferences } from "../../data/fingerprint.ts";
import { exists, findKnown } from "../../data/known.ts";
import { BUILT_IN, knownName } from "../../data/spec.ts";
import { parseSplit } from "../../data/folders/splits.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import { type Change, configChanges, describeChange } from "./changes.ts";
import type { CheckpointDescription } from "./checkpoint.ts";
import { describeNewest, refuseLostCheckpoints } from "./checkpoint_files.ts";
import { type DataSettings, parseTrainConfig, type TrainConfig } from "../config/config.ts";
import { type Beginning, beginningIn, HISTORY } from "./history.ts";
import { readConfig } from "./folder.ts";
import { applySettings } from "../config/settings.ts";
import { POINTS, type TrainingData } from "./sources.ts";

/** What is given when a run is resumed. */
export interface ResumeChanges {
  /** Where the data are now; a relative path begins in the current folder. */
  readonly data?: string;
  /** `key=value` overrides of what may change, see changes.ts. */
  readonly settings?: readonly string[];
}

/** A run that is about to be resumed. */
export interface Resumable {
  /** Its configuration, with the changes; data and other files are where they are found now. */
  readonly config: TrainConfig;
  /** Where and with what data it was begun; null for runs of older versions. */
  readonly beginning: Beginning | null;
  /** Names of its classes; null where it has none, or no checkpoint. */
  readonly classNames: readonly string[] | null;
}

/**
 * Reads the run in a folder, without its data.
 *
 * @throws {ImmError} when there is no run
 * @throws {FormatError} when its configuration is damaged, or is not the one that its checkpoint was
 * trained with, or its checkpoints are lost
 * @throws {UsageError} when a change is refused
 */
export async function readResumed(path: string, changes: ResumeChanges = {}): Promise<Resumable> {
  const file = await readConfig(path).catch(async (error) => {
    // Lost, not damaged: nobody can have wanted to change it, and checkpoints hold a copy.
    const isLost = error.cause instanceof Deno.errors.NotFound;
    const copy = isLost ? await describeNewest(path) : null;
    if (copy === null) throw error;
    return copy.config;
  });
  const written = parseWritten(file, path);
  const checkpoint = await describeNewest(path);
  if (checkpoint === null) await refuseLostCheckpoints(path, written);
  else refuseEdited(written, checkpoint, path);
  const beginning = checkpoint === null ? await begun(path) : checkpoint.beginning;
  const origin = beginning?.folder || workingFolder();
  const found = await findFiles(written, origin);
  // What a run began with is history, unless it begins with it again.
  const files = checkpoint === null ? found : { ...found, train: written.train };
  const config = await withChanges(files, changes, origin);
  refuseChanges(configChanges(checkpoint?.config ?? files, config), path);
  return { config, beginning, classNames: checkpoint?.classNames ?? null };
}

/**
 * Compares the data of a run with those that it was begun with.
 *
 * @returns what is to be said when there is nothing to compare with, else null
 * @throws {FormatError} naming in what they differ
 */
export function checkSameData(
  path: string,
  settings: DataSettings,
  { name, fingerprint }: TrainingData,
  beginning: Beginning | null,
): string | null {
  if (fingerprint === null) return null;
  if (!beginning?.data) {
    return `${path} was begun by an older version, which kept no fingerprint of the data: ` +
      `${name} was not compared`;
  }
  const now = fingerprint(effortOf(beginning.data));
  const { labels } = settings;
  const differences = fingerprintDifferences(beginning.data, now, { labels });
  if (differences.length === 0) return null;
  throw new FormatError(
    `${name} is not what ${path} has been trained on: ${
      differences.join("; ")
    }. Give the data of ` +
      `the run with --data; to go on with other data begin a new run with its weights: imm train ` +
      `--init ${path} --data DATA --out DIR`,
  );
}

/** The working folder; empty where the program may not know it, and paths stay as they are. */
export function workingFolder(): string {
  try {
    const { state } = Deno.permissions.querySync({ name: "read", path: "." });
    return state === "granted" ? Deno.cwd() : "";
  } catch {
    return ""; // it has been removed
  }
}

function parseWritten(value: object, path: string): TrainConfig {
  try {
    return parseTrainConfig(value, null);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FormatError(`${path}/config.json: ${error.message}`, { cause: error });
  }
}

/** Someone may have changed the file; what the checkpoint says is how the run was trained. */
function refuseEdited(
  written: TrainConfig,
  { config, path: checkpoint }: CheckpointDescription,
  path: string,
): void {
  const refused = configChanges(config, written).filter((change) => change.refused !== null);
  if (refused.length === 0) return;
  const { key, before, after, refused: reason } = refused[0];
  throw new FormatError(
    `${path}/config.json has ${key}=${JSON.stringify(after)}, but ${checkpoint} was trained with ` +
      `${JSON.stringify(before)}: ${reason}${others(refused)}. Put it back as it was, or begin a ` +
      `new run: imm train --init ${path} --config FILE --out DIR`,
  );
}

function refuseChanges(changes: readonly Change[], path: string): void {
  const refused = changes.filter((change) => change.refused !== null);
  if (refused.length === 0) return;
  throw new UsageError(
    `a resumed run cannot change ${describeChange(refused[0])}: ${refused[0].refused}` +
      `${others(refused)}. Leave it out, or begin a new run with the weights of this one: imm ` +
      `train --init ${path} --out DIR`,
  );
}

function others(changes: readonly Change[]): string {
  return changes.length === 1
    ? ""
    : ` (the same holds for ${changes.slice(1).map(({ key }) => key).join(", ")})`;
}

/** Of a run that was stopped before its first checkpoint. */
async function begun(path: string): Promise<Beginning | null> {
  return beginningIn(await Deno.readTextFile(join(path, HISTORY)).catch(() => ""));
}

/**
 * The configuration with the paths of files that are to be found in the folder `origin`; others are
 * left as they are, which is right when everything was moved together.
 */
async function findFiles(config: TrainConfig, origin: string): Promise<TrainConfig> {
  if (origin === workingFolder()) return config;
  return await withPaths(config, async (path, isData) => {
    const { base, split } = isData ? parseSplit(path) : { base: path };
    const name = isData ? knownName(path) : null;
    if (name !== null && BUILT_IN.has(name)) return path;
    // A known data set may lie in the folder `data` beside where the run was begun.
    const there = name === null
      ? join(origin, base)
      : await findKnown(name, [join(origin, "data")]).catch(() => null);
    return there !== null && await exists(there) ? there + (split ? `#${split}` : "") : path;
  });
}

/** Applies changes; paths that are given now begin in the current folder. */
async function withChanges(
  config: TrainConfig,
  { data, settings = [] }: ResumeChanges,
  origin: string,
): Promise<TrainConfig> {
  const all = data === undefined ? settings : [`data.source=${JSON.stringify(data)}`, ...settings];
  if (all.length === 0) return config;
  const changed = parseTrainConfig(applySettings(config, all), null);
  const given = new Set(configChanges(config, changed).map(({ key }) => key));
  const here = workingFolder();
  if (here === origin || here === "") return changed;
  return await withPaths(changed, (path, isData, key) => {
    const isPath = given.has(key) && !(isData && knownName(path) !== null);
    return Promise.resolve(isPath ? join(here, path) : path);
  });
}

/** Changes all paths of a configuration. */
async function withPaths(
  config: TrainConfig,
  change: (path: string, isData: boolean, key: string) => Promise<string>,
): Promise<TrainConfig> {
  const { data: { source }, report: { decoder, scores: { extractor, weights } } } = config;
  const { init } = config.train;
  const changed = async (path: string, key: string) =>
    isAbsolute(path) ? path : await change(path, key === "data.source", key);
  const orNull = (path: string | null, key: string) => path === null ? null : changed(path, key);
  const isPoints = source === POINTS || source === `dataset:${POINTS}`;
  const isFile = extractor.toLowerCase().endsWith(".onnx");
  return {
    ...config,
    data: {
      ...config.data,
      source: isPoints ? source : await changed(source, "data.source"),
    },
    train: { ...config.train, init: await orNull(init, "train.init") },
    report: {
      ...config.report,
      decoder: await orNull(decoder, "report.decoder"),
      scores: {
        ...config.report.scores,
        extractor: isFile ? await changed(extractor, "report.scores.extractor") : extractor,
        weights: await orNull(weights, "report.scores.weights"),
      },
    },
  };
}
