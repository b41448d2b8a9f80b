/**
 * The environment and the machine, for programs that may not ask about them.
 *
 * @module
 */

/** The value of a variable; undefined when it is not set or Deno's permissions do not allow it. */
export function environmentVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** Free memory of this machine in bytes; null when Deno's permissions do not allow asking. */
export function availableMemory(): number | null {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().available : null;
}
