/**
 * Whole training steps, and sampling in one step: this project's devices against the same step in
 * PyTorch's eager mode (bench/pytorch/step.py). Every engine and network gets a process of its own,
 * so that its peak memory is its own.
 *
 * @module
 */

import { fromFileUrl } from "jsr:@std/path@1.0.8";
import { UsageError } from "../lib/base/errors.ts";
import { median } from "../lib/base/clock.ts";
import { presetConfig } from "../lib/measure/training.ts";
import { parseTrainConfig, type TrainConfig } from "../lib/train/config/config.ts";
import { preset } from "../lib/train/config/presets.ts";
import { formatBytes } from "../lib/base/units.ts";
import { Child, ENGINES, isPyTorch } from "./child.ts";
import type { ClockName, JobSpec } from "./engine.ts";
import { findPython, pythonEnvironment } from "./python.ts";
import { short, table } from "./report.ts";

/** Seconds for a first run, compiling included. */
const PATIENCE = 100;

/** A network with the batches to measure it with. */
interface Case {
  readonly config: (batch?: number) => TrainConfig;
  readonly training: number;
  readonly sampling: number;
}

/** DDPM++ with 32 channels for 32x32 grey images. */
function ddpmpp32(batch = 8): TrainConfig {
  const { imm, optimizer, train, report } = preset("digits");
  return parseTrainConfig({
    data: { source: "none", labels: false },
    network: {
      type: "song_unet",
      modelChannels: 32,
      channelMult: [1, 2, 2],
      numBlocks: 1,
      attnResolutions: [16],
      dropout: 0,
    },
    imm,
    optimizer,
    train: { ...train, batch },
    report,
  }, { resolution: 32, channels: 1, classes: 0 });
}

const CASES: Readonly<Record<string, Case>> = {
  // What `imm quickstart` trains.
  digits: { config: (batch) => presetConfig("digits", batch), training: 128, sampling: 250 },
  "ddpmpp-32": { config: ddpmpp32, training: 8, sampling: 8 },
  "fashion-mnist": {
    config: (batch) => presetConfig("fashion-mnist", batch),
    training: 64,
    sampling: 64,
  },
  cifar10: { config: (batch) => presetConfig("cifar10", batch), training: 4, sampling: 4 },
};

/** What is compared, and how. */
export interface StepOptions {
  readonly engines: readonly string[];
  /** Names of networks; empty for all. */
  readonly presets: readonly string[];
  /** Images per step instead of each network's own. */
  readonly batch: number | null;
  readonly threads: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly clock: ClockName;
  readonly say: (text: string) => void;
}

/** One engine and one network. */
export type StepCell =
  | {
    readonly engine: string;
    readonly imagesPerSecond: number;
    /** Of the whole process. */
    readonly peakBytes: number | null;
  }
  | { readonly engine: string; readonly skipped: string };

/** One network. */
export interface StepRow {
  readonly network: string;
  readonly batch: number;
  readonly cells: readonly StepCell[];
}

/** Runs the comparison. */
export async function compareSteps(
  kind: "training" | "sampling",
  options: StepOptions,
): Promise<readonly StepRow[]> {
  const unknown = options.presets.find((name) => !(name in CASES));
  if (unknown !== undefined) {
    throw new UsageError(
      `there is no network ${unknown}; there are ${Object.keys(CASES).join(", ")}`,
    );
  }
  const able = ["imm-wasm", "imm-webgpu", "pytorch", "pytorch-cuda"].filter((name) =>
    options.engines.includes(name)
  );
  const reason = able.some(isPyTorch) ? await checkPython(options) : null;
  const rows: StepRow[] = [];
  for (const [network, each] of Object.entries(CASES)) {
    if (options.presets.length > 0 && !options.presets.includes(network)) continue;
    const batch = options.batch ?? each[kind];
    const job = { kind, config: each.config(kind === "training" ? batch : undefined), batch };
    const children = able.filter((name) => !isPyTorch(name) || reason === null)
      .map((name) => new Child(ENGINES.find((e) => e.name === name)!, options.threads));
    const cells = await compareJob(job, children, options);
    if (reason !== null) {
      cells.push(...able.filter(isPyTorch).map((engine) => ({ engine, skipped: reason })));
    }
    const row = { network, batch, cells };
    options.say(describeRow(kind, row));
    rows.push(row);
  }
  return rows;
}

