/**
 * Single operations on every engine. Before anything is timed, each engine's result is compared
 * with that of the first one that ran, which is ours.
 *
 * @module
 */

import { compile } from "../lib/compile/compile.ts";
import { planFlops } from "../lib/compile/flops.ts";
import { median } from "../lib/base/clock.ts";
import { type KernelTask, taskInputs, taskName, taskProgram } from "../lib/measure/tasks.ts";
import { Child, ENGINES } from "./child.ts";
import type { ClockName, Values } from "./engine.ts";
import { short, table } from "./report.ts";

/** Results may differ by this much of the largest number: other orders of summation in float32. */
const TOLERANCE = 2e-4;
/** Seconds after which an engine is given up for a task: compiling, one run, reading back. */
const PATIENCE = 60;

/** Larger products keep graphics processors busy, and processors too long. */
const LARGEST_UNASKED = 2048;

const batch = 4;
const channels = { inChannels: 256, outChannels: 256 };
const passes = ["forward", "input gradient", "weight gradient"] as const;

/** The tasks by group; the shapes are those of the CIFAR-10 network. */
export const GROUPS: Readonly<Record<string, readonly KernelTask[]>> = {
  gemm: [256, 512, 1024, 2048, 4096].map((size) => ({ kind: "gemm", size })),
  conv: [32, 16, 8].flatMap((resolution) =>
    passes.map((pass) => ({ kind: "conv", pass, batch, resolution, ...channels } as const))
  ),
  norm: (["forward", "gradient"] as const).map((pass) => (
    { kind: "norm", pass, batch, resolution: 32, channels: 256, groups: 32 }
  )),
  attention: (["forward", "gradient"] as const).map((pass) => (
    { kind: "attention", pass, batch, tokens: 16 * 16, channels: 256 }
  )),
};

/** How the groups are run. */
export interface KernelOptions {
  readonly groups: readonly string[];
  readonly engines: readonly string[];
  /** Sizes of GEMM and resolutions of convolutions to keep; empty for all. */
  readonly sizes: readonly number[];
  /** Images at once; null for the tasks' own. */
  readonly batch: number | null;
  readonly threads: number;
  /** Seconds of timing per engine and task. */
  readonly seconds: number;
  /** The engines take turns this many times. */
  readonly rounds: number;
  readonly clock: ClockName;
  readonly say: (text: string) => void;
}

/** One engine and one task. */
export type Cell =
  | { readonly engine: string; readonly seconds: number; readonly worstError: number }
  | { readonly engine: string; readonly skipped: string };

/** All engines and one task. */
export interface Row {
  readonly task: string;
  readonly flops: number;
  readonly cells: readonly Cell[];
}

