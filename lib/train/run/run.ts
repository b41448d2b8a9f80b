/**
 * Setting up training runs: from a preset, a file and settings to a resolved configuration with its
 * data set, device and folder.
 *
 * @module
 */

import type { Device } from "../../device/device.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import { pathRead } from "../../data/spec.ts";
import { findModel } from "../../models/model_file.ts";
import type { Network } from "../../models/network.ts";
import { refuseInside } from "../../files/outputs.ts";
import { sectionsOf } from "../../objectives/registry.ts";
import { typesWith } from "../../models/registry.ts";
import type { LatentDecoder } from "../../sample/decoder.ts";
import {
  isChosen,
  type Layered,
  overlay,
  parseForData,
  presetNotes,
  withSizesOfData,
} from "../config/adapt.ts";
import { type DataShape, parseTrainConfig, type TrainConfig } from "../config/config.ts";
import type { PictureCare } from "../../data/images/folder.ts";
import { GridPainter, openGridDecoder } from "../reports/grids.ts";
import type { Beginning } from "./history.ts";
import { preset, presetShape } from "../config/presets.ts";
import { checkSameData, readResumed, type ResumeChanges, workingFolder } from "./resume.ts";
import { readConfig, RunFolder, type RunOrigin } from "./folder.ts";
import { Scorer } from "../reports/scores.ts";
import { applySettings } from "../config/settings.ts";
import { type DataOptions, openTrainingData, type TrainingData } from "./sources.ts";
import { train, type TrainObserver, type TrainResult } from "../trainer.ts";
import {
  checkInitial,
  describeInitial,
  type InitialModel,
  transferredWeights,
} from "./transfer.ts";

/** Where a configuration comes from; later ones override earlier ones. A preset or a file is needed. */
export interface ConfigSource {
  /** Name of a preset, whose sizes of the network give way to those of the data. */
  readonly preset?: string;
  /** Path of a JSON file; over a preset it need not be complete. */
  readonly configFile?: string;
  /** Replaces `train.init`; the folder of a run is also a configuration, where none is given. */
  readonly init?: string;
  /** Replaces `data.source`. */
  readonly data?: string;
  /** `key=value` overrides. */
  readonly settings?: readonly string[];
}

/** A configuration with its data, which the owner closes. */
export interface ResolvedConfig {
  /** Everything has a value. */
  readonly config: TrainConfig;
  /** What `config.data` names. */
  readonly data: TrainingData;
  /** How the preset was fitted to the data, and what was left to the person, in sentences. */
  readonly notes?: readonly string[];
  /** Names of the classes, for data that have none of their own. */
  readonly classNames?: readonly string[] | null;
  /** Where and with what data a run was begun that is to be resumed. */
  readonly beginning?: Beginning | null;
  /** What is odd about a run that is to be resumed, in sentences. */
  readonly warnings?: readonly string[];
}

/**
 * Resolves a configuration.
 *
 * @param care what is done about pictures that are damaged or odd
 * @throws {UsageError} naming what is wrong with it
 * @throws {FormatError} when the file or the data cannot be read
 */
export async function resolveConfig(
  source: ConfigSource,
  care: PictureCare = {},
): Promise<ResolvedConfig> {
  const layered = await readSource(source);
  const mayPad = source.preset !== undefined && !isChosen(layered, "data", "padTo");
  const options = { ...care, mayPad };
  if (layered.initial) return await withInitial(layered, layered.initial, options);
  if (source.preset === undefined) return await withData(layered.value, options);
  const resolved = await withData(withSizesOfData(layered), options);
  const { config, data } = resolved;
  return { ...resolved, notes: presetNotes(source.preset, layered, config, data) };
}

/**
 * The configuration alone, without opening its data: of a preset, or for a network whose sizes a
 * file says.
 *
 * @throws {UsageError} naming what is wrong with it, or missing
 */
export async function resolveWithoutData(source: ConfigSource): Promise<TrainConfig> {
  const { value, initial } = await readSource(source);
  const shape = source.preset === undefined || initial ? null : presetShape(source.preset);
  return parseTrainConfig(value, shape);
}

/** What a configuration is made of, and the model that it begins with. */
interface Read extends Layered {
  readonly initial: InitialModel | null;
}

async function readSource(source: ConfigSource): Promise<Read> {
  const layers = await readLayers(source);
  const { train } = layers.value;
  const init = (train as { init?: unknown } | undefined)?.init;
  // Another type is for the schema to refuse.
  if (typeof init !== "string") return { ...layers, initial: null };
  const initial = await describeInitial(init);
  const { network = {}, imm, objective } = layers.chosen as {
    readonly [section: string]: object | undefined;
  };
  const model = overlay({ network: initial.network, ...sectionsOf(initial) }, {
    network: { ...network },
    ...(imm ? { imm: { ...imm } } : {}),
    ...(objective ? { objective: { ...objective } } : {}),
  });
  return { ...layers, value: { ...layers.value, ...model }, initial };
}

