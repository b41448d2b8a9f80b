/** Running the command line in a process of its own, as a person does. */

import { fromFileUrl } from "jsr:@std/path@1.0.8";

/** What a process left. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The import map that this test run itself needs: the one for networks without JSR when JSR's
 * packages do not come from JSR here, else none.
 */
export function importMapArguments(): string[] {
  const stdPath = import.meta.resolve("jsr:@std/path@1.0.8");
  if (!stdPath.startsWith("file:")) return [];
  return ["--import-map", fromFileUrl(import.meta.resolve("../../../offline/import_map.json"))];
}

/** Runs `deno run MODULE ARGS` and waits for its end. */
export async function runModule(
  module: string,
  args: readonly string[] = [],
  { permissions = ["--allow-all"], env = {} }: {
    permissions?: readonly string[];
    env?: Record<string, string>;
  } = {},
): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      ...permissions,
      ...importMapArguments(),
      module,
      ...args,
    ],
    env: { NO_COLOR: "1", IMM_PROGRAM: "imm", ...env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs `imm ARGS` and waits for its end. */
export function imm(
  args: readonly string[],
  options: Parameters<typeof runModule>[2] = {},
): Promise<Finished> {
  return runModule(fromFileUrl(import.meta.resolve("../../../cli/main.ts")), args, options);
}
