/** `imm eval merge`. @module */

import {
  checkedFormat,
  readPartial,
  REFERENCE_FORMATS,
  writeReference,
} from "../../lib/eval/references/files.ts";
import {
  mergePartials,
  namedProvenance,
  type PartialStatistics,
  referenceOf,
} from "../../lib/eval/references/reference.ts";
import { claimOutputs } from "../../lib/files/outputs.ts";
import { choice, flag, text } from "../base/options.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "eval merge",
  summary: "put the statistics of parts of a set together",
  usage: "imm eval merge PART.stats... --out FILE [options]",
  examples: [
    {
      command: "imm eval merge part1.stats part2.stats --out photos.npz",
      does: "the statistics of the whole, as if one machine had made them",
    },
  ],
  positionals: { value: "PART...", help: "files of imm eval stats --out PART.stats", min: 1 },
  options: {
    out: text({
      help: "file to write: .npz (mean and covariance), or .stats (sums, to be merged on)",
      value: "FILE",
      required: true,
    }),
    format: choice(REFERENCE_FORMATS, { help: "how to write it (default: what the name says)" }),
    force: flag({ help: "merge although parts are missing" }),
    ...outputOptions,
  },
  async run(args, terminal) {
    const format = checkedFormat(args.out, args.format);
    const out = { option: "--out", path: args.out, replace: args.overwrite };
    using _claim = await claimOutputs([out], args._);
    const parts: PartialStatistics[] = [];
    for (const path of args._) parts.push(await readPartial(path));
    const merged = mergePartials(parts, args.out, { force: args.force });
    const reference = referenceOf(merged);
    await writeReference(args.out, reference, merged.provenance, format);
    terminal.result(
      { path: args.out, ...namedProvenance(merged.provenance), parts: args._ },
      `statistics of ${merged.provenance.count} images of ${parts.length} ` +
        `${parts.length === 1 ? "part" : "parts"}: ${args.out}`,
    );
  },
});
