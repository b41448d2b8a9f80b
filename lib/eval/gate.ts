/**
 * Gates: what the values of an evaluation are required to be, by themselves or beside those of an
 * earlier evaluation.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError, UsageError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import type { Evaluation } from "./evaluate.ts";
import { formatValue } from "./reports/format_value.ts";
import { metricOf, metricValues } from "./metrics/registry.ts";

/** A bound on a value of an evaluation. */
export interface Threshold {
  /** Key of {@link Evaluation.values}. */
  readonly metric: string;
  /** How the value must relate to the limit. */
  readonly relation: "<=" | ">=" | "<" | ">";
  /** What it is compared with. */
  readonly limit: number;
}

/** A threshold with the value that was found. */
export interface ThresholdOutcome extends Threshold {
  /** What was found. */
  readonly value: number;
  /** Whether it is as required. */
  readonly met: boolean;
}

/** A value beside that of an earlier evaluation. */
export interface BaselineOutcome extends ThresholdOutcome {
  /** The earlier value; `limit` is what it allows. */
  readonly baseline: number;
  /** How much worse the value may be. */
  readonly tolerance: Tolerance;
}

/** Thresholds, and the comparison with an earlier evaluation, with the values that were found. */
export interface GateOutcome {
  /** Whether everything was as required. */
  readonly passed: boolean;
  /** Each threshold with what was found. */
  readonly thresholds: readonly ThresholdOutcome[];
  /** Each value that was compared with an earlier one. Empty without a baseline. */
  readonly baseline: readonly BaselineOutcome[];
}

/**
 * Parses thresholds such as `fd<=2.5`.
 *
 * @throws {UsageError} when it has another form or names no value that a metric reports
 */
export function parseThreshold(text: string): Threshold {
  const [, metric, relation, limit] =
    text.match(/^\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*(\S+)\s*$/) ?? [];
  const known = metricValues().map(({ name }) => name);
  if (!known.includes(metric) || limit === undefined || !Number.isFinite(Number(limit))) {
    const hint = metric === undefined || known.includes(metric) ? "." : didYouMean(metric, known);
    throw new UsageError(
      `A threshold is a value, a relation and a number, such as fd<=2.5; found "${text}". The ` +
        `values are ${known.join(", ")}${hint || "."}`,
    );
  }
  return { metric, relation: relation as Threshold["relation"], limit: Number(limit) };
}

/**
 * The same bound seen from the other side: `fd>5` is what must not be where `fd<=5` must be.
 */
export function negated({ metric, relation, limit }: Threshold): Threshold {
  const opposite = { "<=": ">", ">": "<=", ">=": "<", "<": ">=" } as const;
  return { metric, relation: opposite[relation], limit };
}

/** What gates look at. */
export type Judged = Pick<Evaluation, "values"> & Partial<Pick<Evaluation, "rounding" | "failed">>;

/**
 * Compares an evaluation with thresholds; what differs from a limit by rounding only is equal to it. The caller ends with `GateError` when it has not passed.
 *
 * @throws {UsageError} when a threshold is on a value that was not computed
 */
export function checkThresholds(
  { values, rounding = {}, failed = {} }: Judged,
  thresholds: readonly Threshold[],
): GateOutcome {
  const outcome = thresholds.map((threshold) => {
    const value = values[threshold.metric];
    if (value === undefined) {
      const why = failed[metricOf(threshold.metric) ?? ""];
      throw new UsageError(
        `There is a threshold on ${threshold.metric}, but it was not computed` +
          (why === undefined
            ? /_std$/.test(threshold.metric)
              ? ", because there is one subset only and so no spread; ask for a smaller subset size."
              : "; add its metric."
            : `: ${why}`),
      );
    }
    return { ...threshold, value, met: isMet(value, threshold, rounding[threshold.metric]) };
  });
  return { passed: outcome.every(({ met }) => met), thresholds: outcome, baseline: [] };
}

