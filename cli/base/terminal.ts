/**
 * Where a verb's words go: results to standard output, everything for people to standard error.
 *
 * @module
 */

import { printable, printableJson } from "../../lib/base/printable.ts";
import { asTyped } from "./program.ts";
import { NullProgress, PlainProgress, type Progress, TerminalProgress } from "./progress.ts";

/** How much a verb says, and how. */
export interface TerminalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** Receives standard output; tests put their own. */
  readonly stdout?: Sink;
  /** Receives standard error. */
  readonly stderr?: Sink;
}

/** One line, or several. Control characters in a line are shown and not obeyed; see `printable`. */
export type Lines = string | readonly string[];

/** A stream of text that may be a terminal. */
export interface Sink {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Characters in a line of the terminal. */
  columns(): number;
}

/**
 * Names that results do not have: what they would say has one name in all of them (docs/formats.md),
 * `path`, `sha256` and `count`.
 */
type OtherNames = "out" | "file" | "folder" | "contentHash" | "hash" | "samplesCount";

/** A result without {@link OtherNames}; another is an error of types. */
export type OneName<Value> = Extract<keyof Value, OtherNames> extends never ? Value
  : { readonly [Name in Extract<keyof Value, OtherNames>]: never };

/** Standard output and standard error as a verb sees them. */
export class Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Whether standard error shows colours. */
  readonly colors: boolean;
  /** Whether standard output is a terminal: pictures may be drawn there. */
  readonly interactive: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  #progress: Progress | undefined;

  constructor(options: TerminalOptions = {}) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.verbose = options.verbose ?? false;
    this.#stdout = options.stdout ?? streamSink(Deno.stdout);
    this.#stderr = options.stderr ?? streamSink(Deno.stderr);
    // https://no-color.org: any value that is not empty. Deno.noColor knows it without permission.
    this.colors = this.#stderr.isTerminal && !Deno.noColor;
    this.interactive = this.#stdout.isTerminal;
  }

  /**
   * Prints the result of a verb on standard output: with `--json` the value as one line of JSON,
   * else the text. Numbers that JSON does not have (NaN, infinities) become null.
   */
  result<Value>(value: OneName<Value>, text: Lines | (() => Lines)): void {
    this.#progress?.clear();
    if (this.json) return this.#stdout.write(printableJson(JSON.stringify(value)) + "\n");
    const lines = typeof text === "function" ? text() : text;
    if (lines.length > 0) this.#stdout.write(inLines(lines));
  }

  /** The same with a text that is printed as it is: a script. */
  script(value: unknown, text: string): void {
    if (this.json) return this.result(value, "");
    this.#progress?.clear();
    this.#stdout.write(text.trimEnd() + "\n");
  }

  /** Says something to people on standard error, unless `--quiet`. */
  say(text: Lines): void {
    if (this.quiet) return;
    this.#progress?.clear();
    this.#stderr.write(inLines(text));
  }

  /** Draws what `renderImage` made, with its colours, on standard error, unless `--quiet`. */
  picture(text: string): void {
    if (this.quiet) return;
    this.#progress?.clear();
    this.#stderr.write(text + "\n");
  }

  /** Says it only with `--verbose`. */
  detail(text: Lines): void {
    if (this.verbose) this.say(text);
  }

  /** Warns on standard error, also with `--quiet`. */
  warn(text: string): void {
    this.#progress?.clear();
    this.#stderr.write(`${this.#paint("33", "warning:")} ${inLines(text)}`);
  }

  /** Prints an error, and lines below it; the program then ends. */
  error(text: Lines): void {
    this.#progress?.clear();
    this.#stderr.write(`${this.#paint("31", "error:")} ${inLines(text)}`);
  }

  /** Writes a line for the system that runs the program to standard error, also with `--quiet`. */
  command(line: string): void {
    this.#progress?.clear();
    this.#stderr.write(line + "\n");
  }

  /**
   * Begins to show the progress of `total` units of work, named by `unit` (`images`). On a terminal
   * it is a bar; otherwise a line now and then; with `--quiet` nothing. Call `finish()` at the end.
   *
   * @param from units that were done before, by a run that is now continued
   */
  progress(label: string, total: number, unit: string, from = 0): Progress {
    const progress = this.quiet
      ? new NullProgress()
      : this.#stderr.isTerminal
      ? new TerminalProgress(label, total, unit, this.#stderr, from)
      : new PlainProgress(label, total, unit, this.#stderr, from);
    this.#progress = progress;
    return progress;
  }

  #paint(code: string, text: string): string {
    return this.colors ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

function inLines(text: Lines): string {
  return [text].flat().map((line) => `${asTyped(printable(line))}\n`).join("");
}

/** Streams whose reader or terminal went away. */
const gone = new Set<unknown>();

/**
 * A stream of the operating system as a sink. Writes are synchronous: nothing is lost on exit. Once a
 * write has failed (the reader of a pipe ended, the terminal was closed), later ones do nothing: who
 * ends because of the first must be able to end in good order.
 */
export function streamSink(stream: typeof Deno.stdout | typeof Deno.stderr): Sink {
  const encoder = new TextEncoder();
  return {
    write(text) {
      if (gone.has(stream)) return;
      let bytes = encoder.encode(text);
      try {
        while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
      } catch (error) {
        gone.add(stream);
        throw error;
      }
    },
    isTerminal: stream.isTerminal(),
    columns: terminalColumns,
  };
}

/**
 * Characters in a line of the terminal. Where nobody knows it is 80: serial consoles and the
 * terminals of containers report 0.
 *
 * @param ask the size as the system tells it; tests give their own
 */
export function terminalColumns(ask: () => { columns: number } = Deno.consoleSize): number {
  try {
    return ask().columns || 80;
  } catch { // no terminal after all
    return 80;
  }
}
