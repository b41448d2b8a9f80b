/**
 * The command line: `imm VERB [options]`. Each verb is a file of this folder, loaded when used.
 *
 * @module
 */

import { ImmError, isSystemError, UsageError } from "../lib/base/errors.ts";
import { printable } from "../lib/base/printable.ts";
import { didYouMean } from "../lib/base/suggest.ts";
import { VERSION } from "../lib/base/version.ts";
import { groupHelp, programHelp, verbHelp } from "./base/help.ts";
import { guardSignals } from "./base/signals.ts";
import { currentStart, nameOf, nameProgram } from "./base/program.ts";
import { Terminal, type TerminalOptions } from "./base/terminal.ts";
import { parseVerb } from "./base/verb.ts";
import { findVerb, type VerbEntry, verbs as allVerbs, verbsUnder } from "./verbs.ts";

type Streams = Pick<TerminalOptions, "stdout" | "stderr">;

/**
 * Runs the command line and returns the exit code. Never throws. Tests give their own streams and
 * verbs.
 */
export async function main(
  args: readonly string[],
  streams: Streams = {},
  verbs: readonly VerbEntry[] = allVerbs,
): Promise<number> {
  // Errors can come before the options are parsed, and --verbose must hold for them too.
  const verbose = args.includes("--verbose") || args.includes("-v");
  try {
    return await dispatch(args, streams, verbs);
  } catch (error) {
    try {
      return report(error, new Terminal({ ...streams, verbose }));
    } catch {
      return error instanceof ImmError ? error.exitCode : 1; // nobody is left to be told
    }
  }
}

async function dispatch(
  args: readonly string[],
  streams: Streams,
  verbs: readonly VerbEntry[],
): Promise<number> {
  const terminal = new Terminal(streams);
  const [first] = args;
  if (first === "--version" || first === "-V") {
    terminal.result(VERSION, `imm ${VERSION}`);
    return 0;
  }
  if (first === "--help" || first === "-h" || (first === "help" && args.length === 1)) {
    terminal.result(undefined, programHelp(verbs).split("\n"));
    return 0;
  }
  if (first === undefined) {
    terminal.say(programHelp(verbs).split("\n"));
    return 2;
  }

  const words = first === "help" ? args.slice(1) : args;
  const found = findVerb(words, verbs);
  if (found === null) {
    const names = verbs.map((verb) => verb.name);
    const together = verbsUnder(words[0], verbs);
    if (together.length > 0) {
      const second = words[1];
      if (first === "help" && second === undefined || isHelp(second)) {
        terminal.result(undefined, groupHelp(words[0], together).split("\n"));
        return 0;
      }
      if (second === undefined) {
        terminal.say(groupHelp(words[0], together).split("\n"));
        return 2;
      }
      const seconds = together.map(({ name }) => name.slice(words[0].length + 1));
      throw new UsageError(
        second.startsWith("-")
          ? `imm ${words[0]} expects what to do: ${seconds.join(" or ")}.`
          : `imm ${words[0]} has no "${second}"${
            didYouMean(second, seconds) || `; there is ${seconds.join(" and ")}.`
          }`,
      );
    }
    // Of two words, where a verb of two is meant.
    const [name] = words;
    const hint = didYouMean(name, names) || didYouMean(words.slice(0, 2).join(" "), names) ||
      `; the verbs are ${names.join(", ")}.`;
    throw new UsageError(
      name.startsWith("-")
        ? `imm expects a verb before the options, but got ${name}; see "imm --help".`
        : `imm has no verb "${name}"${hint}`,
    );
  }
  const { entry, rest } = found;
  const verb = await entry.load();
  // Asked for help, the other options need not be right.
  const beforeRest = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (first === "help" || beforeRest.some(isHelp)) {
    terminal.result(undefined, verbHelp(verb, verbsUnder(entry.name, verbs)).split("\n"));
    return 0;
  }
  const parsed = parseVerb(verb, rest);
  return await verb.run(parsed, new Terminal({ ...parsed, ...streams })) ?? 0;
}

function isHelp(arg: string | undefined): boolean {
  return arg === "--help" || arg === "-h";
}

/** Prints an error in the form that its kind deserves, and returns its exit code. */
function report(error: unknown, terminal: Terminal): number {
  const stack = !terminal.verbose || !(error instanceof Error)
    ? []
    : [...stackLines(error), ...(error.cause instanceof Error ? causeLines(error.cause) : [])];
  // The reader of a pipe went away (`imm … | head`): nobody is left to be told.
  if (error instanceof Deno.errors.BrokenPipe) return 1;
  if (error instanceof ImmError) {
    terminal.error([error.message, ...stack]);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.NotCapable) {
    terminal.error([`Deno did not allow this: ${message}.`, ...stack]);
    return 1;
  }
  if (isSystemError(error)) {
    terminal.error([`The operating system refused: ${message}.`, ...stack]);
    return 1;
  }
  const name = error instanceof Error ? error.name : "Error";
  terminal.error([
    `This is a bug in imm ${VERSION}: ${name}: ${message}`,
    ...(stack.length > 0
      ? stack
      : ["Run the command again with --verbose to see where it happened."]),
    'Please report it with the command, its output and what "imm doctor" prints.',
  ]);
  return 1;
}

/** The stack, in which the message may have line breaks that are none. */
function stackLines({ stack = "", message }: Error): string[] {
  return stack.replace(message, () => printable(message)).split("\n");
}

function causeLines(cause: Error): string[] {
  const [first, ...rest] = stackLines(cause);
  return [`Caused by: ${first}`, ...rest];
}

if (import.meta.main) {
  guardSignals();
  nameProgram(nameOf(currentStart(import.meta.url)));
  Deno.exit(await main(Deno.args));
}
