/** `imm version`. @module */

import { VERSION } from "../lib/base/version.ts";
import { defineVerb } from "./base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "version",
  summary: "show the version, as --version does",
  usage: "imm version [--json]",
  examples: [{ command: "imm version", does: `print the version: imm ${VERSION}` }],
  options: {},
  run(_args, terminal) {
    terminal.result({ version: VERSION, deno: Deno.version.deno }, `imm ${VERSION}`);
    return Promise.resolve();
  },
});
