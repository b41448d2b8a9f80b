/**
 * Which files belong to a training run, for whoever is asked to write over one.
 *
 * @module
 */

import { basename, dirname } from "jsr:@std/path@1.0.8";

/** Files that a run writes into its folder; lib/train/run/folder.ts lists them. */
const FILES = new RegExp(
  "^(config\\.json|log\\.txt|(history|stats|scores)\\.jsonl|" +
    "(best|model|checkpoint)(-.+)?\\.safetensors)$",
);

/** Folders of such files inside of a run's. */
const FOLDERS = ["snapshots", "samples", "tensorboard"];

/** Whether there is a training run in a folder: its configuration, and what only a run has. */
export async function holdsRun(folder: string): Promise<boolean> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) names.push(name);
  } catch {
    return false;
  }
  return names.some((name) => /^checkpoint-\d{9,}\.safetensors$/.test(name)) ||
    (names.includes("config.json") && (names.includes("stats.jsonl") || names.includes("samples")));
}

/** The folder of the run that a file belongs to, which need not be there yet; null for none. */
export async function runOfFile(path: string): Promise<string | null> {
  const folder = dirname(path);
  if (FILES.test(basename(path)) && await holdsRun(folder)) return folder;
  const above = dirname(folder);
  return FOLDERS.includes(basename(folder)) && await holdsRun(above) ? above : null;
}
