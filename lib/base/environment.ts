/**
 * The environment and the machine, for programs that may not ask about them.
 *
 * @module
 */

/** The value of a variable; undefined when it is not set or Deno's permissions do not allow it. */
export function environmentVariable(name: string): string | undefined {
  return mayUseVariable(name) ? Deno.env.get(name) : undefined;
}

/** Whether a variable may be read and set. */
export function mayUseVariable(name: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
}

/** Sets a variable for this program and its threads, or removes it. Only where it may be used. */
export function setEnvironmentVariable(name: string, value: string | null): void {
  if (value === null) Deno.env.delete(name);
  else Deno.env.set(name, value);
}

/** Free memory of this machine in bytes; null when Deno's permissions do not allow asking. */
export function availableMemory(): number | null {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().available : null;
}