/** The configuration of training that goes on from a model, with its data. */
async function withInitial(
  { value, chosen }: Layered,
  initial: InitialModel,
  options: DataOptions,
): Promise<ResolvedConfig> {
  const { data: settings, train } = parseTrainConfig(value, UNKNOWN_DATA);
  const isSet = "labelDim" in { ...chosen.network as object };
  const { labelDim: _, ...network } = value.network as Record<string, unknown>;
  // Its classes are those of the data, once they are learned anew.
  const own = train.resetLabels && !isSet ? { ...value, network } : value;
  const { resetLabels } = train;
  const resolved = await withData(own, options, (data) => {
    checkInitial(initial, data, { labels: settings.labels, resetLabels });
  });
  const what = resetLabels ? "weights (but for those of classes)," : "weights,";
  return {
    ...resolved,
    classNames: resetLabels ? null : initial.classNames ?? null,
    notes: [`${what} network and method (imm.*) are those of ${initial.file}`],
  };
}

async function readLayers(source: ConfigSource): Promise<Layered> {
  const { data, init, settings = [] } = source;
  const isBare = source.preset === undefined && source.configFile === undefined;
  const run = isBare && init !== undefined ? await readRunConfig(init) : null;
  if (isBare && run === null) {
    throw new UsageError(
      "give a preset (--preset NAME), a file (--config FILE), or both, of which the file goes over " +
        "the preset" + (init === undefined ? "" : `; ${init} says what to train, but not how`),
    );
  }
  const own = source.configFile === undefined ? {} : await readJson(source.configFile);
  const below = source.preset === undefined ? run ?? {} : preset(source.preset);
  const all = [
    ...(data === undefined ? [] : [`data.source=${JSON.stringify(data)}`]),
    ...(init === undefined
      ? []
      : [`train.init=${JSON.stringify(init)}`, "train.resetLabels=false"]),
    ...settings,
  ];
  return {
    value: applySettings(overlay({ ...below }, { ...own }), all) as Layered["value"],
    chosen: applySettings({ ...own }, all) as Layered["chosen"],
  };
}

/** The configuration of the run in a folder; null where the path is something else. */
async function readRunConfig(path: string): Promise<object | null> {
  const isFolder = await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  return isFolder ? await readConfig(path) : null;
}

/**
 * The configuration of the run in a folder, with changes, and its data set.
 *
 * @param care what is done about pictures that are damaged
 * @throws {ImmError} when there is no run
 * @throws {FormatError} when the configuration, or the data set, is not what it was, or there is no
 * checkpoint to continue from
 * @throws {UsageError} when a change is one that a run cannot go on with
 */
export async function resolveResumed(
  path: string,
  changes: ResumeChanges = {},
  care: PictureCare = {},
): Promise<ResolvedConfig> {
  const { config, beginning, classNames } = await readResumed(path, changes);
  const data = await openTrainingData(config.data, care);
  try {
    const note = checkSameData(path, config.data, data, beginning);
    checkNetwork(config, data);
    return { config, data, classNames, beginning, warnings: note === null ? [] : [note] };
  } catch (error) {
    data.close();
    throw error;
  }
}

/** Opens the data of a configuration and resolves what follows from them. */
async function withData(
  value: object,
  options: DataOptions = {},
  check?: (data: TrainingData) => void,
): Promise<ResolvedConfig> {
  // What is wrong without knowing the data is said before the data are opened.
  const data = await openTrainingData(parseTrainConfig(value, UNKNOWN_DATA).data, options);
  try {
    check?.(data);
    const parsed = parseForData(value, data);
    const config = { ...parsed, data: { ...parsed.data, padTo: data.padTo } };
    checkNetwork(config, data);
    return { config, data };
  } catch (error) {
    data.close();
    throw error;
  }
}

/** Sizes that any network accepts, for a first check. */
const UNKNOWN_DATA: DataShape = { resolution: 2 ** 12 * 3 * 5 * 7, channels: 3, classes: 0 };

/** Whether the sizes of a network, where they were given, are those of the data. */
function checkNetwork({ network, data, report }: TrainConfig, { name, shape }: TrainingData): void {
  const expect = (key: string, given: number, found: number) => {
    if (given === found) return;
    throw new UsageError(
      `network.${key} is ${given}, but ${name} has ${found}; leave it out, or --set ` +
        `network.${key}=${found}`,
    );
  };
  if ("dimensions" in shape) {
    if (!("dimensions" in network)) {
      throw new UsageError(
        `network.type=${network.type} is for pictures, but ${name} are points; choose ` +
          typesWith("dimensions").join(", "),
      );
    }
    if (report.scores.every > 0) {
      throw new UsageError(`report.scores are of pictures, but ${name} are points; leave it out`);
    }
    return expect("dimensions", network.dimensions, shape.dimensions);
  }
  if ("dimensions" in network) {
    throw new UsageError(
      `network.type=${network.type} is for points, but the data are pictures; choose one of ` +
        typesWith("imgResolution").join(", "),
    );
  }
  expect("imgResolution", network.imgResolution, shape.resolution);
  expect("imgChannels", network.imgChannels, shape.channels);
  // A network without classes ignores them, and to one of a single class all data are of that.
  if (data.labels && network.labelDim > 0 && !(network.labelDim === 1 && shape.classes === 0)) {
    expect("labelDim", network.labelDim, shape.classes);
  }
}

