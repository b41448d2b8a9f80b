/** `imm eval cache`. @module */

import { FeatureCache } from "../../lib/eval/feature_cache.ts";
import { refuseTilde } from "../../lib/files/outputs.ts";
import { formatBytes } from "../../lib/base/units.ts";
import { userFeatureFolder } from "./extractor.ts";
import { flag, size, text } from "../base/options.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "eval cache",
  summary: "show or clear the folder where features are kept",
  usage: "imm eval cache [options]",
  examples: [
    { command: "imm eval cache", does: "the folder, and what it takes" },
    {
      command: "imm eval cache --limit 5Gi",
      does: "removes what was not used for the longest time",
    },
    { command: "imm eval cache --clear", does: "removes all features" },
  ],
  options: {
    cache: text({ help: "the folder (default: the user's)", value: "DIR" }),
    clear: flag({ help: "remove all features; nothing else in the folder" }),
    limit: size({ help: "remove features until they take no more bytes than this", min: 0 }),
  },
  async run(args, terminal) {
    if (args.cache !== undefined) refuseTilde(args.cache, "--cache");
    const cache = new FeatureCache(args.cache ?? userFeatureFolder());
    const removed = args.clear
      ? await cache.clear()
      : args.limit !== undefined
      ? await cache.prune(args.limit)
      : { files: 0, bytes: 0 };
    const usage = await cache.usage();
    const inWords = ({ files, bytes }: { files: number; bytes: number }) =>
      `${files} ${files === 1 ? "file" : "files"}, ${formatBytes(bytes)}`;
    terminal.result(
      { path: cache.folder, ...usage, removed },
      [
        ...(removed.files > 0 ? [`removed ${inWords(removed)}`] : []),
        `${cache.folder}: ${inWords(usage)}`,
      ],
    );
  },
});
