/**
 * Reports for continuous integration: JUnit XML, Markdown, and the annotations of GitHub Actions.
 *
 * @module
 */

import { printable } from "../../base/printable.ts";
import type { Evaluation } from "../evaluate.ts";
import { formatValue } from "./format_value.ts";
import { gateFailures, type GateOutcome, isBaseline, type ThresholdOutcome } from "../gate.ts";
import { reportFacts, reportRows, verdict } from "./text.ts";

/**
 * The evaluation as JUnit XML, which GitLab, Jenkins and others show: one test for everything that
 * was required, or for every value where nothing was. What was compared is among the properties.
 */
export function junitReport(evaluation: Evaluation, gate?: GateOutcome): string {
  const required = gate ? [...gate.thresholds, ...gate.baseline] : [];
  const cases = required.length > 0
    ? required.map(requiredCase)
    : reportRows(evaluation).map(({ metric, value }) => testCase(metric, `${metric} = ${value}`));
  const { values, seconds, versions } = evaluation;
  const properties = [
    ...Object.entries(values).map(([name, value]) => [name, String(value)] as const),
    ...reportFacts(evaluation),
    ["imm", versions.imm] as const,
    ["deno", versions.deno] as const,
    ...evaluation.warnings.map((warning) => ["warning", warning] as const),
  ];
  const failed = Object.entries(evaluation.failed);
  for (const [metric, why] of failed) {
    cases.push(testCase(
      metric,
      `${metric} is computed`,
      `<error message="${escapeXml(why)}" type="imm">${escapeXml(why)}</error>`,
    ));
  }
  return suite(cases, {
    failures: required.filter(({ met }) => !met).length,
    errors: failed.length,
    time: seconds.features + seconds.metrics,
    properties,
  });
}

/** JUnit XML that says that the evaluation itself failed. */
export function junitError(message: string): string {
  const error = `<error message="${escapeXml(message)}" type="imm">${escapeXml(message)}</error>`;
  return suite([testCase("run", "the evaluation runs to its end", error)], { errors: 1 });
}

function requiredCase(outcome: ThresholdOutcome): string {
  const { metric, value, met, relation, limit } = outcome;
  const kind = isBaseline(outcome) ? "baseline" : "threshold";
  // The name must be the same from run to run: of a baseline only what was asked for.
  const name = isBaseline(outcome)
    ? `${metric} is not worse than before`
    : `${metric} ${relation} ${formatValue(limit)}`;
  const message = escapeXml(`${metric} is ${formatValue(value)}: ${verdict(outcome)}`);
  return testCase(
    metric,
    name,
    met ? "" : `<failure message="${message}" type="${kind}">${message}</failure>`,
  );
}

function testCase(metric: string, name: string, content = ""): string {
  const head = `<testcase classname="imm.eval.${escapeXml(metric)}" name="${escapeXml(name)}"`;
  return content === "" ? `${head}/>` : `${head}>${content}</testcase>`;
}

function suite(
  cases: readonly string[],
  { failures = 0, errors = 0, time = 0, properties = [] }: {
    failures?: number;
    errors?: number;
    time?: number;
    properties?: readonly (readonly [string, string])[];
  },
): string {
  const counts = `name="imm eval" tests="${cases.length}" failures="${failures}" ` +
    `errors="${errors}" time="${time.toFixed(3)}"`;
  const rows = properties.map(([name, value]) =>
    `      <property name="${escapeXml(name)}" value="${escapeXml(value)}"/>`
  );
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites ${counts}>`,
    `  <testsuite ${counts} skipped="0">`,
    ...(rows.length > 0 ? ["    <properties>", ...rows, "    </properties>"] : []),
    ...cases.map((text) => `    ${text}`),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

/** XML 1.0 cannot hold all characters: the control characters are made visible. */
function escapeXml(text: string): string {
  return printable(text).replace(/[\ufffe\uffff]/g, "")
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The evaluation as Markdown, for summaries of jobs and comments on changes. */
export function markdownReport(evaluation: Evaluation, gate?: GateOutcome): string {
  const { floor, warnings, failed, seed, versions } = evaluation;
  const head = ["metric", "samples", ...(floor ? ["real"] : []), ...(gate ? ["gate"] : []), ""];
  const rows = reportRows(evaluation, gate).map((
    { metric, value, floor: real, title, outcomes },
  ) => [
    `\`${metric}\``,
    `**${value}**`,
    ...(floor ? [real] : []),
    ...(gate
      ? [outcomes.map((o) => `${o.met ? "✅" : "❌"} ${escapeMarkdown(verdict(o))}`).join("<br>")]
      : []),
    escapeMarkdown(title),
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const facts = [
    ...reportFacts(evaluation),
    ["seed", String(seed)] as const,
    ["versions", `imm ${versions.imm}, Deno ${versions.deno}`] as const,
  ];
  const title = gate ? `imm eval: ${gate.passed ? "passed" : "failed"}` : "imm eval";
  return [
    `### ${title}`,
    "",
    line(head),
    line(head.map((cell) => cell === "samples" || cell === "real" ? "---:" : "---")),
    ...rows.map(line),
    "",
    ...facts.map(([name, text]) => `- ${name}: ${escapeMarkdown(text)}`),
    ...warnings.map((warning) => `- ⚠️ ${escapeMarkdown(warning)}`),
    ...Object.entries(failed).map(([metric, why]) =>
      `- ❌ \`${metric}\` was not computed: ${escapeMarkdown(why)}`
    ),
    "",
  ].join("\n");
}

/** Names of files are not to become headings, links or cells. */
function escapeMarkdown(text: string): string {
  return printable(text).replace(/[\\`*_{}[\]<>|#]/g, "\\$&");
}

/** What GitHub Actions shows beside a job: errors and warnings, one command a line. */
export function githubAnnotations(evaluation: Evaluation, gate?: GateOutcome): string[] {
  return [
    ...(gate ? gateFailures(gate) : []).map((text) => githubCommand("error", text)),
    ...Object.values(evaluation.failed).map((text) => githubCommand("error", text)),
    ...evaluation.warnings.map((text) => githubCommand("warning", text)),
  ];
}

/** A command of GitHub Actions, escaped as its toolkit escapes it. */
export function githubCommand(kind: "error" | "warning", message: string): string {
  return `::${kind} title=imm eval::${printable(message).replaceAll("%", "%25")}`;
}
