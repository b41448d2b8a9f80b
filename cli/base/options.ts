/**
 * Option tables: a verb declares its options once, and from the table come parsing, types,
 * defaults, error messages and the help text.
 *
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const options = {
 *   steps: integer({ help: "sampling steps", default: 2, min: 1 }),
 *   out: text({ help: "folder to write to", value: "DIR", required: true }),
 *   set: text({ help: "override a configuration key", value: "KEY=VALUE", repeat: true }),
 * };
 * const args = parseOptions("imm sample", options, ["--out", "x", "--set", "imm.k=14"]);
 * assert.equal(args.steps, 2); // a number
 * assert.deepEqual(args.set, ["imm.k=14"]);
 * ```
 *
 * @module
 */

import { parseArgs } from "jsr:@std/cli@1.0.17/parse-args";
import { UsageError } from "../../lib/base/errors.ts";
import { didYouMean } from "../../lib/base/suggest.ts";
import { formatRanges, formatSize, parseRanges, parseSize } from "../../lib/base/units.ts";

/** What a table says of one option, whatever its type. */
export interface Spec<Value> {
  /** One line for people, in lower case, without a full stop. */
  readonly help: string;
  /** What the value stands for in the help: `FILE`, `N`, `KEY=VALUE`. */
  readonly value?: string;
  /** A one-letter name. */
  readonly short?: string;
  /** The value when the option is not given. */
  readonly default?: Value;
  /** The option must be given. */
  readonly required?: boolean;
  /** The option may be given several times; its value is the list. Else the last one counts. */
  readonly repeat?: boolean;
}

/** Limits of a number, both inclusive. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** One option of a table. `Result` is the type of its parsed value. */
export interface Option<Result> {
  readonly spec: Spec<unknown>;
  readonly kind: "flag" | "value";
  /** Turns the text of the command line into a value, or throws `UsageError`. */
  readonly parse: (text: string, flag: string) => unknown;
  /** Turns a default back into text for the help (default: `String`). */
  readonly format?: (value: unknown) => string;
  /** The values that there are, where they can be listed. */
  readonly words?: readonly string[];
  /** The keys that there are, where a value is `KEY=VALUE`. */
  readonly keys?: readonly string[];
  /** Only a type: no option holds a result. */
  readonly result?: Result;
}

/** Options by name; `batchSize` is `--batch-size` on the command line. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The positional arguments that a verb takes. */
export interface Positionals {
  /** What they stand for in the help: `FILE...`. */
  readonly value: string;
  readonly help: string;
  /** The values that there are, where they can be listed. */
  readonly words?: readonly string[];
  /** How many there must be (default 0). */
  readonly min?: number;
  /** How many there may be (default any number). */
  readonly max?: number;
}

/** The parsed command line of a verb with the options `Table`. */
export type Parsed<Table extends OptionTable> =
  & { readonly [Name in keyof Table]: Table[Name] extends Option<infer Result> ? Result : never }
  & { readonly _: readonly string[] };

type Result<Value, S> = S extends { repeat: true } ? Value[]
  : S extends { default: Value } | { required: true } ? Value
  : Value | undefined;

/** `--name`, true or false. With the default true, `--no-name` makes it false. */
export function flag(spec: Omit<Spec<boolean>, "value" | "repeat" | "required">): Option<boolean> {
  return { spec, kind: "flag", parse: (text) => text !== "false" };
}

/** Any text. */
export function text<const S extends Spec<string>>(spec: S): Option<Result<string, S>> {
  return { spec: { value: "TEXT", ...spec }, kind: "value", parse: (text) => text };
}

/** A number, whole or not: `1.5`, `-3`, `1e-4`. */
export function number<const S extends Spec<number> & Bounds>(
  spec: S,
): Option<Result<number, S>> {
  return {
    spec: { value: "X", ...spec },
    kind: "value",
    parse(text, flag) {
      const value = text.trim() === "" ? NaN : Number(text);
      if (!Number.isFinite(value)) {
        throw new UsageError(`${flag} expects a number, but got "${text}".`);
      }
      return inBounds(value, spec, flag);
    },
  };
}

/** A whole number in decimal digits. */
export function integer<const S extends Spec<number> & Bounds>(
  spec: S,
): Option<Result<number, S>> {
  return {
    spec: { value: "N", ...spec },
    kind: "value",
    parse(text, flag) {
      const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
      if (!Number.isSafeInteger(value)) {
        throw new UsageError(`${flag} expects a whole number, but got "${text}".`);
      }
      return inBounds(value, spec, flag);
    },
  };
}

/** A count with an optional suffix: `500`, `64Ki`, `8Mi`. */
export function size<const S extends Spec<number> & Bounds>(spec: S): Option<Result<number, S>> {
  return {
    spec: { value: "N", ...spec },
    kind: "value",
    parse: (text, flag) => inBounds(parseSize(text, flag), spec, flag),
    format: (value) => formatSize(value as number),
  };
}

/** Whole numbers and ranges: `0-63,70`. The default is given as the numbers themselves. */
export function ranges<const S extends Spec<readonly number[]>>(
  spec: S,
): Option<Result<readonly number[], S>> {
  return {
    spec: { value: "LIST", ...spec },
    kind: "value",
    parse: parseRanges,
    format: (value) => formatRanges(value as readonly number[]),
  };
}

/** One of a few words. */
export function choice<const Word extends string, const S extends Spec<NoInfer<Word>>>(
  words: readonly Word[],
  spec: S,
): Option<Result<Word, S>> {
  return {
    spec: { value: words.join("|"), ...spec },
    kind: "value",
    words,
    parse(text, flag) {
      if (!(words as readonly string[]).includes(text)) {
        throw new UsageError(
          `${flag} expects one of ${words.join(", ")}, but got "${text}"${
            didYouMean(text, words) || "."
          }`,
        );
      }
      return text;
    },
  };
}

