/**
 * The stages of the experiment: processes that train, sample and score, and the tables of what they
 * left in a folder.
 *
 * @module
 */

import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import type { Terminal } from "../../cli/base/terminal.ts";
import { ImmError, UsageError } from "../../lib/base/errors.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { openSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { type ImmConfig, scheduleTimes } from "../../lib/imm/mod.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import type { HostTensor } from "../../lib/nn/parameters.ts";
import type { TrainConfig } from "../../lib/train/config/config.ts";
import { resolveConfig } from "../../lib/train/run/run.ts";
import { denoArguments } from "../child.ts";
import { findPython, pythonEnvironment } from "../python.ts";
import { classifierOnnx } from "./classifier.ts";
import { type Args, listed, type Stage } from "./options.ts";
import {
  parseSamplers,
  planRuns,
  type Run,
  RUN_ENGINES,
  runName,
  type Sampler,
  samplerOptions,
  samplesName,
} from "./plan.ts";
import { type Job, runJobs } from "./processes.ts";
import { type LogLine, type Results, resultTables, type RunLog, type Score } from "./results.ts";

/** Does what the arguments say and returns the tables. */
export class Experiment {
  #failures: string[] = [];

  private constructor(
    private readonly args: Args,
    private readonly config: TrainConfig,
    private readonly runs: readonly Run[],
    private readonly samplers: readonly Sampler[],
    private readonly python: string | null,
    private readonly terminal: Terminal,
  ) {}

  /** The method; the other side of the experiment knows no other. */
  private get imm(): ImmConfig {
    return this.config.imm!;
  }

  static async open(args: Args, terminal: Terminal): Promise<Experiment> {
    const samplers = parseSamplers(args.samplers);
    const engines = listed(args.engines, RUN_ENGINES, "--engines");
    const { config, data } = await resolveConfig({
      preset: args.preset,
      data: args.data,
      settings: [`train.images=${args.images}`, ...args.set],
    });
    data.close();
    const runs = planRuns({ ...args, engines, M: config.imm!.M });
    for (const { M } of runs) {
      if (config.train.batch % M !== 0) {
        throw new UsageError(
          `--particles: the batch of ${config.train.batch} is no multiple of ${M}`,
        );
      }
    }
    const python = await findPython(args.python);
    return new Experiment(args, config, runs, samplers, python, terminal);
  }

