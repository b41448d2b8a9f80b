/**
 * What Deno makes of signals by itself, and should not (from 2.9.2 on, half a second after a program
 * has started, whatever the program listens to):
 *
 * - SIGUSR1 opens Deno's debugger, on 127.0.0.1:9229 and for every user of the machine. The launcher
 *   keeps the signal away; a program started without it closes the debugger again at once.
 * - SIGHUP ends a program that was told to ignore it, as by `nohup`.
 *
 * @module
 */

import * as inspector from "node:inspector";
import { environmentVariable } from "../../lib/base/environment.ts";

/** Puts both right, for as long as the program runs. Call it first of all. */
export function guardSignals(): void {
  if (Deno.build.os === "windows") return;
  if (hangupIsIgnored()) Deno.addSignalListener("SIGHUP", () => {});
  keepDebuggerShut();
}

let isIgnored: boolean | undefined;

/**
 * Whether the program was started to outlive its terminal. The launcher tells; without it, Linux does
 * where everything may be read, until Deno listens to signals.
 */
export function hangupIsIgnored(): boolean {
  return isIgnored ??= environmentVariable("IMM_NOHUP") === "1" || readIgnored();
}

function readIgnored(): boolean {
  // Deno shows /proc to programs that may do everything; others must not make it ask.
  const everything = (["read", "run", "ffi", "net"] as const).every((name) => isGranted({ name }));
  if (!everything) return false;
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0";
    return (BigInt(`0x${mask}`) & 1n) === 1n; // SIGHUP is signal 1
  } catch {
    return false; // another system, or not allowed
  }
}

/** How often the debugger is looked for, in milliseconds apart: it opens after the listener has run. */
const LOOKS = [0, 0, 0, 1, 10, 100, 1000];

/** Closes the debugger whenever SIGUSR1 opens it, except where it was asked for (`--inspect`). */
function keepDebuggerShut(): void {
  if (mayClose() && inspector.url() !== undefined) return;
  Deno.addSignalListener("SIGUSR1", async () => {
    if (!mayClose()) {
      return console.error(
        "warning: SIGUSR1 opens Deno's debugger on this machine, and without --allow-sys it cannot " +
          "be closed; ./imm keeps the signal away",
      );
    }
    for (const wait of LOOKS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (inspector.url() !== undefined) inspector.close();
    }
  });
}

function mayClose(): boolean {
  return isGranted({ name: "sys" });
}

/** Asked without asking: a program must not stop for a prompt. */
function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