/** Both kinds of requirements as one gate. */
export function joinGates(...gates: readonly GateOutcome[]): GateOutcome {
  return {
    passed: gates.every(({ passed }) => passed),
    thresholds: gates.flatMap(({ thresholds }) => thresholds),
    baseline: gates.flatMap(({ baseline }) => baseline),
  };
}

/** Whether an outcome is a comparison with an earlier value. */
export function isBaseline(outcome: ThresholdOutcome): outcome is BaselineOutcome {
  return "baseline" in outcome;
}

/** Everything that was required, in words: `<= 5`, `<= 5.1 (5 before, 2% tolerated)`. */
export function requirement(outcome: ThresholdOutcome): string {
  const { relation, limit } = outcome;
  const bound = `${relation} ${formatValue(limit)}`;
  if (!isBaseline(outcome)) return bound;
  const { amount, relative } = outcome.tolerance;
  const tolerated = relative ? `${formatValue(100 * amount)}%` : formatValue(amount);
  return `${bound} (${formatValue(outcome.baseline)} before, ${tolerated} tolerated)`;
}

/** One sentence for each requirement that was not met. */
export function gateFailures({ thresholds, baseline }: GateOutcome): string[] {
  return [...thresholds, ...baseline].filter(({ met }) => !met).map((outcome) =>
    `${outcome.metric} is ${formatValue(outcome.value)}, required ${requirement(outcome)}`
  );
}

/** How much worse than before a value may be. */
export interface Tolerance {
  /** A number in the unit of the value, or a share of the earlier value. */
  readonly amount: number;
  /** Whether it is a share. */
  readonly relative: boolean;
}

/** Tolerances by value; `null` for all that have none of their own. */
export type Tolerances = ReadonlyMap<string | null, Tolerance>;

/**
 * Parses tolerances such as `fid=2%`, `fd=0.1`, or `2%` for all values.
 *
 * @throws {UsageError} when one has another form or names no value that a metric reports
 */
export function parseTolerances(texts: readonly string[]): Tolerances {
  const known = metricValues().flatMap(({ name, better }) => better === null ? [] : [name]);
  return new Map(texts.map((text) => {
    const match = /^\s*(?:([a-z][a-z0-9_]*)\s*=)?\s*([0-9.eE+-]+)\s*(%?)\s*$/.exec(text);
    const [, name, number, percent] = match ?? [];
    const amount = Number(number);
    const isKnown = name === undefined || known.includes(name);
    if (!match || !isKnown || !(amount >= 0 && amount < Infinity)) {
      const hint = isKnown ? "" : didYouMean(name, known);
      throw new UsageError(
        `A tolerance is a value and how much worse it may be, such as fd=2% or fd=0.1, or 2% for ` +
          `all; found "${text}". The values are ${known.join(", ")}${hint || "."}`,
      );
    }
    const relative = percent === "%";
    return [name ?? null, { amount: relative ? amount / 100 : amount, relative }];
  }));
}

/** An earlier evaluation: what `imm eval --json` prints, or only `{"values": {"fd": 2.5}}`. */
export interface Baseline {
  /** What messages call it. */
  readonly name: string;
  /** By name; null for what JSON has no number for. */
  readonly values: Readonly<Record<string, number | null>>;
  /** What made it, where it says. */
  readonly extractor?: { readonly id: string; readonly hash: string };
  /** Number of images, where it says. */
  readonly samples?: { readonly count: number | null };
  /** Hash of the reference, where it says. */
  readonly reference?: string;
}

const baselineSchema = z.object({
  values: z.record(z.string(), z.number().nullable()),
  extractor: z.object({ id: z.string(), hash: z.string() }).optional(),
  samples: z.object({ count: z.number().nullable() }).optional(),
  inputs: z.object({
    reference: z.object({ sha256: z.string().nullable().optional() }).nullable(),
  }).optional(),
});

/**
 * Reads an earlier evaluation from JSON.
 *
 * @throws {FormatError} when it is none
 */
