/**
 * `imm doctor`: which device would be used and why, whether it computes correctly, and what to do
 * when none does.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import type { Device } from "../../lib/device/device.ts";
import { openDevice } from "../../lib/device/open.ts";
import { environmentVariable } from "../../lib/base/environment.ts";
import {
  findAdapter,
  isSoftware,
  mayBeFalseAlarm,
  WebGpuDevice,
} from "../../lib/device/webgpu/mod.ts";
import { DeviceError, ImmError } from "../../lib/base/errors.ts";
import { formatBytes } from "../../lib/base/units.ts";
import { VERSION } from "../../lib/base/version.ts";
import { wrap } from "../base/help.ts";
import { type SelfTest, selfTest } from "./device_check.ts";
import { defineVerb, type Verb } from "../base/verb.ts";

/** What `imm doctor --json` prints. */
export interface Diagnosis {
  readonly version: string;
  readonly runtime: {
    readonly deno: string;
    readonly v8: string;
    readonly system: string;
    readonly processors: number;
  };
  /** Packages that this version was made with. */
  readonly packages: Readonly<Record<string, string>>;
  /** Variables that change which driver is found. */
  readonly environment: Readonly<Record<string, string>>;
  /** What WebGPU offers, null without an adapter. */
  readonly adapter: AdapterFacts | null;
  readonly devices: readonly DeviceReport[];
  /** What `--device auto` uses, null when nothing works. */
  readonly chosen: { readonly device: string; readonly why: string } | null;
  readonly advice: readonly string[];
}

/** Facts of a WebGPU adapter. */
export interface AdapterFacts {
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** How one device did. */
export interface DeviceReport {
  readonly name: "webgpu" | "wasm";
  readonly usable: boolean;
  readonly description: string | null;
  readonly selfTest: SelfTest | null;
  /** Why it is not usable. */
  readonly problem: string | null;
  /** What it said to a buffer of 256 MiB, where it is known to refuse some that fit; else null. */
  readonly memoryProblem: string | null;
}

export const verb: Verb = defineVerb({
  name: "doctor",
  summary: "show the devices, test them, and say what to do when none works",
  usage: "imm doctor [options]",
  options: {},
  examples: [
    { command: "imm doctor", does: "check this machine" },
    {
      command: "imm doctor --json | jq .chosen.device",
      does: "print the device for a script; the exit code is 1 when none works",
    },
  ],
  async run(_args, terminal) {
    const diagnosis = await diagnose();
    terminal.result(diagnosis, () => format(diagnosis));
    return diagnosis.chosen === null ? 1 : 0;
  },
});

/** Limits that decide how large a model can be. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Examines the machine. Never throws for want of a device. */
export async function diagnose(): Promise<Diagnosis> {
  const adapter = await adapterFacts();
  const devices = [await examine("webgpu"), await examine("wasm")];
  const chosen = await choose(adapter, devices);
  return {
    version: VERSION,
    runtime: {
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      processors: navigator.hardwareConcurrency,
    },
    packages: packageVersions(config.imports),
    environment: environment(),
    adapter,
    devices,
    chosen,
    advice: advise(adapter, devices, chosen),
  };
}

async function adapterFacts(): Promise<AdapterFacts | null> {
  const adapter = await findAdapter();
  if (adapter === null) return null;
  const info = adapter.info;
  return {
    description: info.description || info.device || "unnamed",
    vendor: info.vendor,
    architecture: info.architecture,
    software: isSoftware(adapter),
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  };
}

async function examine(name: "webgpu" | "wasm"): Promise<DeviceReport> {
  let description: string | null = null;
  try {
    const device = await openDevice({ device: name });
    try {
      description = device.description;
      const result = await selfTest(device);
      const problem = result.passed
        ? null
        : `computes wrongly: an error of ${result.worstError.toExponential(1)}`;
      const memoryProblem = device instanceof WebGpuDevice && mayBeFalseAlarm(device.summary)
        ? await tryLargeBuffer(device)
        : null;
      return { name, usable: result.passed, description, selfTest: result, problem, memoryProblem };
    } finally {
      device.close();
    }
  } catch (error) {
    const problem = error instanceof ImmError ? error.message : String(error);
    return { name, usable: false, description, selfTest: null, problem, memoryProblem: null };
  }
}

const LARGE_BUFFER_BYTES = 2 ** 28;

/** What the device says to a large buffer when it has too little memory for it; null when it has it. */
export async function tryLargeBuffer(device: Device): Promise<string | null> {
  try {
    const bytes = Math.min(LARGE_BUFFER_BYTES, device.limits.buffer);
    const buffer = device.allocate(bytes, "a trial of the memory");
    await device.read(buffer, 0, 16);
    device.free(buffer);
    return null;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return error.message;
  }
}

async function choose(
  adapter: AdapterFacts | null,
  devices: readonly DeviceReport[],
): Promise<Diagnosis["chosen"]> {
  if (!devices.some((device) => device.usable)) return null;
  let name: string;
  try {
    const device = await openDevice({ device: "auto" });
    name = device.kind;
    device.close();
  } catch { // what `examine` has already reported
    return null;
  }
  if (!devices.some((device) => device.name === name && device.usable)) return null;
  const why = name === "wasm"
    ? adapter === null
      ? "there is no WebGPU adapter"
      : "the only WebGPU adapter is software, and WebAssembly is faster on the processor"
    : adapter?.software
    ? "it is the only device that works; this adapter computes on the processor"
    : "there is a GPU";
  return { device: name, why };
}

/** `npm:zod@4.1.12` is `4.1.12`. */
function packageVersions(imports: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(imports).map(([name, specifier]) => [
      name,
      /^(?:npm|jsr):@?[^@]+@([^/]+)/.exec(specifier)?.[1] ?? specifier,
    ]),
  );
}