/** What the groups gave. */
export interface KernelResults {
  readonly engines: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

/** Runs the groups. */
export async function compareKernels(options: KernelOptions): Promise<KernelResults> {
  const entries = ENGINES.filter(({ name }) => options.engines.includes(name));
  const children = entries.map((entry) => new Child(entry, options.threads));
  try {
    for (const child of children) {
      await child.start();
      options.say(`${child.entry.name}: ${child.usable ? "" : "skipped: "}${child.description}`);
    }
    const tasks = options.groups.flatMap((group) => GROUPS[group])
      .filter((task) =>
        options.sizes.length === 0
          ? sizeOf(task) <= LARGEST_UNASKED
          : options.sizes.includes(sizeOf(task))
      )
      .map((task) => options.batch && "batch" in task ? { ...task, batch: options.batch } : task);
    const rows: Row[] = [];
    for (const task of tasks) {
      const row = await compareTask(task, children.filter(({ usable }) => usable), options);
      options.say(describeRow(row));
      rows.push(row);
    }
    return {
      engines: Object.fromEntries(children.map(({ entry, description }) => [
        entry.name,
        description,
      ])),
      rows,
    };
  } finally {
    for (const child of children) await child.end();
  }
}

/** The number that `--sizes` selects a task by. */
function sizeOf(task: KernelTask): number {
  switch (task.kind) {
    case "gemm":
      return task.size;
    case "attention":
      return Math.sqrt(task.tokens);
    default:
      return task.resolution;
  }
}

async function compareTask(
  task: KernelTask,
  children: readonly Child[],
  { seconds, rounds, clock }: KernelOptions,
): Promise<Row> {
  const folder = await Deno.makeTempDir({ prefix: "imm-bench-" });
  try {
    for (const [name, values] of Object.entries(taskInputs(task))) {
      await Deno.writeFile(`${folder}/${name}.f32`, new Uint8Array(values.buffer));
    }
    const skipped = new Map<Child, string>();
    const errors = new Map<Child, number>();
    const samples = new Map<Child, number[]>();
    let expected: Values | null = null;
    for (const child of children) {
      const answer = await child.ask({ command: "prepare", task, folder }, PATIENCE);
      if (!("outputs" in answer)) {
        skipped.set(child, "skipped" in answer ? answer.skipped : "answered nonsense");
        continue;
      }
      const found = await readOutputs(folder, answer.outputs);
      expected ??= found;
      const error = worstError(found, expected);
      errors.set(child, error);
      // Written so that NaN is wrong.
      if (!(error <= TOLERANCE)) {
        skipped.set(child, `computes something else: an error of ${error.toExponential(1)}`);
      } else samples.set(child, []);
    }
    for (let round = 0; round < rounds; round++) {
      for (const [child, taken] of samples) {
        const share = seconds / rounds;
        const answer = await child.ask(
          { command: "time", seconds: share, clock },
          share + PATIENCE,
        );
        if ("samples" in answer) taken.push(...answer.samples);
        else {
          skipped.set(child, "skipped" in answer ? answer.skipped : "answered nonsense");
          samples.delete(child);
        }
      }
    }
    for (const child of children) {
      if (child.usable) await child.ask({ command: "free" }, PATIENCE);
    }
    return {
      task: taskName(task),
      flops: planFlops(compile(taskProgram(task))),
      cells: children.map((child) => {
        const engine = child.entry.name;
        const why = skipped.get(child);
        if (why !== undefined) return { engine, skipped: why };
        const taken = samples.get(child)!;
        return { engine, seconds: median(taken), worstError: errors.get(child)! };
      }),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readOutputs(folder: string, names: readonly string[]): Promise<Values> {
  const values: Values = {};
  for (const name of names) {
    const bytes = await Deno.readFile(`${folder}/out-${name}.f32`);
    values[name] = new Float32Array(bytes.buffer);
  }
  return values;
}

/** Largest difference of any output, relative to its largest number; NaN when shapes differ. */
function worstError(found: Values, expected: Values): number {
  const errors = Object.entries(expected).map(([name, values]) => {
    if (found[name]?.length !== values.length) return NaN;
    let difference = 0, largest = 0;
    for (let i = 0; i < values.length; i++) {
      const error = Math.abs(found[name][i] - values[i]);
      if (!(error <= difference)) difference = error;
      largest = Math.max(largest, Math.abs(values[i]));
    }
    return difference / largest;
  });
  return errors.some(Number.isNaN) ? NaN : Math.max(...errors);
}

function describeRow({ task, flops, cells }: Row): string {
  const lines = cells.map((cell) => {
    if ("skipped" in cell) return `  ${cell.engine.padEnd(14)} ${cell.skipped}`;
    const { engine, seconds } = cell;
    const ms = `${short(seconds * 1000)} ms`.padStart(12);
    const rate = flops > 0 ? `${short(flops / seconds / 1e9)} GFLOP/s`.padStart(16) : "";
    return `  ${engine.padEnd(14)}${ms}${rate}`;
  });
  return [task, ...lines].join("\n");
}

/**
 * Two tables: milliseconds, and how many times as fast ours is on the same device; PyTorch is
 * compared with our wasm device, or on CUDA with our webgpu device.
 */
export function kernelTables({ rows }: KernelResults): string {
  const names = ENGINES.map(({ name }) => name)
    .filter((name) => rows.some((row) => secondsOf(row, name) !== null));
  const cell = (row: Row, name: string, text: (seconds: number) => string) => {
    const seconds = secondsOf(row, name);
    return seconds === null ? "-" : text(seconds);
  };
  const times = rows.map((row) => [
    row.task,
    ...names.map((name) => cell(row, name, (seconds) => short(seconds * 1000))),
  ]);
  const rivals = ENGINES.filter(({ name }) => names.includes(name) && !name.startsWith("imm-"));
  const ratios = rows.map((row) => [
    row.task,
    ...rivals.map(({ name, device }) => {
      const ours = secondsOf(row, device === "webgpu" ? "imm-webgpu" : "imm-wasm");
      return ours === null ? "-" : cell(row, name, (seconds) => short(seconds / ours));
    }),
  ]);
  return [
    "Milliseconds:",
    "",
    table(["", ...names], times),
    "",
    "How many times as fast imm is on the same device (pytorch: as imm-wasm):",
    "",
    table(["", ...rivals.map(({ name }) => name)], ratios),
  ].join("\n");
}

function secondsOf(row: Row, engine: string): number | null {
  const cell = row.cells.find((cell) => cell.engine === engine);
  return cell && "seconds" in cell ? cell.seconds : null;
}
