/**
 * What was measured, and its tables.
 *
 * @module
 */

import { short, table } from "../report.ts";
import type { Run } from "./plan.ts";
import { summarize, type Summary, welch } from "./statistics.ts";

/** Scores of one set of samples in one extractor's features. */
export interface Score {
  /** Null for real images in place of samples. */
  readonly run: Run | null;
  readonly sampler: string;
  readonly extractor: string;
  readonly values: Readonly<Record<string, number>>;
}

/** A line of a run's log; both engines write these. */
export interface LogLine {
  readonly images: number;
  readonly step: number;
  /** Mean over the steps since the line before. */
  readonly loss: number;
  readonly seconds: number;
}

/** The log of a run. */
export interface RunLog {
  readonly run: Run;
  readonly lines: readonly LogLine[];
}

/** Everything that the tables show. */
export interface Results {
  /** The M that the engines are compared at. */
  readonly M: number;
  readonly samplers: readonly string[];
  readonly scores: readonly Score[];
  readonly logs: readonly RunLog[];
}

/** All tables, in Markdown. */
export function resultTables(results: Results): string {
  return [
    ...section(
      `imm and PyTorch, M = ${results.M}, mean ± standard deviation over seeds`,
      engineRows(results),
      ["steps", "metric", "imm", "PyTorch", "difference", "p (Welch)", "real images"],
    ),
    ...metricsOf(results).flatMap(({ extractor, metric }) =>
      section(
        `${title(extractor, metric)} by M`,
        particleRows(results, extractor, metric),
        ["M", ...results.samplers.map((name) => name === "1" ? "1 step" : `${name} steps`)],
      )
    ),
    ...section(
      "Losses of the last report, how far those of all reports lie apart, and time",
      lossRows(results),
      [
        "run",
        "loss, imm",
        "loss, PyTorch",
        "relative difference, first report",
        "largest",
        "ms per step, imm",
        "ms per step, PyTorch",
      ],
    ),
  ].join("\n");
}

function section(name: string, rows: readonly string[][], header: readonly string[]): string[] {
  return rows.length === 0 ? [] : [`**${name}**`, "", table(header, rows), ""];
}

/** Extractors and metrics that there are scores of. */
function metricsOf({ scores }: Results): { extractor: string; metric: string }[] {
  const known = new Map<string, { extractor: string; metric: string }>();
  for (const { extractor, values } of scores) {
    for (const metric of Object.keys(values)) {
      // Over the subsets of one evaluation; the tables show the spread over seeds.
      if (metric.endsWith("_std")) continue;
      known.set(title(extractor, metric), { extractor, metric });
    }
  }
  return [...known.values()].sort((a, b) =>
    a.extractor.localeCompare(b.extractor) || a.metric.localeCompare(b.metric)
  );
}

function title(extractor: string, metric: string): string {
  return `${metric}, ${extractor}`;
}

/** The values of one metric over the seeds of an engine, or null without any. */
function over(
  { scores }: Results,
  wanted: { engine: string; M: number; sampler: string; extractor: string; metric: string },
): Summary | null {
  const values = scores.filter(({ run, sampler, extractor, values }) =>
    run?.engine === wanted.engine && run.M === wanted.M && sampler === wanted.sampler &&
    extractor === wanted.extractor && wanted.metric in values
  ).map(({ values }) => values[wanted.metric]);
  return values.length === 0 ? null : summarize(values);
}

function engineRows(results: Results): string[][] {
  return results.samplers.flatMap((sampler) =>
    metricsOf(results).flatMap(({ extractor, metric }) => {
      const [imm, pytorch] = ["imm", "pytorch"].map((engine) =>
        over(results, { engine, M: results.M, sampler, extractor, metric })
      );
      if (!imm && !pytorch) return [];
      const real = results.scores.find((score) =>
        score.run === null && score.extractor === extractor
      )?.values[metric];
      const test = imm && pytorch && welch(imm, pytorch);
      return [[
        sampler,
        title(extractor, metric),
        describe(imm),
        describe(pytorch),
        imm && pytorch ? signed(imm.mean - pytorch.mean) : "",
        test ? test.p.toFixed(2) : "",
        real === undefined ? "" : digits(real),
      ]];
    })
  );
}

function particleRows(results: Results, extractor: string, metric: string): string[][] {
  const all = [
    ...new Set(results.scores.flatMap(({ run }) => run?.engine === "imm" ? [run.M] : [])),
  ].sort((a, b) => a - b);
  if (all.length < 2) return [];
  return all.map((M) => [
    String(M),
    ...results.samplers.map((sampler) =>
      describe(over(results, { engine: "imm", M, sampler, extractor, metric }))
    ),
  ]);
}

function lossRows({ logs, M }: Results): string[][] {
  const rows = new Map<string, { imm?: RunLog; pytorch?: RunLog }>();
  for (const log of logs) {
    const name = `M = ${log.run.M}, seed ${log.run.seed}`;
    rows.set(name, { ...rows.get(name), [log.run.engine]: log });
  }
  const first = (name: string) => name.startsWith(`M = ${M},`) ? 0 : 1;
  return [...rows].sort(([a], [b]) => first(a) - first(b)).map(([name, { imm, pytorch }]) => [
    name,
    lastLoss(imm),
    lastLoss(pytorch),
    difference(imm?.lines.slice(0, 1), pytorch?.lines.slice(0, 1)),
    difference(imm?.lines, pytorch?.lines),
    perStep(imm),
    perStep(pytorch),
  ]);
}

function difference(a?: readonly LogLine[], b?: readonly LogLine[]): string {
  return a && b ? largestDifference(a, b).toExponential(1) : "";
}

/** The largest |a - b| / b of lines of the same images. */
export function largestDifference(a: readonly LogLine[], b: readonly LogLine[]): number {
  const losses = new Map(b.map(({ images, loss }) => [images, loss]));
  const differences = a.flatMap(({ images, loss }) => {
    const other = losses.get(images);
    return other === undefined ? [] : [Math.abs(loss - other) / Math.abs(other)];
  });
  return Math.max(0, ...differences);
}

function lastLoss(log: RunLog | undefined): string {
  return log?.lines.at(-1)?.loss.toPrecision(4) ?? "";
}

function perStep(log: RunLog | undefined): string {
  const last = log?.lines.at(-1);
  return last ? short(1000 * last.seconds / last.step) : "";
}

/** Four digits; small ones as 1.234e-4. */
function digits(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(3);
  return value.toPrecision(4);
}

function signed(value: number): string {
  return (value < 0 ? "-" : "+") + digits(Math.abs(value));
}

function describe(summary: Summary | null): string {
  if (!summary) return "";
  const spread = summary.count > 1 ? ` ± ${Number(summary.deviation.toPrecision(2))}` : "";
  return digits(summary.mean) + spread;
}