function environment(): Record<string, string> {
  const names = [
    "DENO_WEBGPU_BACKEND",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "MESA_VK_DEVICE_SELECT",
    "IMM_DEBUG",
    "IMM_TUNE",
  ];
  const set: Record<string, string> = {};
  for (const name of names) {
    const value = environmentVariable(name);
    if (value !== undefined) set[name] = value;
  }
  return set;
}

/** What a person can do about what was found. */
export function advise(
  adapter: AdapterFacts | null,
  devices: readonly DeviceReport[],
  chosen: Diagnosis["chosen"],
): string[] {
  const advice: string[] = [];
  if (adapter === null) {
    advice.push(
      "WebGPU found no adapter. With a GPU, install its driver; without one, install a driver " +
        "that computes on the processor:",
      ...DRIVERS[Deno.build.os] ?? DRIVERS.linux!,
    );
  } else if (adapter.software) {
    advice.push(
      "This adapter computes on the processor: right for tests and small models. If this machine " +
        "has a GPU, its driver was not found:",
      ...DRIVERS[Deno.build.os] ?? DRIVERS.linux!,
    );
  }
  const webgpu = devices.find((device) => device.name === "webgpu")!;
  if (adapter !== null && !webgpu.usable) {
    advice.push(
      "WebGPU has an adapter, but it does not work here: update the GPU's driver and Deno " +
        '("deno upgrade"), then run "imm doctor" again.',
    );
  }
  if (webgpu.memoryProblem !== null) advice.push(...wrap(webgpu.memoryProblem, 80));
  const other = devices.find((device) => device.usable);
  if (chosen === null && other) advice.push(`Use --device ${other.name}.`);
  return advice;
}

const DRIVERS: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: [
    "  Debian, Ubuntu   apt-get install mesa-vulkan-drivers libvulkan1",
    "  Fedora           dnf install mesa-vulkan-drivers vulkan-loader",
    "  Arch             pacman -S vulkan-icd-loader vulkan-swrast",
    "  NVIDIA           the distribution's driver package with Vulkan; in a container, the NVIDIA",
    "                   container toolkit and NVIDIA_DRIVER_CAPABILITIES=all",
  ],
  darwin: ["  macOS            every Mac with Metal works; update macOS"],
  windows: [
    "  Windows          the GPU maker's current driver, or Windows Update; Windows itself brings",
    "                   an adapter that computes on the processor",
  ],
};

function format(diagnosis: Diagnosis): string[] {
  const { runtime, adapter, devices, chosen, advice } = diagnosis;
  const pairs = (record: Readonly<Record<string, string | number>>) =>
    Object.entries(record).map(([name, value]) => `${name} ${value}`).join(", ");
  const lines = [
    chosen ? `Device: ${chosen.device}, because ${chosen.why}.` : "Device: none works.",
    "",
    ...devices.map((device) =>
      `  ${device.name.padEnd(8)}${
        device.selfTest?.passed
          ? `works: ${device.description}; self-test passed in ` +
            `${Math.round(device.selfTest.milliseconds)} ms, ` +
            `worst error ${device.selfTest.worstError.toExponential(1)}`
          : `not usable: ${device.problem}`
      }`
    ),
    "",
  ];
  if (adapter) {
    const limits = Object.entries(adapter.limits).map(([name, value]) =>
      `    ${name.padEnd(36)}${/Size$/.test(name) ? formatBytes(value) : value}`
    );
    lines.push(
      `WebGPU adapter: ${adapter.description}${adapter.software ? " (software)" : ""}`,
      `  vendor        ${adapter.vendor || "unknown"}`,
      `  architecture  ${adapter.architecture || "unknown"}`,
      ...wrap(adapter.features.join(", "), 64)
        .map((line, i) => (i === 0 ? "  features" : "").padEnd(16) + line),
      "  limits",
      ...limits,
      "",
    );
  }
  lines.push(
    `imm ${diagnosis.version}, Deno ${runtime.deno}, V8 ${runtime.v8}, ${runtime.system}, ` +
      `${runtime.processors} processors`,
    `Packages: ${pairs(diagnosis.packages)}`,
  );
  if (Object.keys(diagnosis.environment).length) {
    lines.push(`Environment: ${pairs(diagnosis.environment)}`);
  }
  if (advice.length) lines.push("", ...advice);
  return lines;
}