export function parseBaseline(text: string, name: string): Baseline {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${name} is not valid JSON; make it with imm eval --json > FILE.`, {
      cause,
    });
  }
  const parsed = baselineSchema.safeParse(json);
  if (!parsed.success) {
    throw new FormatError(
      `${name} is not the result of an evaluation: ${
        z.prettifyError(parsed.error)
      }; make it with ` +
        `imm eval --json > FILE.`,
    );
  }
  const { values, extractor, samples, inputs } = parsed.data;
  const reference = inputs?.reference?.sha256 ?? undefined;
  return { name, values, extractor, samples, reference };
}

/**
 * Compares the values of an evaluation with those of an earlier one: none may be worse by more
 * than its tolerance (default: not at all). Values that only one of them has are left out.
 *
 * @throws {UsageError} when a tolerance is for a value that one of them lacks, or they have none in
 * common
 */
export function checkBaseline(
  { values, rounding = {} }: Judged,
  baseline: Baseline,
  tolerances: Tolerances,
): GateOutcome {
  for (const name of tolerances.keys()) {
    if (name !== null && (baseline.values[name] ?? null) === null) {
      throw new UsageError(
        `There is a tolerance for ${name}, but ${baseline.name} has no ${name}.`,
      );
    }
  }
  const outcomes = metricValues().flatMap(({ name: metric, better }): BaselineOutcome[] => {
    const [value, before] = [values[metric], baseline.values[metric] ?? null];
    if (better === null || value === undefined || before === null) return [];
    const tolerance = tolerances.get(metric) ?? tolerances.get(null) ??
      { amount: 0, relative: true };
    const slack = tolerance.amount * (tolerance.relative ? Math.abs(before) : 1);
    const relation = better === "lower" ? "<=" : ">=";
    const limit = better === "lower" ? before + slack : before - slack;
    const met = isMet(value, { metric, relation, limit }, rounding[metric]);
    return [{ metric, value, relation, limit, met, baseline: before, tolerance }];
  });
  if (outcomes.length === 0) {
    throw new UsageError(
      `${baseline.name} has no value that was computed here; it has ` +
        `${Object.keys(baseline.values).join(", ") || "none"}.`,
    );
  }
  return { passed: outcomes.every(({ met }) => met), thresholds: [], baseline: outcomes };
}

/**
 * Whether an earlier evaluation is comparable: of the same features, as many images and the same
 * reference, as far as it says.
 *
 * @param force go on although it is not
 * @returns warnings: what was forced
 * @throws {UsageError} when it is not comparable
 */
export function checkBaselineOrigin(
  evaluation: Pick<Evaluation, "extractor" | "samples">,
  reference: string | null,
  baseline: Baseline,
  { force = false }: { force?: boolean } = {},
): string[] {
  const differences: string[] = [];
  const { extractor, samples } = evaluation;
  if (baseline.extractor && baseline.extractor.hash !== extractor.hash) {
    differences.push(`features of ${baseline.extractor.id}, not of this ${extractor.id}`);
  }
  if (baseline.samples?.count && samples.count && baseline.samples.count !== samples.count) {
    differences.push(`${baseline.samples.count} samples, not ${samples.count}`);
  }
  if (baseline.reference && reference && baseline.reference !== reference) {
    differences.push("another reference");
  }
  if (differences.length === 0) return [];
  const found = `${baseline.name} was made with ${differences.join(" and ")}`;
  if (force) return [`${found}; the comparison was forced.`];
  throw new UsageError(`${found}; make it again with imm eval --json, or force the comparison.`);
}

function isMet(value: number, { relation, limit }: Threshold, rounding = 0): boolean {
  const difference = Math.abs(value - limit) <= rounding ? 0 : value - limit;
  switch (relation) {
    case "<=":
      return difference <= 0;
    case ">=":
      return difference >= 0;
    case "<":
      return difference < 0;
    case ">":
      return difference > 0;
  }
}
