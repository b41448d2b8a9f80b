/**
 * Choosing an adapter and opening a GPU device with the limits that the kernels can use.
 *
 * @module
 */

import { DeviceError } from "../../../base/errors.ts";
import { chooseBackend } from "./backend.ts";
import type { Target } from "../dispatch.ts";
import { memoryError } from "./memory_error.ts";
import { findSubgroupSize } from "./subgroups.ts";

/** What is known of an adapter, for people and for the choice of kernels. */
export interface AdapterSummary {
  readonly description: string;
  /** As WebGPU tells it; empty where it does not. */
  readonly vendor: string;
  /** A rasteriser that runs on the processor, such as lavapipe or SwiftShader. */
  readonly software: boolean;
  /** Of the optional features that matter here, those that the device was given. */
  readonly features: readonly GPUFeatureName[];
  /** All that tells this adapter and its driver from others, for choices that hold only here. */
  readonly identity: string;
}

/** An open GPU device. */
export interface OpenAdapter {
  readonly summary: AdapterSummary;
  readonly gpu: GPUDevice;
  readonly target: Target;
}

/** Limits that are asked for up to what the adapter has; the defaults are for phones. */
const LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** Optional features. `subgroups` is granted by Deno's WebGPU although adapters do not list it. */
const FEATURES = ["timestamp-query", "shader-f16", "subgroups"] as const;

/** The adapter for computing, or null where there is no WebGPU or no driver. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  await chooseBackend();
  return await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/** Opens the adapter. Throws `DeviceError` when there is none or it refuses. */
export async function openAdapter(): Promise<OpenAdapter> {
  const adapter = await findAdapter();
  if (!adapter) throw new DeviceError(NO_ADAPTER);
  const requiredLimits: Record<string, number> = {};
  for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  const wanted = FEATURES.filter((f) => f === "subgroups" || adapter.features.has(f));
  const gpu = await requestDevice(adapter, wanted as GPUFeatureName[], requiredLimits);
  for (const name of LIMITS) {
    // Unknown limits are ignored without a word, so look at what was given.
    if (gpu.limits[name] < requiredLimits[name]) {
      throw new DeviceError(
        `the GPU device was asked for ${name} = ${requiredLimits[name]} but was given ` +
          `${gpu.limits[name]}; update Deno or the graphics driver`,
      );
    }
  }
  const software = isSoftware(adapter);
  const description = adapter.info.description || adapter.info.device || adapter.info.vendor ||
    "unnamed adapter";
  return {
    summary: {
      description,
      vendor: adapter.info.vendor,
      software,
      features: FEATURES.filter((f) => gpu.features.has(f)) as GPUFeatureName[],
      identity: identityOf(adapter, requiredLimits),
    },
    gpu,
    target: {
      software,
      offsetAlignment: Math.max(16, gpu.limits.minStorageBufferOffsetAlignment),
      maxBindings: gpu.limits.maxStorageBuffersPerShaderStage,
      maxBindingBytes: gpu.limits.maxStorageBufferBindingSize,
      maxWorkgroups: gpu.limits.maxComputeWorkgroupsPerDimension,
      maxThreads: gpu.limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupBytes: gpu.limits.maxComputeWorkgroupStorageSize,
      wantedWorkgroups: software ? 8 : 1024,
      batchInvariant: false,
      subgroupSize: await findSubgroupSize(adapter, gpu),
    },
  };
}

/** WebGPU does not tell the version of the driver, but what it offers changes with it. */
function identityOf({ info, features }: GPUAdapter, limits: Record<string, number>): string {
  const { vendor, architecture, device, description } = info;
  const offers = [...features].sort().join(" ");
  return JSON.stringify([vendor, architecture, device, description, offers, limits]);
}

/** What to tell people who have no adapter. */
export const NO_ADAPTER = "expected a WebGPU adapter but found none; install a Vulkan driver for " +
  "your graphics card, or the software one (on Debian and Ubuntu: apt-get install " +
  "mesa-vulkan-drivers libvulkan1)";

/** Whether the adapter runs on the processor. */
export function isSoftware(adapter: GPUAdapter): boolean {
  const info = adapter.info as GPUAdapterInfo & { readonly isFallbackAdapter?: boolean };
  return info.isFallbackAdapter === true ||
    /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(info.description);
}

async function requestDevice(
  adapter: GPUAdapter,
  features: GPUFeatureName[],
  requiredLimits: Record<string, number>,
): Promise<GPUDevice> {
  try {
    return await adapter.requestDevice({ requiredFeatures: features, requiredLimits });
  } catch (error) {
    // An adapter that refuses an optional feature is still good for everything else.
    const fewer = features.filter((f) => adapter.features.has(f));
    if (fewer.length === features.length) {
      const { message } = error as Error;
      if (/memory/i.test(message)) throw memoryError(adapter.info, message);
      throw new DeviceError(`the adapter ${adapter.info.description} did not open: ${message}`);
    }
    return await requestDevice(adapter, fewer, requiredLimits);
  }
}
