/**
 * What a verb of the command line is: one file of this folder exports one as `verb`.
 *
 * @module
 */

import { flag, type OptionTable, type Parsed, parseOptions, type Positionals } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** Options that every verb has. */
export const commonOptions = {
  json: flag({ help: "print the result as JSON on standard output" }),
  quiet: flag({ help: "say nothing but results and errors", short: "q" }),
  verbose: flag({ help: "say more; errors come with a stack", short: "v" }),
  help: flag({ help: "show this help", short: "h" }),
};

/** A command to show in the help, and what it does. */
export interface Example {
  readonly command: string;
  readonly does: string;
}

/** A verb of the command line. */
export interface Verb<Table extends OptionTable = OptionTable> {
  readonly name: string;
  /** One line, as in the list of `imm --help`: `train a model`. */
  readonly summary: string;
  /** The form of the command: `imm train [options]`. */
  readonly usage: string;
  readonly examples: readonly Example[];
  readonly options: Table;
  /** Positional arguments; without this the verb takes none. */
  readonly positionals?: Positionals;
  /**
   * Does the work. Results go to `terminal.result`, words for people to `terminal.say`. Throws an
   * `ImmError` for everything that a person can mend; `UsageError` before anything is written.
   * The value is the exit code when it is not 0.
   */
  run(
    args: Parsed<Table & typeof commonOptions>,
    terminal: Terminal,
  ): Promise<number | void>;
}

/** Checks a verb's types: `run` sees the parsed options as their table declares them. */
export function defineVerb<const Table extends OptionTable>(verb: Verb<Table>): Verb<Table> {
  return verb;
}

/** Parses the arguments after the verb, its own options and the common ones. */
export function parseVerb<Table extends OptionTable>(
  verb: Verb<Table>,
  args: readonly string[],
): Parsed<Table & typeof commonOptions> {
  return parseOptions(
    `imm ${verb.name}`,
    { ...verb.options, ...commonOptions },
    args,
    verb.positionals,
  ) as Parsed<Table & typeof commonOptions>;
}
