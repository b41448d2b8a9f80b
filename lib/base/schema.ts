/**
 * What is wrong with a configuration, in a sentence that names the key, what was expected and what
 * was found.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { didYouMean } from "./suggest.ts";

/**
 * `true` where two types hold the same values, though one may say `readonly`; else no type at all.
 * It keeps an interface, which documents a configuration, and the schema that checks it together:
 *
 *     true satisfies Same<z.output<typeof schema>, Config>;
 */
export type Same<A, B> = [Frozen<A>, Frozen<B>] extends [Frozen<B>, Frozen<A>] ? true : never;

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

/** Where a configuration is part of a larger one. */
export interface MistakeOptions {
  /** Key of the larger configuration: `network`. */
  readonly prefix?: string;
  /** Full names of keys elsewhere, which a person may have meant. */
  readonly elsewhere?: readonly string[];
}

/**
 * The sentence for the first thing that `error` finds wrong with `value`:
 *
 *     train.batch: expected a number from 1 up, but it is 0
 *     network.modelChanels is not a setting; did you mean "network.modelChannels"?
 */
export function describeMistake(
  schema: z.ZodType,
  value: unknown,
  error: z.ZodError,
  { prefix, elsewhere = [] }: MistakeOptions = {},
): string {
  const [issue] = error.issues;
  const path = issue.path.map(String);
  const full = (...keys: string[]) => [...prefix ? [prefix] : [], ...path, ...keys].join(".");
  const { schema: at, value: found } = descend(schema, value, path);
  if (issue.code === "unrecognized_keys") {
    const unknown = full(issue.keys[0]);
    const known = (at instanceof z.ZodObject ? Object.keys(at.shape) : []).map((k) => full(k));
    const namesakes = elsewhere.filter((name) => name.endsWith(`.${issue.keys[0]}`));
    const hint = namesakes.length > 0
      ? `; did you mean "${namesakes[0]}"?`
      : didYouMean(unknown, known) || `; there are ${known.join(", ")}`;
    return `${unknown} is not a setting${hint}`;
  }
  const is = found === undefined ? "is missing" : `is ${JSON.stringify(found)}`;
  return `${full() || "the configuration"}: expected ${expectation(issue, at)}, but it ${is}`;
}

/** Names of all settings of a schema, `train.ema.decay`. */
export function settingNames(schema: z.ZodType, prefix = ""): string[] {
  const plain = unwrap(schema);
  if (!(plain instanceof z.ZodObject)) return [prefix];
  return Object.entries(plain.shape).flatMap(([key, child]) =>
    settingNames(child as z.ZodType, prefix === "" ? key : `${prefix}.${key}`)
  );
}

const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "an object with keys",
  record: "an object with keys",
};

/** What was expected, for the forms that our schemas have. */
function expectation(issue: z.core.$ZodIssue, schema: z.ZodType | null): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? issue.expected;
    case "invalid_value":
      return `one of ${issue.values.join(", ")}`;
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number ${issue.inclusive ? "from" : "above"} ${issue.minimum}${
          issue.inclusive ? " up" : ""
        }`
        : `at least ${issue.minimum} of them`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `a number ${issue.inclusive ? "up to" : "below"} ${issue.maximum}`
        : `at most ${issue.maximum} of them`;
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_union":
      return schema instanceof z.ZodDiscriminatedUnion
        ? `one of ${[...schema.def.options].map(discriminator).join(", ")}`
        : "one of its forms";
    default:
      return "something else";
  }
}

/** The value of `type` that selects an option of a union. */
function discriminator(option: unknown): string {
  const { type } = (option as z.ZodObject<{ type: z.ZodLiteral<string> }>).shape;
  return type.value;
}

/** The part of a schema and of a value that a path leads to. */
function descend(
  schema: z.ZodType,
  value: unknown,
  path: readonly string[],
): { schema: z.ZodType | null; value: unknown } {
  let at: z.ZodType | null = unwrap(schema);
  let found = value;
  for (const key of path) {
    at = option(at, found);
    // The path of a wrong `type` leads to what it selects from: the union itself.
    if (at instanceof z.ZodObject) at = unwrap(at.shape[key] as z.ZodType);
    else if (at instanceof z.ZodArray) at = unwrap(at.element as z.ZodType);
    else if (!(at instanceof z.ZodDiscriminatedUnion)) at = null;
    found = typeof found === "object" && found !== null
      ? (found as Record<string, unknown>)[key]
      : undefined;
  }
  return { schema: path.at(-1) === "type" ? at : option(at, found), value: found };
}

/** Of a union the option that the value selects, if it does. */
function option(schema: z.ZodType | null, value: unknown): z.ZodType | null {
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const type = (value as { type?: unknown } | null | undefined)?.type;
  const chosen = [...schema.def.options].find((each) => discriminator(each) === type);
  return chosen ? chosen as unknown as z.ZodType : schema;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let current = schema;
  while (
    current instanceof z.ZodDefault || current instanceof z.ZodPrefault ||
    current instanceof z.ZodNullable
  ) {
    current = current.unwrap() as z.ZodType;
  }
  return current;
}
