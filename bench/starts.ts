/**
 * How long the program takes to start: to show its help, and from nothing to a first image.
 *
 * @module
 */

import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import { median } from "../lib/base/clock.ts";
import { presetConfig } from "../lib/measure/training.ts";
import { saveModel } from "../lib/models/model_file.ts";
import { createNetwork } from "../lib/models/registry.ts";
import { childEnvironment, denoArguments } from "./child.ts";
import { short, table } from "./report.ts";
import { sectionsOf } from "../lib/objectives/registry.ts";

/** A command and its seconds. */
export interface Start {
  readonly command: string;
  readonly seconds: number;
}

/** Runs each command several times. */
export async function measureStarts(
  { threads, say }: { readonly threads: number; readonly say: (text: string) => void },
): Promise<readonly Start[]> {
  const folder = await Deno.makeTempDir({ prefix: "imm-bench-" });
  try {
    const model = join(folder, "model.safetensors");
    const config = presetConfig("digits");
    const { network } = config;
    const weights = createNetwork(network).parameters.initial(0);
    await saveModel(model, { network, ...sectionsOf(config), weights, notes: {} });
    const image = ["sample", "--checkpoint", model, "--steps", "1", "--seeds", "0"];
    const commands: Record<string, string[]> = {
      "imm --help": ["--help"],
      "imm sample: one image of the digits network, wasm": [...image, "--device", "wasm"],
      "imm sample: one image of the digits network, webgpu": [...image, "--device", "webgpu"],
    };
    const starts: Start[] = [];
    for (const [command, args] of Object.entries(commands)) {
      const seconds: number[] = [];
      for (let i = 0; i < 5; i++) {
        const out = args.length > 1 ? ["--out", join(folder, `${i}.png`)] : [];
        const taken = await secondsOf([...args, ...out], threads);
        if (taken !== null) seconds.push(taken);
        await Deno.remove(join(folder, `${i}.png`)).catch(() => {});
      }
      if (seconds.length === 0) {
        say(`${command}: failed, so it is not measured`);
        continue;
      }
      starts.push({ command, seconds: median(seconds) });
      say(`${command}: ${short(median(seconds))} s`);
    }
    return starts;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Wall time of the program, or null when it fails. */
async function secondsOf(args: readonly string[], threads: number): Promise<number | null> {
  const main = fromFileUrl(import.meta.resolve("../cli/main.ts"));
  const started = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...denoArguments(), main, ...args],
    env: childEnvironment(threads),
    stdout: "null",
    stderr: "null",
  }).output();
  return success ? (performance.now() - started) / 1000 : null;
}

/** Seconds. */
export function startTable(starts: readonly Start[]): string {
  return table(
    ["start (once the modules are in Deno's cache)", "seconds"],
    starts.map(({ command, seconds }) => [command, short(seconds)]),
  );
}
