/**
 * Being asked to stop: by Ctrl-C, by a batch system, by the end of a terminal. The first time the
 * work stops cleanly; only a second Ctrl-C kills.
 *
 * @module
 */

import { InterruptedError, StoppedError } from "../../lib/base/errors.ts";
import { hangupIsIgnored } from "./signals.ts";
import type { Terminal } from "./terminal.ts";

/** How a program ends that a second Ctrl-C stopped. */
const KILLED = 130;

/**
 * What asks a program to stop. SIGTERM is what Slurm, Kubernetes, Docker and systemd send; SIGUSR1
 * and SIGUSR2 are what Slurm sends ahead of the end where it is told to; SIGHUP is a terminal or a
 * connection that was closed.
 */
function stopSignals(): Deno.Signal[] {
  if (Deno.build.os === "windows") return ["SIGINT", "SIGBREAK"];
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"];
  return hangupIsIgnored() ? signals : [...signals, "SIGHUP"];
}

/**
 * Runs `work` with a signal that aborts when the program is asked to stop. The work then finishes
 * its step, saves and returns or throws; either way this throws an error that says how the program
 * ends: `InterruptedError` (exit code 130) after Ctrl-C, `StoppedError` (75) when the system asked.
 * `saved` says what the person has now, in a sentence.
 *
 * @param returned what it means when the work returns after that: that it was `"stopped"`, or that
 * it is `"done"` because nothing was left to be stopped; then its value is returned
 */
export async function interruptible<Value>(
  terminal: Terminal,
  work: (signal: AbortSignal) => Promise<Value>,
  saved: string | (() => string) = "Stopped as asked.",
  returned: "stopped" | "done" = "stopped",
): Promise<Value> {
  const controller = new AbortController();
  let by: Deno.Signal | null = null;
  const stop = (signal: Deno.Signal) => {
    if (by !== null) {
      // A closed terminal sends SIGHUP twice, and batch systems repeat themselves.
      if (signal === "SIGINT" || signal === "SIGBREAK") Deno.exit(KILLED);
      return;
    }
    by = signal;
    controller.abort();
    try {
      terminal.say(
        signal === "SIGINT"
          ? "Stopping after this step; press Ctrl-C again to stop at once."
          : `Stopping after this step, since ${signal} asks for it.`,
      );
    } catch {
      // The terminal may be what went away.
    }
  };
  const listeners = stopSignals().map((signal) => [signal, () => stop(signal)] as const);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const stopped = (message: string, cause?: unknown) =>
    by === "SIGINT" || by === "SIGBREAK"
      ? new InterruptedError(message, { cause })
      : new StoppedError(message, { cause });
  try {
    const value = await work(controller.signal);
    if (by !== null && returned === "stopped") {
      throw stopped(typeof saved === "string" ? saved : saved());
    }
    return value;
  } catch (error) {
    if (by === null) throw error;
    // The work's own words, or `signal.throwIfAborted()` inside of it.
    if (error instanceof InterruptedError) throw stopped(error.message, error);
    if (error === controller.signal.reason) {
      throw stopped(typeof saved === "string" ? saved : saved(), error);
    }
    throw error;
  } finally {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}
