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
import { parseTrainConfig, type TrainConfig } from "./config.ts";
import { GridPainter } from "./grids.ts";
import { preset } from "./presets.ts";
import { gradientProgram, trainingArenas, updateProgram } from "./programs.ts";
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
  readonly config: TrainConfig;
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
    return { config: parseTrainConfig(value, shape), dataset };
  } catch (error) {
    dataset.close();
    throw error;
  }
}

/** Sizes that any network accepts, for a first check. */
const UNKNOWN_DATA = { resolution: 1024, channels: 3, classes: 0 };

/** A run with everything it needs, ready to train. Dispose of it at the end. */
export class TrainingRun implements AsyncDisposable {
  private constructor(
    readonly config: TrainConfig,
    private readonly dataset: Dataset,
    private readonly device: Device,
    private readonly folder: RunFolder,
    private readonly resumed: boolean,
  ) {}

  /** A new run in the folder `out`. Nothing is written when anything is wrong. */
  static async start(device: Device, source: ConfigSource, out: string): Promise<TrainingRun> {
    const { config, dataset } = await resolveConfig(source);
    try {
      const folder = await RunFolder.create(out, config);
      return new TrainingRun(config, dataset, device, folder, false);
    } catch (error) {
      dataset.close();
      throw error;
    }
  }

  /** Continues the run in `path` with its own configuration. */
  static async resume(device: Device, path: string): Promise<TrainingRun> {
    const { config, dataset } = await withDataset(await readConfig(path));
    try {
      const folder = await RunFolder.open(path);
      return new TrainingRun(config, dataset, device, folder, true);
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
  const networks = { student: built, target: built };
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
