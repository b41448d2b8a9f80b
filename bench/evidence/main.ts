/**
 * The same experiment here and in PyTorch: the preset `fashion-mnist` with one budget of images,
 * from the same initial weights and with the same data order, times and noise; sampled in 1, 2, 4
 * and 8 steps from the same latents; scored by `imm eval`. And the same for several M.
 *
 * ```sh
 * deno task evidence --data /usr/share/datasets/fashion-mnist --out runs/evidence --images 64000
 * deno task evidence --out runs/evidence --only eval,table    # what is there already is kept
 * ```
 *
 * @module
 */

import { fromFileUrl, join } from "jsr:@std/path@^1";
import { choice, flagName, integer, parseOptions, ranges, size, text } from "../../cli/options.ts";
import { Terminal } from "../../cli/terminal.ts";
import { commonOptions } from "../../cli/verb.ts";
import { ImmError, UsageError } from "../../lib/errors.ts";
import { writeFileAtomic } from "../../lib/format/atomic.ts";
import { openSafetensors } from "../../lib/format/safetensors.ts";
import { scheduleTimes } from "../../lib/imm/mod.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import type { HostTensor } from "../../lib/nn/parameters.ts";
import type { TrainConfig } from "../../lib/train/config.ts";
import { PRESET_NAMES } from "../../lib/train/presets.ts";
import { resolveConfig } from "../../lib/train/run.ts";
import { denoArguments } from "../child.ts";
import { findPython, pythonEnvironment } from "../python.ts";
import { classifierOnnx } from "./classifier.ts";
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

const STAGES = ["classifier", "train", "sample", "eval", "table"] as const;
type Stage = typeof STAGES[number];

const options = {
  data: text({ help: "folder of the IDX files", default: "/usr/share/datasets/fashion-mnist" }),
  out: text({ help: "folder for everything that is made", value: "DIR", required: true }),
  preset: choice(PRESET_NAMES, {
    help: "the configuration",
    default: "fashion-mnist",
    value: "NAME",
  }),
  images: size({ help: "images of training, of every run", default: 64_000, min: 1 }),
  set: text({ help: "override a key of the configuration", value: "KEY=VALUE", repeat: true }),
  engines: text({ help: "imm, pytorch or both", default: RUN_ENGINES.join(","), value: "LIST" }),
  seeds: ranges({ help: "seeds of the comparison of the engines", default: [0, 1, 2] }),
  particles: ranges({ help: "values of M that are compared", default: [1, 2, 4, 8] }),
  particleSeeds: ranges({ help: "seeds of the comparison of M", default: [0, 1, 2] }),
  samplers: text({ help: "numbers of steps, or eta:X", default: "1,2,4,8", value: "LIST" }),
  num: integer({ help: "samples of each set", default: 5000, min: 20 }),
  metrics: text({ help: "metrics of imm eval", default: "fd,kd", value: "LIST" }),
  reference: text({ help: "real images (default: the test images of --data)", value: "DATA" }),
  only: text({ help: `of ${STAGES.join(", ")} (default: all)`, value: "LIST" }),
  device: choice(["auto", "webgpu", "wasm"], { help: "of imm", default: "auto" }),
  torchDevice: choice(["cpu", "cuda"], { help: "of PyTorch", default: "cpu" }),
  python: text({ help: "a Python with torch and numpy (default: IMM_PYTHON, python3)" }),
  jobs: integer({ help: "processes at a time", default: 1, min: 1 }),
  threads: integer({ help: "threads of each process", default: 1, min: 1 }),
  ...commonOptions,
};

type Args = ReturnType<typeof parseArguments>;

function parseArguments(args: readonly string[]) {
  return parseOptions("deno task evidence", options, args);
}

/** Does what the arguments say and returns the tables. */
class Experiment {
  private constructor(
    private readonly args: Args,
    private readonly config: TrainConfig,
    private readonly runs: readonly Run[],
    private readonly samplers: readonly Sampler[],
    private readonly python: string | null,
    private readonly terminal: Terminal,
  ) {}

