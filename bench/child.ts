/**
 * The parent's side of an engine: a process that is asked and answers, and is given up when it takes
 * too long.
 *
 * @module
 */

import { fromFileUrl } from "jsr:@std/path@1.0.8";
import type { Answer, Request } from "./engine.ts";
import { TextLineStream } from "./lines.ts";
import { findPython, pythonEnvironment } from "./python.ts";

/** An engine by name. */
export interface EngineEntry {
  readonly name: string;
  /** The device of ours with which it is compared: that of the same processor. */
  readonly device: "wasm" | "webgpu";
}

/** Everything that is compared, ours first. */
export const ENGINES: readonly EngineEntry[] = [
  { name: "imm-wasm", device: "wasm" },
  { name: "imm-webgpu", device: "webgpu" },
  { name: "jax-js-wasm", device: "wasm" },
  { name: "tfjs-wasm", device: "wasm" },
  { name: "ort-wasm", device: "wasm" },
  { name: "jax-js-webgpu", device: "webgpu" },
  { name: "tfjs-webgpu", device: "webgpu" },
  { name: "ort-webgpu", device: "webgpu" },
  { name: "pytorch", device: "wasm" },
  { name: "pytorch-cuda", device: "webgpu" },
];

/** Whether an engine is PyTorch, on either device. */
export function isPyTorch(name: string): boolean {
  return name.startsWith("pytorch");
}

/** The arguments of this process that its children need too. */
export function denoArguments(): string[] {
  const stdPath = import.meta.resolve("jsr:@std/path@1.0.8");
  const map = import.meta.resolve("../offline/import_map.json");
  return [
    "run",
    "--allow-all",
    "--no-check",
    ...stdPath.startsWith("file:") ? ["--import-map", fromFileUrl(map)] : [],
  ];
}

/** Environment of all children: as many threads for software rasterisers as for everybody else. */
export function childEnvironment(threads: number): Record<string, string> {
  return { LP_NUM_THREADS: String(threads), NO_COLOR: "1" };
}

/** A running engine. */
export class Child {
  #process: Deno.ChildProcess | null = null;
  #lines: ReadableStreamDefaultReader<string> | null = null;
  /** What the engine says of itself, or why it is not there. */
  description = "";
  /** Whether it can be asked. */
  usable = false;

  constructor(readonly entry: EngineEntry, private readonly threads: number) {}

  /** Starts the process; afterwards {@link usable} and {@link description} are known. */
  async start(): Promise<void> {
    const command = await this.#command();
    if (command === null) {
      this.description = "no python3 with torch found; set IMM_PYTHON to one";
      return;
    }
    this.#process = command.spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    const first = await this.#answer(120);
    this.usable = "description" in first;
    this.description = "description" in first
      ? first.description
      : "skipped" in first
      ? first.skipped
      : "";
  }

  /** Asks; a child that takes longer than `patience` seconds is ended and started again. */
  async ask(request: Request, patience: number): Promise<Answer> {
    const writer = this.#process!.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
    } finally {
      writer.releaseLock();
    }
    return await this.#answer(patience);
  }

  /** Ends the process. */
  async end(): Promise<void> {
    if (!this.#process) return;
    try {
      this.#process.kill("SIGKILL");
    } catch { // it has ended by itself
    }
    await this.#process.status;
    await this.#lines?.cancel().catch(() => {});
    await this.#process.stdin.close().catch(() => {});
    this.#process = null;
  }

  async #answer(patience: number): Promise<Answer> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), patience * 1000);
    });
    const read = await Promise.race([this.#lines!.read(), late]);
    clearTimeout(timer);
    if (read !== "late" && !read.done) return JSON.parse(read.value);
    const reason = read === "late" ? `took longer than ${patience} s` : "its process ended";
    await this.end();
    if (this.usable) {
      this.usable = false;
      await this.start();
    }
    return { skipped: reason };
  }

  async #command(): Promise<Deno.Command | null> {
    const pipes = { stdin: "piped", stdout: "piped", stderr: "null" } as const;
    const debug = Deno.env.get("BENCH_DEBUG") ? { stderr: "inherit" as const } : {};
    if (isPyTorch(this.entry.name)) {
      const python = await findPython();
      if (python === null) return null;
      const script = fromFileUrl(import.meta.resolve("./pytorch/serve.py"));
      return new Deno.Command(python, {
        args: [script, String(this.threads), this.entry.name === "pytorch" ? "cpu" : "cuda"],
        ...pythonEnvironment(this.threads),
        ...pipes,
        ...debug,
      });
    }
    const script = fromFileUrl(import.meta.resolve("./serve.ts"));
    return new Deno.Command(Deno.execPath(), {
      args: [...denoArguments(), script, this.entry.name, String(this.threads)],
      env: childEnvironment(this.threads),
      ...pipes,
      ...debug,
    });
  }
}
