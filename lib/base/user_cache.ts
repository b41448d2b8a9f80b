/**
 * Where this program keeps what can be made or fetched again.
 *
 * @module
 */

import { join } from "node:path";
import { environmentVariable } from "./environment.ts";

/**
 * The folder of the user's cache: `IMM_CACHE_DIR` where that is set, else `imm` in the place that
 * the system has for caches (`XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`).
 * It need not exist.
 */
export function userCacheFolder(
  os: typeof Deno.build.os = Deno.build.os,
  env: (name: string) => string | undefined = (name) => environmentVariable(name) || undefined,
): string {
  const own = env("IMM_CACHE_DIR");
  if (own) return own;
  const home = env("HOME") ?? env("USERPROFILE") ?? ".";
  if (os === "windows") return join(env("LOCALAPPDATA") ?? join(home, "AppData", "Local"), "imm");
  if (os === "darwin") return join(home, "Library", "Caches", "imm");
  return join(env("XDG_CACHE_HOME") ?? join(home, ".cache"), "imm");
}
