/** `imm sample merge`. @module */

import { UsageError } from "../lib/errors.ts";
import { mergeParts } from "../lib/sample/parts.ts";
import { flag, text } from "./options.ts";
import { defineVerb } from "./verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "sample merge",
  summary: "put the parts of a set of images together",
  usage: "imm sample merge PART... --out FILE",
  examples: [
    {
      command: "imm sample merge samples.*-of-8.npz --out samples.npz",
      does: "the file that one process would have written, byte by byte",
    },
  ],
  positionals: {
    value: "PART...",
    help: "all parts that imm sample --shard wrote: .npz, .zip or .safetensors",
    min: 1,
  },
  options: {
    out: text({ help: "file to write", value: "FILE", required: true }),
    overwrite: flag({ help: "replace a file that is there" }),
  },
  async run(args, terminal) {
    if (!args.overwrite && await Deno.stat(args.out).catch(() => null) !== null) {
      throw new UsageError(`${args.out} is there already; give --overwrite to replace it.`);
    }
    await mergeParts(args._, args.out);
    terminal.result(
      { out: args.out, parts: args._.length },
      `${args._.length} parts: ${args.out}`,
    );
  },
});