  /** Runs some stages in their order. */
  async run(stages: readonly Stage[]): Promise<void> {
    this.#failures = [];
    for (const folder of ["", "setup", "logs", "samples", "scores"]) {
      await Deno.mkdir(this.#path(folder), { recursive: true });
    }
    if (stages.includes("classifier")) await this.#classifier();
    if (stages.includes("train")) await this.#train();
    if (stages.includes("sample")) await this.#sample();
    if (stages.includes("eval")) await this.#evaluate();
    if (stages.includes("table")) await this.#tables();
    if (this.#failures.length > 0) throw new ImmError(this.#failures.join("; "));
  }

  #path(...parts: string[]): string {
    return join(this.args.out, ...parts);
  }

  /** A classifier of the data, in whose features samples are compared as well. */
  async #classifier(): Promise<void> {
    const model = this.#path("classifier.onnx");
    if (await exists(model)) return;
    if (this.python === null) {
      this.terminal.say("no Python with torch and numpy: samples are compared in pixels alone");
      return;
    }
    const weights = this.#path("classifier.safetensors");
    await this.#runAll("classifier", [
      this.#pythonJob("classifier", [
        "classifier",
        ...["--data", this.args.data, "--pad-to", String(this.config.data.padTo)],
        ...["--out", weights],
      ]),
    ]);
    if (!await exists(weights)) return;
    const { imgResolution } = this.config.network as { readonly imgResolution: number };
    using file = await openSafetensors(weights);
    const tensors = new Map<string, HostTensor>();
    for (const [name, { shape }] of file.entries) {
      tensors.set(name, { shape, data: (await file.read(name)).toFloat32() });
    }
    this.terminal.say(`the classifier is right on ${file.metadata.accuracy} of the test images`);
    const bytes = classifierOnnx(tensors, imgResolution, weights);
    await writeFileAtomic(model, bytes);
  }

  async #train(): Promise<void> {
    const jobs: Job[] = [];
    for (const run of this.runs) {
      const folder = this.#path(runName(run));
      if (await this.#isTrained(run)) continue;
      const setup = await this.#setup(run);
      jobs.push(
        run.engine === "imm"
          ? this.#immJob(runName(run), [
            "train",
            ...await exists(join(folder, "config.json"))
              ? ["--resume", folder]
              : ["--config", setup.config, "--out", folder],
            ...this.#device(),
          ])
          : this.#pythonJob(runName(run), [
            "train",
            ...["--config", setup.config, "--initial", setup.initial, "--out", folder],
            ...this.args.torchDevice === "cuda" ? ["--graph"] : [],
          ]),
      );
    }
    await this.#runAll("training", jobs);
  }

  /** Writes the configuration and the initial weights of a run. */
  async #setup(run: Run): Promise<{ config: string; initial: string }> {
    const { images, batch } = this.config.train;
    const config: TrainConfig = {
      ...this.config,
      imm: { ...this.imm, M: run.M },
      objective: undefined,
      train: { ...this.config.train, seed: run.seed },
      // Twenty reports, unless the settings say otherwise; pictures and checkpoints at the end.
      report: {
        ...this.config.report,
        samples: 0,
        checkpoint: 0,
        ...this.args.set.some((setting) => setting.startsWith("report.status="))
          ? {}
          : { status: Math.max(batch, Math.floor(images / 20 / batch) * batch) },
      },
    };
    const path = this.#path("setup", `${runName(run)}.json`);
    await writeFileAtomic(path, JSON.stringify(config, null, 2) + "\n");
    const initial = this.#path("setup", `m${run.M}-s${run.seed}.safetensors`);
    if (run.engine === "pytorch") {
      const { network, imm } = config;
      const weights = createNetwork(network).parameters.initial(run.seed);
      await saveModel(initial, { network, imm: imm!, notes: {}, weights });
    }
    return { config: path, initial };
  }

  async #isTrained(run: Run): Promise<boolean> {
    const lines = await readLog(this.#path(runName(run), "stats.jsonl"));
    return (lines.at(-1)?.images ?? 0) >= this.config.train.images &&
      await exists(this.#path(runName(run), "model.safetensors"));
  }

  async #sample(): Promise<void> {
    const jobs: Job[] = [];
    for (const run of this.runs) {
      for (const sampler of this.samplers) {
        const out = this.#path("samples", `${samplesName(run, sampler)}.npz`);
        if (await exists(out) || !await this.#isTrained(run)) continue;
        const name = samplesName(run, sampler);
        const num = this.args.num;
        const times = scheduleTimes(this.imm, sampler.schedule);
        jobs.push(
          run.engine === "imm"
            ? this.#immJob(name, [
              "sample",
              ...["--checkpoint", this.#path(runName(run)), "--seeds", `0-${num - 1}`],
              ...[...samplerOptions(sampler), "--batch", "250", "--out", out],
              ...this.#device(),
            ])
            : this.#pythonJob(name, [
              "sample",
              ...["--model", this.#path(runName(run), "model.safetensors")],
              ...["--times", JSON.stringify(times), "--num", String(num), "--out", out],
            ]),
        );
      }
    }
    await this.#runAll("sampling", jobs);
  }

  async #evaluate(): Promise<void> {
    const { args } = this;
    const jobs: Job[] = [];
    const add = async (name: string, images: string, extractor: string, more: string[] = []) => {
      const output = this.#path("scores", `${name}-${extractor}.json`);
      if (!await exists(images) || await exists(output)) return;
      const job = this.#immJob(`${name}-${extractor}`, [
        ...["eval", images, "--reference", args.reference ?? await testImages(args.data)],
        ...["--extractor", extractor === "pixels" ? extractor : this.#path(`${extractor}.onnx`)],
        ...["--metrics", extractor === "pixels" ? args.pixelMetrics : args.metrics],
        ...["--pad-to", String(this.config.data.padTo)],
        ...["--cache", extractor === "pixels" ? "none" : this.#path("features"), "--no-floor"],
        ...["--threads", String(args.threads), "--json", ...more],
      ]);
      jobs.push({ ...job, output });
    };
    const extractors = await this.#extractors();
    for (const extractor of extractors) {
      await add("real", args.data, extractor, ["--num", String(args.num)]);
    }
    // Before all others, which then find the features of the reference.
    await this.#runAll("evaluation of real images", jobs.splice(0));
    for (const extractor of extractors) {
      for (const run of this.runs) {
        for (const sampler of this.samplers) {
          const name = samplesName(run, sampler);
          await add(name, this.#path("samples", `${name}.npz`), extractor);
        }
      }
    }
    await this.#runAll("evaluation", jobs);
  }

  async #extractors(): Promise<string[]> {
    return await exists(this.#path("classifier.onnx")) ? ["pixels", "classifier"] : ["pixels"];
  }

  async #tables(): Promise<void> {
    const scores: Score[] = [];
    const logs: RunLog[] = [];
    const read = async (name: string, score: Omit<Score, "values">) => {
      const path = this.#path("scores", `${name}-${score.extractor}.json`);
      if (await exists(path)) {
        scores.push({ ...score, values: JSON.parse(await Deno.readTextFile(path)).values });
      }
    };
    for (const extractor of await this.#extractors()) {
      await read("real", { run: null, sampler: "", extractor });
      for (const run of this.runs) {
        for (const sampler of this.samplers) {
          await read(samplesName(run, sampler), { run, sampler: sampler.name, extractor });
        }
      }
    }
    for (const run of this.runs) {
      const lines = await readLog(this.#path(runName(run), "stats.jsonl"));
      if (lines.length > 0) logs.push({ run, lines });
    }
    const samplers = this.samplers.map(({ name }) => name);
    const results: Results = { M: this.imm.M, samplers, scores, logs };
    const tables = resultTables(results);
    const { args: { num }, config } = this;
    const record = JSON.stringify({ num, config, ...results }, null, 1) + "\n";
    await writeFileAtomic(this.#path("evidence.json"), record);
    await writeFileAtomic(this.#path("evidence.md"), tables);
    this.terminal.result(results, tables.trimEnd());
  }

  /** Runs processes; what fails is told at the very end, so that the others go on. */
  async #runAll(what: string, jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    this.terminal.say(`${what}: ${jobs.length} processes, ${this.args.jobs} at a time`);
    const say = (text: string) => this.terminal.say(text);
    await runJobs(jobs, { jobs: this.args.jobs, say }).catch((error) => {
      if (!(error instanceof ImmError)) throw error;
      this.#failures.push(error.message);
    });
  }

  #device(): string[] {
    return ["--device", this.args.device, "--threads", String(this.args.threads)];
  }

  #immJob(label: string, args: readonly string[]): Job {
    const main = fromFileUrl(import.meta.resolve("../../cli/main.ts"));
    return {
      label,
      command: [Deno.execPath(), ...denoArguments(), main, ...args],
      log: this.#path("logs", `${label}.log`),
    };
  }

  #pythonJob(label: string, args: readonly string[]): Job {
    if (this.python === null) {
      throw new UsageError("found no Python with torch and numpy; name one with --python");
    }
    const script = fromFileUrl(import.meta.resolve("../pytorch/experiment.py"));
    const { threads, torchDevice } = this.args;
    return {
      label,
      command: [
        ...[this.python, script, ...args],
        ...["--device", torchDevice, "--threads", String(threads)],
      ],
      log: this.#path("logs", `${label}.log`),
      ...pythonEnvironment(threads),
    };
  }
}

async function testImages(folder: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (/^t10k-images.*ubyte(\.gz)?$/.test(name)) return join(folder, name);
  }
  throw new UsageError(`${folder} has no file t10k-images-idx3-ubyte; give --reference`);
}

async function readLog(path: string): Promise<LogLine[]> {
  if (!await exists(path)) return [];
  const text = await Deno.readTextFile(path);
  return text.trim().split("\n").filter(Boolean).map((line) => {
    const { images, step, loss, seconds } = JSON.parse(line);
    return { images, step, loss, seconds };
  });
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
