/**
 * Environment variables, for programs that may not read them.
 *
 * @module
 */

/** The value of a variable; undefined when it is not set or Deno's permissions do not allow it. */
export function environmentVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
