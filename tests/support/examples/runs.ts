/** Training runs for tests: a tiny network on the digits, in this process and in a child. */

import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../../cli/main.ts";
import { memorySink } from "../cli/sink.ts";

/** Images per step of {@link TINY_RUN}. */
export const BATCH = 16;

/** Settings that make of the preset `digits` a run of 20 steps that takes a second. */
export const TINY_RUN: readonly string[] = [
  "network.modelChannels=4",
  "network.channelMult=[1]",
  "network.attnResolutions=[]",
  `train.batch=${BATCH}`,
  `train.images=${20 * BATCH}`,
  `report.status=${3 * BATCH}`,
  "report.samples=0",
  `report.checkpoint=${4 * BATCH}`,
  "report.grid=4",
  "report.steps=[1]",
];

/** Arguments of `imm train` for a new run, later settings overriding earlier ones. */
export function startArguments(out: string, settings: readonly string[] = []): string[] {
  return [
    ...["train", "--preset", "digits", "--device", "wasm", "--out", out],
    ...[...TINY_RUN, ...settings].flatMap((setting) => ["--set", setting]),
  ];
}

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the tool in this process. */
export async function imm(...args: string[]): Promise<Ended> {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(args, { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Starts the tool in a process of its own, perhaps in another folder. */
export function spawnImm(...all: (string | { readonly cwd: string })[]): Deno.ChildProcess {
  const args = all.filter((each) => typeof each === "string");
  const options = all.find((each) => typeof each !== "string");
  const file = (path: string) => new URL(`../../../${path}`, import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", "-A", `--import-map=${file("offline/import_map.json")}`],
      ...[file("cli/main.ts"), ...args],
    ],
    env: { IMM_PROGRAM: "imm" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).spawn();
}

/** Waits for the end of a child. */
export async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Waits until `condition` holds. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`waited for a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Names of the checkpoints in a run's folder, oldest first; none while there is no folder. */
export async function checkpointsIn(run: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(run)) {
      if (/^checkpoint-\d+\.safetensors$/.test(name)) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

/** Lines of a run's log without what depends on the clock. */
export async function logOf(run: string): Promise<unknown[]> {
  const text = await Deno.readTextFile(join(run, "stats.jsonl"));
  return text.trimEnd().split("\n").map((line) => {
    const { imagesPerSecond: _speed, seconds: _seconds, time: _time, ...rest } = JSON.parse(line);
    return rest;
  });
}

/** Every file in a folder with its contents and the time of its last change. */
export async function snapshot(folder: string): Promise<Map<string, [Uint8Array, number]>> {
  const files = new Map<string, [Uint8Array, number]>();
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const path = join(folder, name);
    const { mtime } = await Deno.stat(path);
    files.set(name, [await Deno.readFile(path), mtime!.getTime()]);
  }
  return files;
}
