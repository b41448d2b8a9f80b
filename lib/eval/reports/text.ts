/**
 * Reports of an evaluation for people and programs; report_ci.ts and report_html.ts have more.
 *
 * @module
 */

import { printable } from "../../base/printable.ts";
import type { Evaluation } from "../evaluate.ts";
import { formatValue } from "./format_value.ts";
import { type GateOutcome, requirement, type ThresholdOutcome } from "../gate.ts";
import { metricValues } from "../metrics/registry.ts";

/** The evaluation as JSON, for programs. */
export function jsonReport(evaluation: Evaluation, gate?: GateOutcome): string {
  return JSON.stringify(gate ? { ...evaluation, gate } : evaluation, null, 2);
}

/** A value of an evaluation with what a report says of it. */
export interface ReportRow {
  /** Key of {@link Evaluation.values}. */
  readonly metric: string;
  /** With its spread, where it has one, and the number of images where they are few for it. */
  readonly value: string;
  /** Of real images against others; empty where it is not known. */
  readonly floor: string;
  /** `Fréchet distance (lower is better)`. */
  readonly title: string;
  /** What was required of it. */
  readonly outcomes: readonly ThresholdOutcome[];
}

/** The values in the order of the metrics; spreads only where something is required of them. */
export function reportRows(
  evaluation: Pick<Evaluation, "values" | "floor" | "samples" | "reference" | "extractor">,
  gate?: GateOutcome,
): ReportRow[] {
  const { values, floor } = evaluation;
  const all = gate ? [...gate.thresholds, ...gate.baseline] : [];
  return metricValues().flatMap(({ name: metric, title, better }): ReportRow[] => {
    const outcomes = all.filter((outcome) => outcome.metric === metric);
    if (!(metric in values) || (better === null && outcomes.length === 0)) return [];
    return [{
      metric,
      value: withSpread(values, metric) + few(metric, evaluation),
      floor: floor && metric in floor ? withSpread(floor, metric) : "",
      title: better === null ? `${title}: spread` : `${title} (${better} is better)`,
      outcomes,
    }];
  });
}

/** What was compared and how, as pairs of a word and its explanation, printable. */
export function reportFacts(evaluation: Evaluation): (readonly [string, string])[] {
  const { floorCounts, samples, reference, extractor, seconds, cached } = evaluation;
  const counted = ({ name, count, skipped }: Evaluation["samples"]) =>
    `${name}, ${count ?? "unknown number of"} images` +
    (skipped > 0 ? ` (${skipped} left out)` : "");
  const details = Object.entries(extractor.details ?? {}).map(([key, value]) => `${key} ${value}`);
  const hash = extractor.hash.slice(0, 12);
  const facts: (readonly [string, string])[] = [
    ["samples", counted(samples)],
    ...(reference ? [["reference", counted(reference)] as const] : []),
    ...(floorCounts
      ? [
        [
          "real",
          `${floorCounts[0]} random images of the reference against its other ${floorCounts[1]}`,
        ] as const,
      ]
      : []),
    [
      "features",
      [`${extractor.id}, ${extractor.dimension} (sha256 ${hash})`, ...details].join(", "),
    ],
    [
      "time",
      `${seconds.features.toFixed(1)} s features, ${seconds.metrics.toFixed(1)} s metrics` +
      (cached > 0 ? `; the features of ${cached} images were in the cache` : ""),
    ],
  ];
  return facts.map(([name, text]) => [name, printable(text)]);
}

/**
 * The evaluation as a table for people, and below it what was compared. Where real images were
 * compared with others, their values stand in a column of their own.
 */
export function textReport(evaluation: Evaluation, gate?: GateOutcome): string {
  const { floor: isFloor, warnings, failed } = evaluation;
  const rows = reportRows(evaluation, gate).map(({ metric, value, floor, title }) => [
    metric,
    value,
    ...(isFloor ? [floor] : []),
    title,
  ]);
  if (isFloor) rows.unshift(["", "samples", "real", ""]);
  const required = gate ? [...gate.thresholds, ...gate.baseline] : [];
  return [
    ...aligned(rows),
    "",
    ...required.map((outcome) =>
      `${outcome.met ? "ok    " : "FAILED"}  ${outcome.metric} is ` +
      `${formatValue(outcome.value)}, required ${requirement(outcome)}`
    ),
    ...(required.length > 0 ? [""] : []),
    ...aligned(reportFacts(evaluation)),
    ...warnings.map((warning) => `warning: ${printable(warning)}`),
    ...Object.entries(failed).map(([metric, why]) => `not computed: ${metric}: ${printable(why)}`),
  ].join("\n") + "\n";
}

/** Whether a value is as required, in words. */
export function verdict(outcome: ThresholdOutcome): string {
  return `${outcome.met ? "ok" : "FAILED"}, required ${requirement(outcome)}`;
}

/** Samples with which a FID means something beside those of others (TTUR's README). */
const ENOUGH = 10_000;

/** ` (of 200 images)` beside a Fréchet distance of so few that it says more of their number. */
function few(
  metric: string,
  { samples, reference, extractor }: Pick<Evaluation, "samples" | "reference" | "extractor">,
): string {
  if (metric !== "fd" && metric !== "fid") return "";
  const counts = [samples.count ?? Infinity, reference?.count ?? Infinity];
  const smallest = Math.min(...counts);
  const isFew = smallest <= extractor.dimension || (metric === "fid" && counts[0] < ENOUGH);
  return isFew ? ` (of ${smallest} images)` : "";
}

/** A value with its spread, where it has one. */
function withSpread(values: Evaluation["values"], name: string): string {
  const spread = values[`${name}_std`];
  return formatValue(values[name]) + (spread === undefined ? "" : ` ± ${formatValue(spread)}`);
}

/** Rows with columns padded to their widest cell. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  }
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd());
}
