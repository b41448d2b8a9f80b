/** `imm eval stats`. @module */

import { UsageError } from "../../lib/base/errors.ts";
import { computeReference } from "../../lib/eval/evaluate.ts";
import {
  checkedFormat,
  REFERENCE_FORMATS,
  writeReference,
} from "../../lib/eval/references/files.ts";
import { namedProvenance, type Provenance } from "../../lib/eval/references/reference.ts";
import { parseShard, SHARD_FORMS } from "../../lib/base/shard.ts";
import { openCache, openFittingExtractor } from "./extractor.ts";
import { filesRead, openGenerated, openImages } from "./inputs.ts";
import {
  checkGeneration,
  generationOptions,
  inputOptions,
  seedsOf,
  withProgress,
} from "./options.ts";
import { claimOutputs } from "../../lib/files/outputs.ts";
import { interruptible } from "../base/interrupt.ts";
import { choice, text } from "../base/options.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

const options = {
  out: text({
    help: "file to write: .npz (mean and covariance), or .stats (sums, for imm eval merge)",
    value: "FILE",
    required: true,
  }),
  format: choice(REFERENCE_FORMATS, {
    help: "how to write it (default: what the name says)",
  }),
  shard: text({
    help: `only a part of the images, to be merged with the others: ${SHARD_FORMS}`,
    value: "I/N",
  }),
  ...outputOptions,
  ...inputOptions,
  ...generationOptions,
};

/** The verb. */
export const verb = defineVerb({
  name: "eval stats",
  summary: "statistics of a set of images, to compare with another time",
  usage: "imm eval stats DATA --out FILE [options]\n" +
    "       imm eval stats --checkpoint RUN|FILE --out FILE [options]",
  examples: [
    {
      command: "imm eval stats digits --out digits.npz",
      does: "what imm eval --reference digits.npz compares with",
    },
    {
      command: "imm eval stats photos/ --extractor net.onnx --shard 2/8 --out part2.stats",
      does: "one eighth of a large set, on one of eight machines",
    },
  ],
  positionals: {
    value: "DATA",
    help: "digits, a folder, .zip, .npz, IDX or CIFAR-10 file of images",
    max: 1,
  },
  options,
  async run(args, terminal) {
    const [data] = args._;
    if ((data === undefined) === (args.checkpoint === undefined)) {
      throw new UsageError(
        'imm eval stats needs either DATA or --checkpoint RUN|FILE; see "imm eval stats --help".',
      );
    }
    checkGeneration(args);
    const shard = args.shard === undefined ? undefined : parseShard(args.shard);
    const format = checkedFormat(args.out, args.format);
    if (shard && format !== "stats") {
      throw new UsageError(
        `--shard makes a part to be merged, which needs sums: write it as .stats, not ${args.out}.`,
      );
    }
    const out = { option: "--out", path: args.out, replace: args.overwrite };
    using _claim = await claimOutputs([out], await filesRead(args));
    await interruptible(
      terminal,
      async (signal) => {
        await using side = data !== undefined
          ? await openImages(data, { ...args, shard, onNote: (note) => terminal.warn(note) })
          : await openGenerated(args.checkpoint!, { ...args, shard, seeds: seedsOf(args), signal });
        await using extractor = await openFittingExtractor(args, [side], terminal, signal);
        const made = await withProgress(
          terminal,
          (progress) =>
            computeReference(side.images, extractor, {
              layers: Object.keys(extractor.layers ?? {}).filter((layer) => layer === "spatial"),
              cache: openCache(args, extractor),
              threads: args.threads,
              progress,
              signal,
            }),
        );
        const { sha256 } = side.origin();
        const provenance: Provenance = {
          ...made.provenance,
          ...(typeof sha256 === "string" ? { sha256 } : {}),
          ...(shard ? { shard } : {}),
        };
        await writeReference(args.out, made, provenance, format);
        terminal.result(
          { path: args.out, ...namedProvenance(provenance), inputs: { reference: side.origin() } },
          () =>
            `statistics of ${provenance.count} images in the ${made.dimension} features of ` +
            `${extractor.id}: ${args.out}`,
        );
      },
      "Stopped; features that were extracted are kept in the cache.",
      "done",
    );
  },
});