  static async open(args: Args, terminal: Terminal): Promise<Experiment> {
    const samplers = parseSamplers(args.samplers);
    const engines = listed(args.engines, RUN_ENGINES, "--engines");
    const { config, data } = await resolveConfig({
      preset: args.preset,
      data: args.data,
      settings: [`train.images=${args.images}`, ...args.set],
    });
    data.close();
    const runs = planRuns({ ...args, engines, M: config.imm.M });
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
    for (const folder of ["", "setup", "logs", "samples", "scores"]) {
      await Deno.mkdir(this.#path(folder), { recursive: true });
    }
    if (stages.includes("classifier")) await this.#classifier();
    if (stages.includes("train")) await this.#train();
    if (stages.includes("sample")) await this.#sample();
    if (stages.includes("eval")) await this.#evaluate();
    if (stages.includes("table")) await this.#tables();
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
    const { imgResolution } = this.config.network as { readonly imgResolution: number };
    using file = await openSafetensors(weights);
    const tensors = new Map<string, HostTensor>();
    for (const [name, { shape }] of file.entries) {
      tensors.set(name, { shape, data: (await file.read(name)).toFloat32() });
    }
    this.terminal.say(`the classifier is right on ${file.metadata.accuracy} of the test images`);
    const bytes = classifierOnnx(tensors, imgResolution, weights);
    await writeFileAtomic(model, (write) => write(bytes));
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
      imm: { ...this.config.imm, M: run.M },
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
    await writeFileAtomic(path, (write) => write(JSON.stringify(config, null, 2) + "\n"));
    const initial = this.#path("setup", `m${run.M}-s${run.seed}.safetensors`);
    if (run.engine === "pytorch") {
      const { network, imm } = config;
      const weights = createNetwork(network).parameters.initial(run.seed);
      await saveModel(initial, { network, imm, notes: {}, weights });
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
        if (await exists(out)) continue;
        const name = samplesName(run, sampler);
        const num = this.args.num;
        const times = scheduleTimes(this.config.imm, sampler.schedule);
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
        ...["--metrics", args.metrics, "--pad-to", String(this.config.data.padTo)],
        ...["--cache", extractor === "pixels" ? "none" : this.#path("features"), "--no-halves"],
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
    const results: Results = { M: this.config.imm.M, samplers, scores, logs };
    const tables = resultTables(results);
    const { args: { num }, config } = this;
    const record = JSON.stringify({ num, config, ...results }, null, 1) + "\n";
    await writeFileAtomic(this.#path("evidence.json"), (write) => write(record));
    await writeFileAtomic(this.#path("evidence.md"), (write) => write(tables));
    this.terminal.result(results, tables.trimEnd());
  }

  async #runAll(what: string, jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    this.terminal.say(`${what}: ${jobs.length} processes, ${this.args.jobs} at a time`);
    const say = (text: string) => this.terminal.say(text);
    await runJobs(jobs, { jobs: this.args.jobs, say });
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

/** Words of a list, all of them known. */
function listed<Word extends string>(
  given: string,
  known: readonly Word[],
  option: string,
): Word[] {
  return given.split(",").map((word) => {
    const found = known.find((each) => each === word);
    if (!found) throw new UsageError(`${option} takes ${known.join(", ")}, but got "${word}"`);
    return found;
  });
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

async function main(): Promise<void> {
  const args = parseArguments(Deno.args);
  if (args.help) {
    console.log("deno task evidence --out DIR [options]\n\nOptions:");
    for (const [name, { spec }] of Object.entries(options)) {
      console.log(`  ${flagName(name)}  ${spec.help}`);
    }
    return;
  }
  const stages = listed(args.only ?? STAGES.join(","), STAGES, "--only");
  const experiment = await Experiment.open(args, new Terminal(args));
  await experiment.run(stages);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    new Terminal().error(error.message);
    Deno.exit(error.exitCode);
  }
}
