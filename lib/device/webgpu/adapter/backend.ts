/**
 * Which interface of the system WebGPU goes through. On Windows that is Direct3D 12 by default, for
 * which Deno compiles shaders with FXC: slowly, and without float16 and subgroups. Where there is a
 * driver for Vulkan it is taken instead, unless the person has chosen.
 *
 * @module
 */

import {
  environmentVariable,
  mayUseVariable,
  setEnvironmentVariable,
} from "../../../base/environment.ts";
import { WorkerPool } from "../../../base/workers.ts";

/** Read by Deno at the first request for an adapter, in each thread. */
const VARIABLE = "DENO_WEBGPU_BACKEND";

/** What the choice depends on; tests give their own. */
export interface BackendSystem {
  readonly os: typeof Deno.build.os;
  /** Whether the variable may be read and written, and what it is. */
  readonly mayChoose: boolean;
  readonly chosen: string | undefined;
  /** Sets the variable, or removes it. */
  choose(backend: string | null): void;
  /** Whether there is an adapter with the variable as it is, without asking in this thread. */
  hasAdapter(): Promise<boolean>;
}

let done: Promise<void> | undefined;

/** Chooses before the first adapter is asked for; afterwards it does nothing. */
export function chooseBackend(): Promise<void> {
  return done ??= preferVulkan(thisSystem());
}

/** Chooses Vulkan on Windows where there is a driver for it and nothing was chosen. */
export async function preferVulkan(system: BackendSystem): Promise<void> {
  if (system.os !== "windows" || !system.mayChoose || system.chosen !== undefined) return;
  system.choose("vulkan");
  // Asked for in another thread: here there is no second choice after the first request.
  if (!await system.hasAdapter().catch(() => false)) system.choose(null);
}

function thisSystem(): BackendSystem {
  return {
    os: Deno.build.os,
    mayChoose: mayUseVariable(VARIABLE),
    chosen: environmentVariable(VARIABLE),
    choose: (backend) => setEnvironmentVariable(VARIABLE, backend),
    hasAdapter: hasAdapterElsewhere,
  };
}

/** Whether a thread of its own, which reads the variable anew, is given an adapter. */
export async function hasAdapterElsewhere(): Promise<boolean> {
  using pool = new WorkerPool<null, boolean>(new URL("./backend_worker.ts", import.meta.url), 1);
  return await pool.request(null);
}
