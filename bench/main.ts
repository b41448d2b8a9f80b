/**
 * Comparisons with what people would take instead, side by side on the same machine:
 *
 * ```sh
 * deno task bench                      # everything, about ten minutes
 * deno task bench gemm conv --threads 1 --engines imm-wasm,pytorch
 * deno task bench training sampling --json
 * ```
 *
 * Nothing here is a test: times are printed, never asserted. Results are compared before they are
 * timed.
 *
 * @module
 */

import { cpus } from "node:os";
import { choice, integer, number, parseOptions, ranges, text } from "../cli/base/options.ts";
import { Terminal } from "../cli/base/terminal.ts";
import { commonOptions } from "../cli/base/verb.ts";
import { ImmError, UsageError } from "../lib/base/errors.ts";
import { didYouMean } from "../lib/base/suggest.ts";
import { ENGINES } from "./child.ts";
import { compareKernels, GROUPS, kernelTables } from "./kernels.ts";
import { compareSteps, stepTables } from "./steps.ts";
import { measureStarts, startTable } from "./starts.ts";

const ALL = [...Object.keys(GROUPS), "training", "sampling", "start"];

const options = {
  engines: text({ help: "names, separated by commas (default: all)", value: "LIST" }),
  sizes: ranges({ help: "only these sizes of GEMM and resolutions of images", value: "LIST" }),
  presets: text({ help: "networks of training and sampling (default: all)", value: "LIST" }),
  batch: integer({ help: "images at once (default: 4 for operations)", min: 1 }),
  threads: integer({ help: "threads for everybody (default: the cores)", min: 1 }),
  seconds: number({ help: "of timing per engine and task", default: 2, min: 0.01 }),
  rounds: integer({ help: "how often the engines take turns", default: 2, min: 1 }),
  clock: choice(["wall", "cpu"], {
    help: "cpu counts the processor's time: for busy machines, with --threads 1",
    default: "wall",
  }),
  ...commonOptions,
};

async function main(): Promise<void> {
  const args = parseOptions("deno task bench", options, Deno.args, {
    value: "GROUP...",
    help: ALL.join(", "),
  });
  if (args.help) {
    console.log(`deno task bench [GROUP...] [options]\n\nGroups: ${ALL.join(", ")}\nOptions:`);
    for (const [name, { spec }] of Object.entries(options)) {
      console.log(`  --${name}  ${spec.help}`);
    }
    return;
  }
  const terminal = new Terminal(args);
  const groups = chosen(args._, ALL, "group");
  const names = ENGINES.map(({ name }) => name);
  const shared = {
    engines: chosen(args.engines?.split(",") ?? [], names, "engine"),
    batch: args.batch ?? null,
    threads: args.threads ?? navigator.hardwareConcurrency,
    seconds: args.seconds,
    rounds: args.rounds,
    clock: args.clock,
    say: (text: string) => terminal.say(text),
  };
  const machine = {
    processor: cpus()[0]?.model.trim() ?? Deno.build.arch,
    threads: shared.threads,
    clock: shared.clock,
    deno: Deno.version.deno,
    date: new Date().toISOString().slice(0, 10),
  };
  const results: Record<string, unknown> = { machine };
  const tables = [`${machine.processor}, ${machine.threads} threads, Deno ${machine.deno}`];
  const kernels = groups.filter((group) => group in GROUPS);
  if (kernels.length > 0) {
    const found = await compareKernels({ ...shared, groups: kernels, sizes: args.sizes ?? [] });
    results.kernels = found;
    tables.push(kernelTables(found));
  }
  for (const kind of ["training", "sampling"] as const) {
    if (!groups.includes(kind)) continue;
    const found = await compareSteps(kind, { ...shared, presets: args.presets?.split(",") ?? [] });
    results[kind] = found;
    tables.push(stepTables(kind, found));
  }
  if (groups.includes("start")) {
    const found = await measureStarts(shared);
    results.start = found;
    tables.push(startTable(found));
  }
  terminal.result(results, tables.join("\n\n"));
}

/** The given names, or all when none is given. */
function chosen(given: readonly string[], known: readonly string[], what: string): string[] {
  for (const name of given) {
    if (!known.includes(name)) {
      throw new UsageError(
        `there is no ${what} ${name}; there are ${known.join(", ")}${didYouMean(name, known)}`,
      );
    }
  }
  return given.length > 0 ? [...given] : [...known];
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
