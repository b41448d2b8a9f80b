/**
 * What `imm eval` leaves behind for continuous integration: files, annotations, a summary.
 *
 * @module
 */

import { environmentVariable } from "../../lib/base/environment.ts";
import { GateError, InterruptedError } from "../../lib/base/errors.ts";
import type { Evaluation } from "../../lib/eval/evaluate.ts";
import type { Gallery } from "../../lib/eval/reports/gallery.ts";
import type { GateOutcome } from "../../lib/eval/gate.ts";
import {
  githubAnnotations,
  githubCommand,
  junitError,
  junitReport,
  markdownReport,
} from "../../lib/eval/reports/ci.ts";
import { htmlReport } from "../../lib/eval/reports/html.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { claimOutputs, type OutputClaim, type OutputFile } from "../../lib/files/outputs.ts";
import { flagName, type Parsed, text } from "../base/options.ts";
import type { Terminal } from "../base/terminal.ts";

/** The options of the reports. */
export const reportOptions = {
  junit: text({ help: "also write the result as JUnit XML", value: "FILE.xml" }),
  markdown: text({ help: "also write the result as Markdown", value: "FILE.md" }),
  html: text({
    help: "also write a page with the scores, samples, and the real images nearest to some",
    value: "FILE.html",
  }),
};

type ReportArgs = Omit<Parsed<typeof reportOptions>, "_">;

/**
 * Takes all files that an evaluation is to write. Features take long: what cannot be written is
 * found out before. Reports replace earlier reports unasked, as a job that runs each day needs it,
 * and nothing else.
 *
 * @param files other files, by the option that named them
 * @param inputs what is read
 * @throws {UsageError} when one cannot be written, or would replace something else
 */
export async function claimReports(
  { overwrite = false, junit, markdown, html }: ReportArgs & { readonly overwrite?: boolean },
  files: Readonly<Record<string, string | undefined>>,
  inputs: readonly (string | null | undefined)[],
): Promise<OutputClaim> {
  const outputs = (named: typeof files, replace: OutputFile["replace"]) =>
    Object.entries(named).flatMap(([name, path]): OutputFile[] =>
      path === undefined ? [] : [{ option: flagName(name), path, replace: overwrite || replace }]
    );
  return await claimOutputs(
    [...outputs(files, false), ...outputs({ junit, markdown, html }, isReport)],
    inputs,
  );
}

/** Whether a file begins as all of our reports do. */
async function isReport(path: string): Promise<boolean> {
  using file = await Deno.open(path, { read: true });
  const head = new Uint8Array(REPORT_HEAD);
  const count = await file.read(head) ?? 0;
  return new TextDecoder().decode(head.subarray(0, count)).includes("imm eval");
}

const REPORT_HEAD = 512;

/** Writes what was asked for, and what GitHub Actions shows where it runs the program. */
export async function writeReports(
  { junit, markdown, html }: ReportArgs,
  terminal: Terminal,
  { evaluation, gate, gallery }: {
    readonly evaluation: Evaluation;
    readonly gate?: GateOutcome;
    readonly gallery?: Gallery;
  },
): Promise<void> {
  if (junit !== undefined) await writeFileAtomic(junit, junitReport(evaluation, gate));
  if (markdown !== undefined) await writeFileAtomic(markdown, markdownReport(evaluation, gate));
  if (html !== undefined) {
    await writeFileAtomic(html, htmlReport(evaluation, { gate, gallery, date: new Date() }));
  }
  if (!onGithub()) return;
  for (const line of githubAnnotations(evaluation, gate)) terminal.command(line);
  const summary = environmentVariable("GITHUB_STEP_SUMMARY");
  if (summary) {
    await Deno.writeTextFile(summary, `${markdownReport(evaluation, gate)}\n`, { append: true });
  }
}

/**
 * Runs an evaluation so that its failure is reported, too: a missing JUnit file is easily taken
 * for a test that was not to be run. A gate that is not met is a result and no failure.
 *
 * @param claim takes the files that are to be written; only then may the failure be written to one
 */
export async function reportingFailure<Value>(
  { junit }: ReportArgs,
  terminal: Terminal,
  claim: () => Promise<Disposable>,
  work: () => Promise<Value>,
): Promise<Value> {
  let claimed = false;
  try {
    using _claim = await claim();
    claimed = true;
    return await work();
  } catch (error) {
    if (error instanceof GateError || error instanceof InterruptedError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (claimed && junit !== undefined) {
      // The first error is the one worth telling.
      await writeFileAtomic(junit, junitError(message)).catch(() => {});
    }
    if (onGithub()) terminal.command(githubCommand("error", message));
    throw error;
  }
}

function onGithub(): boolean {
  return environmentVariable("GITHUB_ACTIONS") === "true";
}
