/** `imm sample merge`. @module */

import { claimOutputs } from "../../lib/files/outputs.ts";
import { mergeParts } from "../../lib/sample/output/parts.ts";
import { flag, text } from "../base/options.ts";
import { defineVerb } from "../base/verb.ts";

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
    const out = { option: "--out", path: args.out, replace: args.overwrite };
    using _claim = await claimOutputs([out], args._);
    await mergeParts(args._, args.out);
    terminal.result(
      { path: args.out, parts: args._ },
      `${args._.length} parts: ${args.out}`,
    );
  },
});
