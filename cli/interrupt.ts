/**
 * Ctrl-C: the first asks the work to stop cleanly, the second kills.
 *
 * @module
 */

import { InterruptedError } from "../lib/errors.ts";
import type { Terminal } from "./terminal.ts";

/** How a program ends that Ctrl-C stopped. */
const KILLED = 130;

/**
 * Runs `work` with a signal that aborts at the first Ctrl-C (or SIGTERM). The work then finishes
 * its step, saves and returns or throws; either way this throws `InterruptedError`, so that the
 * program ends with exit code 130. `saved` says what the person has now, in a sentence.
 *
 * @param returned what it means when the work returns after Ctrl-C: that it was `"stopped"`, or that
 * it is `"done"` because nothing was left to be stopped; then its value is returned
 */
export async function interruptible<Value>(
  terminal: Terminal,
  work: (signal: AbortSignal) => Promise<Value>,
  saved: string | (() => string) = "Stopped as asked.",
  returned: "stopped" | "done" = "stopped",
): Promise<Value> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(KILLED);
    terminal.say("Stopping after this step; press Ctrl-C again to stop at once.");
    controller.abort();
  };
  // Windows knows no SIGTERM.
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    const value = await work(controller.signal);
    if (controller.signal.aborted && returned === "stopped") {
      throw new InterruptedError(typeof saved === "string" ? saved : saved());
    }
    return value;
  } catch (error) {
    // `signal.throwIfAborted()` inside the work throws an AbortError.
    if (controller.signal.aborted && error === controller.signal.reason) {
      throw new InterruptedError(typeof saved === "string" ? saved : saved());
    }
    throw error;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}
