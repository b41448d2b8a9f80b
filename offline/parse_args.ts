/**
 * Stands in for `jsr:@std/cli@1.0.17/parse-args` on networks where JSR cannot be reached (see
 * `import_map.json`).
 *
 * `@std/cli` took its argument grammar from minimist, so minimist does the parsing here and this
 * module adds what `@std/cli` changed:
 *
 * - a repeated option keeps its last value, unless it is named in `collect`;
 * - `--no-x` negates only what `negatable` names; otherwise it is an option called `no-x`;
 * - defaults fill in what the command line left out, and `collect` makes that an empty list;
 * - the `unknown` callback also receives the option's name and value, and refuses it by `false`.
 *
 * Not covered, because nothing here uses it: collecting booleans, names with dots.
 *
 * @module
 */

import minimist from "npm:minimist@1.2.8";

/** The options of {@linkcode parseArgs}, as in `@std/cli`. */
export interface ParseOptions<
  Booleans extends string = string,
  Strings extends string = string,
  Collected extends string = string,
  Defaults extends Record<string, unknown> = Record<string, unknown>,
  DoubleDash extends boolean = boolean,
> {
  /** Puts what follows `--` into `result["--"]` instead of `result._`. */
  "--"?: DoubleDash;
  /** Other names of an option. */
  alias?: Record<string, string | readonly string[]>;
  /** Options without a value, false by default. `true`: every `--x` without `=`. */
  boolean?: boolean | Booleans | readonly Booleans[];
  /** Values of options that are not given. */
  default?: Defaults;
  /** Everything after the first positional argument is positional. */
  stopEarly?: boolean;
  /** Options whose value stays a string even when it looks like a number. */
  string?: Strings | readonly Strings[];
  /** Options that can be repeated: their value is a list, empty by default. */
  collect?: Collected | readonly Collected[];
  /** Options that `--no-x` sets to false. */
  negatable?: string | readonly string[];
  /** Called for an argument that no option declares; `false` leaves it out of the result. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The result of {@linkcode parseArgs}. */
export type Args<
  Booleans extends string = never,
  Strings extends string = never,
  Collected extends string = never,
  Defaults extends Record<string, unknown> = Record<never, never>,
  DoubleDash extends boolean = false,
> =
  & { _: (string | number)[] }
  & ([Booleans | Strings | Collected] extends [never]
    // deno-lint-ignore no-explicit-any -- as in @std/cli: nothing is known of the values
    ? Record<string, any>
    : Record<string, unknown>)
  & { [Name in Booleans]: boolean }
  & { [Name in Strings & Collected]: string[] }
  & { [Name in Exclude<Strings, Collected | keyof Defaults>]?: string }
  & { [Name in Exclude<Strings & keyof Defaults, Collected>]: string | Defaults[Name] }
  & { [Name in Exclude<keyof Defaults, Strings | Booleans>]: unknown }
  & (DoubleDash extends true ? { "--": string[] } : Record<never, never>);

/** Splits command-line arguments into options and positional arguments, in `result._`. */
export function parseArgs<
  const Booleans extends string = never,
  const Strings extends string = never,
  const Collected extends string = never,
  Defaults extends Record<string, unknown> = Record<never, never>,
  DoubleDash extends boolean = false,
>(
  args: readonly string[],
  options: ParseOptions<Booleans, Strings, Collected, Defaults, DoubleDash> = {},
): Args<Booleans, Strings, Collected, Defaults, DoubleDash> {
  const others = aliases(options.alias ?? {});
  const withAliases = (names: string | readonly string[] | undefined): Set<string> =>
    new Set(list(names).flatMap((name) => [name, ...(others.get(name) ?? [])]));
  const strings = withAliases(options.string);
  const booleans = withAliases(
    typeof options.boolean === "boolean" ? undefined : options.boolean,
  );
  const collected = withAliases(options.collect);
  const negatable = withAliases(options.negatable);

  const isDeclared = (name: string) => strings.has(name) || booleans.has(name) || others.has(name);
  const refused = new Set<string>();
  const unknowns: { arg: string; key: string }[] = [];
  const parsed = minimist(hideNegations(args, negatable), {
    string: [...strings].map(hide),
    boolean: options.boolean === true ? true : [...booleans].map(hide),
    default: Object.fromEntries([...booleans].map((name) => [hide(name), ABSENT])),
    alias: Object.fromEntries([...others].map(([name, names]) => [hide(name), names.map(hide)])),
    "--": options["--"] ?? false,
    stopEarly: options.stopEarly ?? false,
    unknown(arg: string): boolean {
      if (!/^-./.test(arg)) return options.unknown?.(arg) !== false;
      // The value is only known at the end: note the name now and ask then.
      const original = reveal(arg);
      const earlier = unknowns.filter((unknown) => unknown.arg === original).length;
      const names = optionNames(original).filter((name) => !isDeclared(name));
      unknowns.push({ arg: original, key: names[earlier % names.length]! });
      return true;
    },
  }) as Record<string, unknown> & { _: (string | number)[]; "--"?: string[] };

  const result: Record<string, unknown> = { _: parsed._ };
  for (const [hidden, value] of Object.entries(parsed)) {
    if (hidden === "_" || hidden === "--") continue;
    const name = reveal(hidden);
    if (value === ABSENT) continue;
    if (collected.has(name) && value !== false) result[name] = list(value);
    else result[name] = Array.isArray(value) ? value.at(-1) : value;
  }
  for (const { arg, key } of unknowns) {
    if (options.unknown?.(arg, key, result[key]) === false) refused.add(key);
  }
  for (const name of refused) delete result[name];

  for (const [name, value] of Object.entries(options.default ?? {})) {
    if (Object.hasOwn(result, name)) continue;
    for (const each of [name, ...(others.get(name) ?? [])]) result[each] = value;
  }
  for (const name of booleans) if (!Object.hasOwn(result, name)) result[name] = false;
  for (const name of strings) {
    if (collected.has(name) && !Object.hasOwn(result, name)) result[name] = [];
  }
  if (options["--"]) result["--"] = parsed["--"] ?? [];
  return result as Args<Booleans, Strings, Collected, Defaults, DoubleDash>;
}

function list<Value>(value: Value | readonly Value[] | undefined): Value[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...value] : [value as Value];
}

/** From each name to all its other names. */
function aliases(alias: Record<string, string | readonly string[]>): Map<string, string[]> {
  const others = new Map<string, string[]>();
  for (const [name, names] of Object.entries(alias)) {
    const group = [name, ...list<string>(names)];
    for (const each of group) others.set(each, group.filter((other) => other !== each));
  }
  return others;
}

/** minimist gives every declared boolean a value; this one tells those that nobody set. */
const ABSENT = {};

/** minimist negates every `--no-x`; a character that no shell can pass keeps it from seeing one. */
const MASK = "\0";

function hide(name: string): string {
  return name.startsWith("no-") ? MASK + name : name;
}

function reveal(text: string): string {
  return text.replace(MASK, "");
}

function hideNegations(args: readonly string[], negatable: ReadonlySet<string>): string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  return args.map((arg, index) =>
    index < end && arg.startsWith("--no-") && !negatable.has(arg.slice("--no-".length))
      ? `--${hide(arg.slice(2))}`
      : arg
  );
}

/** `--name=value` names one option, `-abc` three. */
function optionNames(arg: string): string[] {
  if (arg.startsWith("--")) return [arg.slice(2).split("=", 1)[0]!];
  return [...(/^-([A-Za-z]+|.)/.exec(arg)?.[1] ?? arg.slice(1))];
}
