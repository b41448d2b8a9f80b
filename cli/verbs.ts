/**
 * The verbs that there are. Their files are imported when a verb is used, so that `imm --help`
 * does not load the engine; the specifiers are literal, so that `deno compile` embeds them.
 *
 * @module
 */

import type { Verb } from "./base/verb.ts";

/** A verb before its file is loaded. */
export interface VerbEntry {
  readonly name: string;
  /** The same as in the verb's file. */
  readonly summary: string;
  readonly load: () => Promise<Verb>;
}

/** All verbs, in the order of the help. */
export const verbs: readonly VerbEntry[] = [
  {
    name: "quickstart",
    summary: "train on handwritten digits, sample and evaluate, in minutes",
    load: async () => (await import("./quickstart.ts")).verb,
  },
  {
    name: "train",
    summary: "train a model",
    load: async () => (await import("./train/train.ts")).verb,
  },
  {
    name: "sample",
    summary: "generate images with a model",
    load: async () => (await import("./sample/sample.ts")).verb,
  },
  {
    name: "sample merge",
    summary: "put the parts of a set of images together",
    load: async () => (await import("./sample/merge.ts")).verb,
  },
  {
    name: "eval",
    summary: "compare generated with real images",
    load: async () => (await import("./eval/eval.ts")).verb,
  },
  {
    name: "eval stats",
    summary: "statistics of a set of images, to compare with another time",
    load: async () => (await import("./eval/stats.ts")).verb,
  },
  {
    name: "eval merge",
    summary: "put the statistics of parts of a set together",
    load: async () => (await import("./eval/merge.ts")).verb,
  },
  {
    name: "eval cache",
    summary: "show or clear the folder where features are kept",
    load: async () => (await import("./eval/cache.ts")).verb,
  },
  {
    name: "convert",
    summary: "bring models from PyTorch and take them back",
    load: async () => (await import("./convert.ts")).verb,
  },
  {
    name: "info",
    summary: "show what a model, checkpoint or foreign file holds",
    load: async () => (await import("./info.ts")).verb,
  },
  {
    name: "bench",
    summary: "measure how fast this machine computes, trains and samples",
    load: async () => (await import("./bench.ts")).verb,
  },
  {
    name: "ema reconstruct",
    summary: "average the weights over another length, after training",
    load: async () => (await import("./train/ema_reconstruct.ts")).verb,
  },
  {
    name: "dataset prepare",
    summary: "make a data set of pictures: crop, resize, label, encode",
    load: async () => (await import("./dataset/prepare.ts")).verb,
  },
  {
    name: "dataset info",
    summary: "what is in a data set: images, classes, mean and deviation, hash",
    load: async () => (await import("./dataset/info.ts")).verb,
  },
  {
    name: "doctor",
    summary: "show the devices, test them, and say what to do when none works",
    load: async () => (await import("./doctor/doctor.ts")).verb,
  },
  {
    name: "completions",
    summary: "print a script that completes verbs and options in a shell",
    load: async () => (await import("./completions/completions.ts")).verb,
  },
  {
    name: "version",
    summary: "show the version, as --version does",
    load: async () => (await import("./version.ts")).verb,
  },
];

/** The verbs of two words that begin with this one: `dataset prepare` and `dataset info`. */
export function verbsUnder<Entry extends { readonly name: string }>(
  first: string,
  entries: readonly Entry[],
): Entry[] {
  return entries.filter(({ name }) => name.startsWith(`${first} `));
}

/**
 * The verb that a command line begins with, and the arguments after it. A verb of two words comes
 * before one of the first word alone: `eval stats` is no evaluation of a folder called `stats`.
 */
export function findVerb<Entry extends { readonly name: string }>(
  args: readonly string[],
  entries: readonly Entry[],
): { entry: Entry; rest: string[] } | null {
  for (const words of [2, 1]) {
    const name = args.slice(0, words).join(" ");
    const entry = args.length >= words && entries.find((entry) => entry.name === name);
    if (entry) return { entry, rest: args.slice(words) };
  }
  return null;
}
