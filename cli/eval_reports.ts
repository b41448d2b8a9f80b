/**
 * What `imm eval` leaves behind for continuous integration: files, annotations, a summary.
 *
 * @module
 */

import { dirname } from "jsr:@std/path@^1";
import { environmentVariable } from "../lib/environment.ts";
import { GateError, InterruptedError, UsageError } from "../lib/errors.ts";
import type { Evaluation } from "../lib/eval/evaluate.ts";
import type { Gallery } from "../lib/eval/gallery.ts";
import type { GateOutcome } from "../lib/eval/gate.ts";
import {
  githubAnnotations,
  githubCommand,
  junitError,
  junitReport,
  markdownReport,
} from "../lib/eval/report_ci.ts";
import { htmlReport } from "../lib/eval/report_html.ts";
import { writeFileAtomic } from "../lib/format/atomic.ts";
import { flagName, type Parsed, text } from "./options.ts";
import type { Terminal } from "./terminal.ts";

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
 * Features take long: where something is to be written should be known to exist before.
 *
 * @param paths by the option that named them
 * @throws {UsageError} when a folder does not exist
 */
export async function checkFolders(paths: Readonly<Record<string, string | undefined>>) {
  for (const [name, path] of Object.entries(paths)) {
    if (path === undefined) continue;
    const folder = dirname(path);
    if ((await Deno.stat(folder).catch(() => null))?.isDirectory) continue;
    throw new UsageError(
      `The folder ${folder} of ${flagName(name)} does not exist; create it first.`,
    );
  }
}

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
 */
export async function reportingFailure<Value>(
  { junit }: ReportArgs,
  terminal: Terminal,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GateError || error instanceof InterruptedError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    // The first error is the one worth telling.
    if (junit !== undefined) await writeFileAtomic(junit, junitError(message)).catch(() => {});
    if (onGithub()) terminal.command(githubCommand("error", message));
    throw error;
  }
}

function onGithub(): boolean {
  return environmentVariable("GITHUB_ACTIONS") === "true";
}