/** `KEY=VALUE`, any number of times; what fits which key is for the configuration to say. */
export function settings(keys: readonly string[], spec: { help: string }): Option<string[]> {
  return {
    spec: { value: "KEY=VALUE", repeat: true, ...spec },
    kind: "value",
    keys,
    parse: (text) => text,
  };
}

function inBounds(value: number, { min = -Infinity, max = Infinity }: Bounds, flag: string) {
  if (value >= min && value <= max) return value;
  const range = max === Infinity
    ? `at least ${min}`
    : min === -Infinity
    ? `at most ${max}`
    : `between ${min} and ${max}`;
  throw new UsageError(`${flag} must be ${range}, but is ${value}.`);
}

/** `batchSize` is written `--batch-size`. */
export function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Parses what follows the verb. Throws `UsageError` for an unknown option, a missing or malformed
 * value, and too few or too many positional arguments; `command` names the verb in the message.
 */
export function parseOptions<const Table extends OptionTable>(
  command: string,
  table: Table,
  args: readonly string[],
  positionals?: Positionals,
): Parsed<Table> {
  const entries = Object.entries(table);
  const longNames = new Map(entries.map(([name, option]) => [flagName(name).slice(2), option]));
  const named = (wanted: (option: Option<unknown>) => unknown) =>
    [...longNames].filter(([, option]) => wanted(option)).map(([long]) => long);
  const alias = Object.fromEntries(
    [...longNames].filter(([, option]) => option.spec.short !== undefined)
      .map(([long, option]) => [long, option.spec.short!]),
  );

  let unknown: string | undefined;
  const parsed: Record<string, unknown> = parseArgs(attachValues(args, longNames, alias), {
    string: ["_", ...named((option) => option.kind === "value")],
    boolean: named((option) => option.kind === "flag"),
    collect: named((option) => option.spec.repeat),
    negatable: named((option) => option.kind === "flag" && option.spec.default === true),
    default: Object.fromEntries(
      named((option) => option.kind === "flag" && option.spec.default).map((long) => [long, true]),
    ),
    alias,
    unknown: (arg) => {
      if (/^-./.test(arg)) unknown ??= arg;
    },
  });
  if (unknown !== undefined) throw unknownOption(command, unknown, table);

  const result: Record<string, unknown> = {
    _: checkPositionals(command, parsed._ as string[], positionals),
  };
  for (const [name, option] of entries) {
    const { spec } = option;
    const long = flagName(name);
    const given = parsed[long.slice(2)];
    if (option.kind === "flag") {
      result[name] = given;
      continue;
    }
    const texts = spec.repeat ? given as string[] : given === undefined ? [] : [given as string];
    const values = texts.map((text) => {
      if (text === "") throw missingValue(long, option);
      return option.parse(text, long);
    });
    if (values.length === 0 && spec.required) {
      throw new UsageError(
        `${command} needs ${long} ${spec.value} (${spec.help}); see "${command} --help".`,
      );
    }
    if (values.length === 0) result[name] = spec.default ?? (spec.repeat ? [] : undefined);
    else result[name] = spec.repeat ? values : values[0];
  }
  return result as Parsed<Table>;
}

/**
 * Writes `--out X` as `--out=X` for the options that take a value. It makes explicit which
 * argument is whose: `--shift -1.5` is a number and not an option, `--out -` is a value.
 */
function attachValues(
  args: readonly string[],
  longNames: ReadonlyMap<string, Option<unknown>>,
  alias: Readonly<Record<string, string>>,
): string[] {
  const takesValue = (arg: string): string | undefined => {
    const name = arg.startsWith("--")
      ? arg.slice(2)
      : Object.keys(alias).find((long) => `-${alias[long]}` === arg);
    return name !== undefined && longNames.get(name)?.kind === "value" ? name : undefined;
  };
  const attached: string[] = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--") return [...attached, ...args.slice(i)];
    const next = args[i + 1];
    const isValue = next !== undefined && next !== "" && !/^-[^\d.]/.test(next);
    const empty = /^--([^=]+)=$/.exec(args[i]);
    if (takesValue(args[i]) !== undefined && isValue) {
      attached.push(`--${takesValue(args[i])}=${next}`);
      i++;
    } else if (empty && takesValue(`--${empty[1]}`)) {
      throw missingValue(`--${empty[1]}`, longNames.get(empty[1])!);
    } else attached.push(args[i]);
  }
  return attached;
}

function missingValue(long: string, option: Option<unknown>): UsageError {
  return new UsageError(`${long} needs a value: ${long} ${option.spec.value}.`);
}

function unknownOption(command: string, arg: string, table: OptionTable): UsageError {
  const word = arg.split("=", 1)[0];
  const known = Object.keys(table).map(flagName);
  const hint = didYouMean(word, known) || `; "${command} --help" lists them.`;
  return new UsageError(`${command} has no option ${word}${hint}`);
}

function checkPositionals(command: string, found: string[], expected?: Positionals): string[] {
  const { min = 0, max = Infinity, value = "" } = expected ?? { max: 0 };
  if (found.length > max) {
    throw new UsageError(
      max === 0
        ? `${command} takes options only, but got "${found[0]}"; see "${command} --help".`
        : `${command} takes at most ${max} of ${value}, but got ${found.length}.`,
    );
  }
  if (found.length < min) {
    throw new UsageError(`${command} needs ${value}; see "${command} --help".`);
  }
  if (found.includes("")) {
    throw new UsageError(`${command} was given an empty ${value}; is a variable not set?`);
  }
  return found;
}
