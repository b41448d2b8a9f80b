/**
 * What to say when WebGPU reports that there is too little memory.
 *
 * @module
 */

import { DeviceError } from "../../../base/errors.ts";

/** An adapter as the report names it. */
export interface NamedAdapter {
  readonly description: string;
  /** As WebGPU tells it; empty where it does not. */
  readonly vendor: string;
}

/**
 * Whether Deno may call a card full that is not. On AMD's cards Vulkan shows, beside the memory of the
 * card, the part of it that the processor sees: 256 MiB without Resizable BAR. Deno's wgpu refuses
 * every buffer that would not fit in the smallest of them, whichever it would be put in
 * (https://github.com/denoland/deno/issues/35195).
 */
export function mayBeFalseAlarm(
  { description, vendor }: NamedAdapter,
  os: typeof Deno.build.os = Deno.build.os,
): boolean {
  return os === "linux" &&
    (/\b(?:AMD|ATI|Radeon|RADV)\b/i.test(description) || /^(?:0x1002|4098|amd)$/i.test(vendor));
}

/** What can be done about a false alarm. */
export const FALSE_ALARM_ADVICE =
  "The card may have memory left: on Linux, Deno refuses buffers that do not fit in the part of an " +
  "AMD card's memory that the processor sees, 256 MiB by default (deno issue 35195). Turn on " +
  "Resizable BAR (Smart Access Memory) in the firmware, which makes all of it visible; or take " +
  "smaller buffers (--micro-batch, --batch), or --device wasm.";

/** The error for WebGPU's report of too little memory. */
export function memoryError(
  adapter: NamedAdapter,
  message: string,
  os?: typeof Deno.build.os,
): DeviceError {
  const rest = mayBeFalseAlarm(adapter, os) ? ` ${FALSE_ALARM_ADVICE}` : "";
  return new DeviceError(
    `${adapter.description} has too little memory: ${message.replace(/\.?$/, ".")}${rest}`,
  );
}