async function compareJob(
  job: JobSpec,
  children: readonly Child[],
  { seconds, rounds, clock }: StepOptions,
): Promise<StepCell[]> {
  const skipped = new Map<Child, string>();
  const samples = new Map<Child, number[]>();
  const peaks = new Map<Child, number | null>();
  let parameters: number | null = null;
  try {
    for (const child of children) {
      await child.start();
      if (!child.usable) {
        skipped.set(child, child.description);
        continue;
      }
      const answer = await child.ask({ command: "prepare job", job }, PATIENCE);
      if (!("parameters" in answer)) {
        skipped.set(child, "skipped" in answer ? answer.skipped : "answered nonsense");
        continue;
      }
      parameters ??= answer.parameters;
      if (answer.parameters !== parameters) {
        skipped.set(child, `another network: ${answer.parameters} parameters, not ${parameters}`);
      } else samples.set(child, []);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [child, taken] of samples) {
        const share = seconds / rounds;
        const answer = await child.ask(
          { command: "time", seconds: share, clock },
          share + PATIENCE,
        );
        if ("samples" in answer) {
          taken.push(...answer.samples);
          peaks.set(child, answer.peakBytes);
        } else {
          skipped.set(child, "skipped" in answer ? answer.skipped : "answered nonsense");
          samples.delete(child);
        }
      }
    }
  } finally {
    for (const child of children) await child.end();
  }
  return children.map((child) => {
    const engine = child.entry.name;
    const why = skipped.get(child);
    if (why !== undefined) return { engine, skipped: why };
    const imagesPerSecond = job.batch / median(samples.get(child)!);
    return { engine, imagesPerSecond, peakBytes: peaks.get(child) ?? null };
  });
}

/** Whether PyTorch's step is the same step; else why it is not measured. */
async function checkPython({ say }: StepOptions): Promise<string | null> {
  const python = await findPython();
  if (python === null) return "no python3 with torch found; set IMM_PYTHON to one";
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: [
      fromFileUrl(import.meta.resolve("./pytorch/check.py")),
      fromFileUrl(import.meta.resolve("../tests/golden")),
    ],
    // The networks are tiny: more threads would only wait for each other.
    ...pythonEnvironment(1),
  }).output();
  const text = new TextDecoder().decode(stdout).trim();
  for (const line of text.split("\n").filter(Boolean)) {
    const { fixture, ok, parameters } = JSON.parse(line);
    say(
      `PyTorch's step against ${fixture}: ${ok ? "the same" : "different"}, ` +
        `error of the parameters ${Number(parameters).toExponential(1)}`,
    );
  }
  if (success) return null;
  const last = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  return `its step is not the same as in tests/golden ${last ?? ""}`.trim();
}

function describeRow(kind: string, { network, batch, cells }: StepRow): string {
  const lines = cells.map((cell) => {
    if ("skipped" in cell) return `  ${cell.engine.padEnd(14)} ${cell.skipped}`;
    const rate = `${short(cell.imagesPerSecond)} images/s`.padStart(20);
    const peak = cell.peakBytes === null ? "" : `   peak ${formatBytes(cell.peakBytes)}`;
    return `  ${cell.engine.padEnd(14)}${rate}${peak}`;
  });
  return [`${network}, ${kind}, batch ${batch}`, ...lines].join("\n");
}

/** Images per second and peak memory, and our speed as a multiple of PyTorch's. */
export function stepTables(kind: string, rows: readonly StepRow[]): string {
  const engines = [...new Set(rows.flatMap(({ cells }) => cells.map(({ engine }) => engine)))];
  const pairs = [["imm-wasm", "pytorch"], ["imm-webgpu", "pytorch-cuda"]]
    .filter((pair) => pair.every((name) => engines.includes(name)));
  const found = (row: StepRow, engine: string) =>
    row.cells.find((cell) => cell.engine === engine && "imagesPerSecond" in cell) as
      | Extract<StepCell, { imagesPerSecond: number }>
      | undefined;
  const body = rows.map((row) => {
    const ratio = (ours: string, theirs: string) => {
      const [a, b] = [found(row, ours), found(row, theirs)];
      return a && b ? short(a.imagesPerSecond / b.imagesPerSecond) : "-";
    };
    return [
      row.network,
      String(row.batch),
      ...engines.map((engine) => {
        const cell = found(row, engine);
        if (!cell) return "-";
        const peak = cell.peakBytes === null ? "" : ` (${formatBytes(cell.peakBytes)})`;
        return short(cell.imagesPerSecond) + peak;
      }),
      ...pairs.map(([ours, theirs]) => ratio(ours, theirs)),
    ];
  });
  return [
    `Images per second, ${kind} (peak memory of the process):`,
    "",
    table([kind, "batch", ...engines, ...pairs.map((pair) => pair.join(" / "))], body),
  ].join("\n");
}
