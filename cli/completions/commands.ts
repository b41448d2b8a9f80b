/**
 * What shells complete, out of the option tables of the verbs.
 *
 * @module
 */

import { flagName, type Option } from "../base/options.ts";
import { commonOptions, type Verb } from "../base/verb.ts";
import { verbsUnder } from "../verbs.ts";

/** An option as a shell sees it. */
export interface CompletedOption {
  /** Its long name: `--out`. */
  readonly long: string;
  /** Its short name without the dash. */
  readonly short?: string;
  readonly help: string;
  /** What its value stands for; without this it takes none. */
  readonly value?: string;
  /** The values that there are; without this any. */
  readonly words?: readonly string[];
  /** The keys that there are, for a value of the form `KEY=VALUE`. */
  readonly keys?: readonly string[];
  /** Whether a value may be the name of a file. */
  readonly files: boolean;
  /** Whether it may be given several times. */
  readonly repeat: boolean;
}

/** A verb as a shell sees it. */
export interface CompletedVerb {
  /** `eval`, or two words: `eval stats`. */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** The arguments that are no options; without this there are none. */
  readonly positionals?: {
    readonly value: string;
    readonly words?: readonly string[];
    readonly files: boolean;
  };
}

/**
 * The verbs with all their options, the common ones among them, and the first words that are no
 * verb by themselves: `dataset`, of which only the second words and the help can be asked.
 */
export function completedVerbs(verbs: readonly Verb[]): CompletedVerb[] {
  const known = new Set(verbs.map(({ name }) => name));
  return verbs.flatMap(({ name, summary, options, positionals }) => {
    const verb: CompletedVerb = {
      name,
      summary,
      options: Object.entries({ ...options, ...commonOptions }).flatMap(completedOptions),
      ...(positionals && {
        positionals: {
          value: positionals.value,
          ...(positionals.words && { words: positionals.words }),
          files: positionals.words === undefined,
        },
      }),
    };
    const [first] = name.split(" ");
    if (known.has(first)) return [verb];
    known.add(first);
    const seconds = verbsUnder(first, verbs).map(({ name }) => name.slice(first.length + 1));
    const help = completedOptions(["help", commonOptions.help]);
    return [{ name: first, summary: seconds.join(", "), options: help }, verb];
  });
}

function completedOptions([name, { kind, spec, words, keys }]: [string, Option<unknown>]) {
  const value = kind === "value" ? spec.value ?? "VALUE" : undefined;
  const option: CompletedOption = {
    long: flagName(name),
    help: spec.help,
    repeat: spec.repeat ?? false,
    files: words === undefined && keys === undefined && value !== undefined && isPath(value),
    ...(spec.short && { short: spec.short }),
    ...(value !== undefined && { value }),
    ...(words && { words }),
    ...(keys && { keys }),
  };
  if (kind === "value" || spec.default !== true) return [option];
  return [option, {
    ...option,
    long: option.long.replace("--", "--no-"),
    help: `not: ${spec.help}`,
  }];
}

/** Whether a placeholder of the help stands for something in the file system. */
function isPath(value: string): boolean {
  return /FILE|DIR|FOLDER|PATH|DATA|RUN|\.\w/.test(value);
}

/** The second words of the verbs that begin with this one: `stats` and `merge` of `eval`. */
export function secondWords(verbs: readonly CompletedVerb[], first: string): string[] {
  return verbs.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) =>
    name.slice(first.length + 1)
  );
}

/** The names of verbs of two words. */
export function twoWordNames(verbs: readonly CompletedVerb[]): string[] {
  return verbs.map(({ name }) => name).filter((name) => name.includes(" "));
}

/** The first words of all verbs, with the summary of the verb or of the first that begins so. */
export function firstWords(verbs: readonly CompletedVerb[]): Map<string, string> {
  const words = new Map<string, string>();
  for (const { name, summary } of verbs) {
    const [first] = name.split(" ");
    if (!words.has(first)) words.set(first, summary);
  }
  return words;
}
