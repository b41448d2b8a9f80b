/**
 * Reports of an evaluation, and the thresholds that a model may have to meet.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { didYouMean } from "../suggest.ts";
import type { Evaluation } from "./evaluate.ts";
import { type Metric, METRICS } from "./metrics.ts";

/** The evaluation as JSON, for programs. */
export function jsonReport(evaluation: Evaluation, gate?: GateOutcome): string {
  return JSON.stringify(gate ? { ...evaluation, gate } : evaluation, null, 2);
}

/**
 * The evaluation as a table for people, and below it what was compared. Where the halves of the real
 * images were compared, their values stand in a column of their own.
 */
export function textReport(evaluation: Evaluation, gate?: GateOutcome): string {
  const { values, halves, samples, reference, extractor, warnings, seconds } = evaluation;
  const rows: string[][] = [];
  if (halves) rows.push(["", "samples", "real", ...(gate ? [""] : []), ""]);
  for (const { title, values: names } of Object.values(METRICS)) {
    for (const [name, better] of Object.entries(names)) {
      if (!(name in values) || better === null) continue;
      const threshold = gate?.thresholds.find((item) => item.metric === name);
      const verdict = threshold
        ? `${threshold.met ? "ok" : "FAILED"}, required ${threshold.relation} ${threshold.limit}`
        : "";
      rows.push([
        name,
        withSpread(values, name),
        ...(halves ? [name in halves ? withSpread(halves, name) : ""] : []),
        ...(gate ? [verdict] : []),
        `${title} (${better} is better)`,
      ]);
    }
  }
  const facts = [
    ["samples", `${samples.name}, ${samples.count} images`],
    ...(reference
      ? [["reference", `${reference.name}, ${reference.count ?? "unknown number of"} images`]]
      : []),
    ...(halves ? [["real", "a random half of the reference images against the other half"]] : []),
    ["features", `${extractor.id}, ${extractor.dimension} (sha256 ${extractor.hash.slice(0, 12)})`],
    ["time", `${seconds.features.toFixed(1)} s features, ${seconds.metrics.toFixed(1)} s metrics`],
  ];
  return [
    ...aligned(rows),
    "",
    ...aligned(facts),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join("\n") + "\n";
}

/** A bound on a value of an evaluation. */
export interface Threshold {
  /** Key of {@link Evaluation.values}. */
  readonly metric: string;
  /** How the value must relate to the limit. */
  readonly relation: "<=" | ">=" | "<" | ">";
  /** What it is compared with. */
  readonly limit: number;
}

/** Thresholds with the values that were found. */
export interface GateOutcome {
  /** Whether all thresholds were met. */
  readonly passed: boolean;
  /** Each threshold with what was found. */
  readonly thresholds: readonly (Threshold & { readonly value: number; readonly met: boolean })[];
}

/**
 * Parses thresholds such as `fd<=2.5`.
 *
 * @throws {UsageError} when it has another form or names no value that a metric reports
 */
export function parseThreshold(text: string): Threshold {
  const [, metric, relation, limit] = text.match(/^\s*([a-z_]+)\s*(<=|>=|<|>)\s*(\S+)\s*$/) ?? [];
  const known = Object.values(METRICS).flatMap(({ values }) => Object.keys(values));
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

/** The metric that reports a value of {@link Evaluation.values}. */
export function metricOf(value: string): Metric | undefined {
  return (Object.keys(METRICS) as Metric[]).find((name) =>
    Object.hasOwn(METRICS[name].values, value)
  );
}

/**
 * Compares an evaluation with thresholds. The caller ends with `GateError` when it has not passed.
 *
 * @throws {UsageError} when a threshold is on a value that was not computed
 */
export function checkThresholds(
  { values }: Pick<Evaluation, "values">,
  thresholds: readonly Threshold[],
): GateOutcome {
  const outcome = thresholds.map((threshold) => {
    const value = values[threshold.metric];
    if (value === undefined) {
      throw new UsageError(
        `There is a threshold on ${threshold.metric}, but it was not computed; add its metric.`,
      );
    }
    return { ...threshold, value, met: isMet(value, threshold) };
  });
  return { passed: outcome.every(({ met }) => met), thresholds: outcome };
}

/** One sentence for each threshold that was not met. */
export function gateFailures({ thresholds }: GateOutcome): string[] {
  return thresholds.filter(({ met }) => !met).map(({ metric, value, relation, limit }) =>
    `${metric} is ${formatValue(value)}, required ${relation} ${limit}`
  );
}

function isMet(value: number, { relation, limit }: Threshold): boolean {
  switch (relation) {
    case "<=":
      return value <= limit;
    case ">=":
      return value >= limit;
    case "<":
      return value < limit;
    case ">":
      return value > limit;
  }
}

/** A value with its spread, where it has one. */
function withSpread(values: Evaluation["values"], name: string): string {
  const spread = values[`${name}_std`];
  return formatValue(values[name]) + (spread === undefined ? "" : ` ± ${formatValue(spread)}`);
}

/** Six digits, more than any of these numbers deserves, without trailing noise. */
function formatValue(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Rows with columns padded to their widest cell. */
function aligned(rows: string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  }
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}
