/**
 * How fast a model samples, by a short trial.
 *
 * @module
 */

import type { Device } from "../device/device.ts";
import { median, timeRuns } from "../base/clock.ts";
import type { ModelFile } from "../models/model_file.ts";
import type { Precision } from "../models/precision.ts";
import { Generator } from "./generator.ts";
import type { SamplingDescription } from "./planner.ts";
import { uniformSteps } from "./schedule.ts";

/** Arithmetic that is worth doing for a measurement, by kind of device. */
const MEASURED_FLOPS = { wasm: 2e10, webgpu: 2e12 };
/** Memory that is worth taking for it. */
const MEASURED_BYTES = 2 ** 30;

/** What was measured. */
export interface SamplingSpeed {
  /** Seconds of one call of the network for `batch` images. */
  readonly secondsPerCall: number;
  /** Images at a time. */
  readonly batch: number;
}

/**
 * Calls a network a few times, with its own weights, for as many images at a time as are quick, at
 * most `batch`; null where not even one image is.
 */
export async function measureSampling(
  device: Device,
  model: ModelFile,
  { flopsPerImage, deviceBytes }: SamplingDescription,
  { batch, precision }: { readonly batch: number; readonly precision: Precision },
): Promise<SamplingSpeed | null> {
  const size = Math.min(batch, Math.floor(MEASURED_FLOPS[device.kind] / flopsPerImage));
  if (size < 1 || deviceBytes > MEASURED_BYTES) return null;
  const generator = await Generator.create(device, model, { batch: size, precision });
  try {
    const seeds = Array.from({ length: size }, (_, i) => i);
    const steps = uniformSteps(generator.objective, 1);
    const run = () => generator.generate({ seeds, steps });
    const taken = await timeRuns({ run, finish: () => Promise.resolve() }, { samples: 3 });
    return { secondsPerCall: median(taken) / steps.length, batch: size };
  } finally {
    generator.free();
  }
}
