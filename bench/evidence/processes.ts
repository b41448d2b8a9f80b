/**
 * Commands that run side by side, each as a process with a log of its own.
 *
 * @module
 */

import { ImmError } from "../../lib/base/errors.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { formatDuration } from "../../lib/base/units.ts";

/** A command to run. */
export interface Job {
  readonly label: string;
  /** The program, then its arguments. */
  readonly command: readonly string[];
  /** Where its standard error goes, and its output if that is not wanted. */
  readonly log: string;
  /** Where its output goes if it ends well. */
  readonly output?: string;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it gets no other variables. */
  readonly clearEnv?: boolean;
}

/** How jobs are run. */
export interface JobOptions {
  /** How many at a time. */
  readonly jobs: number;
  readonly say: (text: string) => void;
}

/** Runs them all. @throws {ImmError} when some failed, after all ran */
export async function runJobs(
  jobs: readonly Job[],
  { jobs: width, say }: JobOptions,
): Promise<void> {
  const failed: Job[] = [];
  let next = 0;
  let ended = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const job = jobs[next++];
      const start = performance.now();
      const ok = await runJob(job);
      const seconds = (performance.now() - start) / 1000;
      ended++;
      if (!ok) failed.push(job);
      const outcome = ok ? formatDuration(seconds) : `failed, see ${job.log}`;
      say(`[${ended}/${jobs.length}] ${job.label}: ${outcome}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, jobs.length) }, worker));
  if (failed.length > 0) {
    const logs = failed.map(({ label, log }) => `${label} (${log})`).join(", ");
    throw new ImmError(`${failed.length} of ${jobs.length} processes failed: ${logs}`);
  }
}

/** Whether the process ended with exit code 0. */
async function runJob(
  { command: [program, ...args], log, output, env = {}, clearEnv }: Job,
): Promise<boolean> {
  const child = new Deno.Command(program, {
    args,
    env: { NO_COLOR: "1", ...env },
    clearEnv,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const file = await Deno.open(log, { write: true, create: true, truncate: true });
  const [text, { success }] = await Promise.all([
    new Response(child.stdout).text(),
    child.status,
    child.stderr.pipeTo(file.writable),
  ]);
  if (output !== undefined && success) {
    await writeFileAtomic(output, text);
  } else {
    await Deno.writeTextFile(log, text, { append: true });
  }
  return success;
}