/** A run with everything it needs, ready to train. Dispose of it at the end. */
export class TrainingRun implements AsyncDisposable {
  private constructor(
    readonly config: TrainConfig,
    private readonly data: TrainingData,
    private readonly device: Device,
    private readonly folder: RunFolder,
    private readonly resumed: boolean,
    private readonly decoder: LatentDecoder | null,
    /** Names of the classes, where there are some and the network is told. */
    readonly classNames: readonly string[] | null,
    private readonly odd: readonly string[],
  ) {}

  /**
   * A new run in the folder `out`. Nothing is written when anything is wrong.
   *
   * @param source Of the configuration; one that has been resolved already is taken over, its data
   * set included.
   */
  static async start(
    device: Device,
    source: ConfigSource | ResolvedConfig,
    out: string,
  ): Promise<TrainingRun> {
    const resolved = "config" in source ? source : await resolveConfig(source);
    return await TrainingRun.#open(device, resolved, async (origin) => {
      await refuseInside(out, "--out", await pathRead(resolved.config.data.source));
      return await RunFolder.create(out, resolved.config, origin);
    });
  }

  /**
   * Continues the run in `path` with its own configuration.
   *
   * @param changes of its configuration; one that has been resolved already is taken over, its data
   * set included
   */
  static async resume(
    device: Device,
    path: string,
    changes: ResumeChanges | ResolvedConfig = {},
  ): Promise<TrainingRun> {
    const known = "config" in changes ? changes : await resolveResumed(path, changes);
    return await TrainingRun.#open(device, known, (origin) => RunFolder.open(path, origin), true);
  }

  static async #open(
    device: Device,
    resolved: ResolvedConfig,
    open: (origin: RunOrigin) => Promise<RunFolder>,
    resumed = false,
  ): Promise<TrainingRun> {
    const { config, data, warnings = [] } = resolved;
    let decoder: LatentDecoder | null = null;
    try {
      decoder = await openGridDecoder(config);
      const names = data.classNames ?? resolved.classNames ?? null;
      const classNames = names?.length === config.network.labelDim ? names : null;
      const beginning = resolved.beginning ??
        { folder: workingFolder(), data: data.fingerprint?.() ?? null };
      const folder = await open({ classNames, beginning });
      return new TrainingRun(
        config,
        data,
        device,
        folder,
        resumed,
        decoder,
        classNames,
        warnings,
      );
    } catch (error) {
      await decoder?.[Symbol.asyncDispose]();
      data.close();
      throw error;
    }
  }

  /** What looks odd about the data, in sentences. */
  get warnings(): readonly string[] {
    return [...this.odd, ...this.data.warnings];
  }

  /** What the data are, in a line; see {@link TrainingData.summary}. */
  get summary(): string {
    return this.data.summary;
  }

  /** Folder of the run. */
  get path(): string {
    return this.folder.path;
  }

  /**
   * Trains to the end; see {@link train}.
   *
   * @param options with `dataWorkers`, threads that read and decode beforehand: see
   * {@link TrainingData.stream}
   */
  async train(
    { observer, signal, dataWorkers }: {
      observer?: TrainObserver;
      signal?: AbortSignal;
      dataWorkers?: number;
    } = {},
  ): Promise<TrainResult> {
    const { config, data, device, folder } = this;
    const { init, resetLabels, seed } = config.train;
    const weights = async (network: Network) =>
      await transferredWeights(await findModel(init!), network, { resetLabels, seed });
    const source = data.stream(config.train.seed, dataWorkers);
    const painter = new GridPainter(device, config, this.decoder);
    const scorer = data.dataset ? new Scorer(device, config, data.dataset) : null;
    try {
      return await train({
        device,
        config,
        source,
        data: data.summary,
        ...(init === null ? {} : { initial: { source: init, weights } }),
        folder,
        resume: this.resumed,
        draw: painter.draw,
        score: scorer?.score,
        observer,
        signal,
      });
    } finally {
      source.close();
      painter.free();
      await scorer?.free();
    }
  }

  /** Closes the data set and gives up the lock of the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.data.close();
    await this.decoder?.[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}

async function readJson(path: string): Promise<object> {
  try {
    const value = JSON.parse(await Deno.readTextFile(path));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
    throw new FormatError(`${path}: expected a JSON object with the keys of a configuration`);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new FormatError(`${path} is not JSON: ${error.message}`);
    }
    if (error instanceof Deno.errors.NotFound) {
      throw new FormatError(`the configuration file ${path} does not exist`);
    }
    throw error;
  }
}
