/**
 * Setting up training runs: from a preset, a file and settings to a resolved configuration with its
 * data set, device and folder.
 *
 * @module
 */

import { compile } from "../compile/compile.ts";
import { type PlanSummary, summarize } from "../compile/print.ts";
import type { Dataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import { openDataset } from "../data/open.ts";
import type { Device } from "../device/device.ts";
import { FormatError, UsageError } from "../errors.ts";
import { createNetwork } from "../models/registry.ts";
import { type DataShape, parseTrainConfig, type TrainConfig } from "./config.ts";
import { GridPainter } from "./grids.ts";
import { preset } from "./presets.ts";
import { gradientProgram, targetNetwork, trainingArenas, updateProgram } from "./programs.ts";
import { readConfig, RunFolder } from "./run_folder.ts";
import { applySettings } from "./settings.ts";
import { train, type TrainObserver, type TrainResult } from "./trainer.ts";

/** Where a configuration comes from; later ones override earlier ones. */
export interface ConfigSource {
  /** Name of a preset, or undefined with `configFile`. */
  readonly preset?: string;
  /** Path of a JSON file. */
  readonly configFile?: string;
  /** Replaces `data.source`. */
  readonly data?: string;
  /** `key=value` overrides. */
  readonly settings?: readonly string[];
}

/** A configuration with its data set, which the owner closes. */
export interface ResolvedConfig {
  /** Everything has a value. */
  readonly config: TrainConfig;
  /** The images of `config.data`. */
  readonly dataset: Dataset;
}

/**
 * Resolves a configuration.
 *
 * @throws {UsageError} naming what is wrong with it
 * @throws {FormatError} when the file or the data cannot be read
 */
export async function resolveConfig(source: ConfigSource): Promise<ResolvedConfig> {
  const { data, settings = [] } = source;
  if ((source.preset === undefined) === (source.configFile === undefined)) {
    throw new UsageError("give either a preset (--preset NAME) or a file (--config FILE)");
  }
  const base = source.preset !== undefined
    ? preset(source.preset)
    : await readJson(source.configFile!);
  const all = data === undefined ? settings : [`data.source=${JSON.stringify(data)}`, ...settings];
  return await withDataset(applySettings(base, all));
}

/**
 * The configuration of the run in a folder, with its data set.
 *
 * @throws {ImmError} when there is no run
 * @throws {FormatError} when the configuration, or the data set, is not what it was
 */
export async function resolveResumed(path: string): Promise<ResolvedConfig> {
  const value = await readConfig(path);
  try {
    return await withDataset(value);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FormatError(`${path}/config.json: ${error.message}`, { cause: error });
  }
}

/** Opens the data set of a configuration and resolves what follows from it. */
async function withDataset(value: unknown): Promise<ResolvedConfig> {
  // What is wrong without knowing the data is said before the data are opened.
  const { data } = parseTrainConfig(value, UNKNOWN_DATA);
  const dataset = await openDataset(data.source, { padTo: data.padTo });
  try {
    const [height, width, channels] = dataset.imageShape;
    if (height !== width) {
      throw new FormatError(
        `${dataset.name} has pictures of ${width} x ${height} pixels; expected squares. ` +
          `Set data.padTo=${Math.max(width, height)} or crop them first`,
      );
    }
    const shape = { resolution: height, channels, classes: dataset.labelCount };
    const config = parseTrainConfig(value, shape);
    checkNetwork(config, shape, dataset.name);
    return { config, dataset };
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** Sizes that any network accepts, for a first check. */
const UNKNOWN_DATA: DataShape = { resolution: 2 ** 12 * 3 * 5 * 7, channels: 3, classes: 0 };

/** Whether the sizes of a network, where they were given, are those of the data. */
function checkNetwork({ network, data }: TrainConfig, shape: DataShape, dataset: string): void {
  if (network.type === "mlp") {
    throw new UsageError(
      "network.type=mlp is for points, but the data are pictures; choose one of song_unet, " +
        "dhariwal_unet, dit",
    );
  }
  const expect = (key: "imgResolution" | "imgChannels" | "labelDim", found: number) => {
    if (network[key] === found) return;
    throw new UsageError(`network.${key} is ${network[key]}, but ${dataset} has ${found}`);
  };
  expect("imgResolution", shape.resolution);
  expect("imgChannels", shape.channels);
  // A network without classes ignores them.
  if (data.labels && network.labelDim > 0) expect("labelDim", shape.classes);
}

/** A run with everything it needs, ready to train. Dispose of it at the end. */
export class TrainingRun implements AsyncDisposable {
  private constructor(
    readonly config: TrainConfig,
    private readonly dataset: Dataset,
    private readonly device: Device,
    private readonly folder: RunFolder,
    private readonly resumed: boolean,
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
    const resolved = "dataset" in source ? source : await resolveConfig(source);
    return await TrainingRun.#open(device, resolved, () => RunFolder.create(out, resolved.config));
  }

  /** Continues the run in `path` with its own configuration, which may have been resolved already. */
  static async resume(
    device: Device,
    path: string,
    resolved?: ResolvedConfig,
  ): Promise<TrainingRun> {
    const known = resolved ?? await resolveResumed(path);
    return await TrainingRun.#open(device, known, () => RunFolder.open(path), true);
  }

  static async #open(
    device: Device,
    { config, dataset }: ResolvedConfig,
    open: () => Promise<RunFolder>,
    resumed = false,
  ): Promise<TrainingRun> {
    try {
      return new TrainingRun(config, dataset, device, await open(), resumed);
    } catch (error) {
      dataset.close();
      throw error;
    }
  }

  /** Folder of the run. */
  get path(): string {
    return this.folder.path;
  }

  /** Trains to the end; see {@link train}. */
  async train(
    { observer, signal }: { observer?: TrainObserver; signal?: AbortSignal } = {},
  ): Promise<TrainResult> {
    const { config, dataset, device, folder } = this;
    const painter = new GridPainter(device, config);
    try {
      return await train({
        device,
        config,
        source: new Loader(dataset, { seed: config.train.seed, mirror: config.data.mirror }),
        folder,
        resume: this.resumed,
        draw: painter.draw,
        observer,
        signal,
      });
    } finally {
      painter.free();
    }
  }

  /** Closes the data set and gives up the lock of the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dataset.close();
    await this.folder[Symbol.asyncDispose]();
  }
}

/** What a run would take, known before it starts. */
export interface RunDescription {
  /** Parameters of the network, frozen ones included. */
  readonly parameters: number;
  /** The plans of a training step. */
  readonly plans: readonly ({ readonly label: string } & PlanSummary)[];
  /** Parameters, gradients, moments and average on the device. */
  readonly stateBytes: number;
}

/** Plans a run without a device. */
export function describeRun({ train, imm, optimizer, network }: TrainConfig): RunDescription {
  const built = createNetwork(network);
  const arenas = trainingArenas(built);
  const networks = { student: built, target: targetNetwork(built, imm) };
  const plans = [
    compile(
      gradientProgram(networks, imm, arenas, {
        batch: train.batch,
        microBatch: train.microBatch ?? train.batch,
      }),
    ),
    compile(updateProgram(arenas, optimizer, optimizer.clip !== null)),
  ];
  return {
    parameters: built.parameters.parameterCount,
    plans: plans.map((plan) => ({ label: plan.label, ...summarize(plan) })),
    stateBytes: Object.values(arenas).reduce((sum, arena) => sum + arena.length * 4, 0),
  };
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
