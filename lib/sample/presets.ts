/**
 * How the public release samples its models, by name.
 *
 * @module
 */

/** Options of sampling in the words of the command line; what is not given stays open. */
export interface SamplingPreset {
  readonly steps: number;
  /** Schedule for a number of steps. */
  readonly schedule: (steps: number) => string;
  readonly guidance: string;
  /** Left out, the rule follows from the model. */
  readonly classes?: string;
}

/** Names and presets. */
export const SAMPLING_PRESETS = {
  // Unconditional; FID 3.20 in one step and 1.98 in two in the paper.
  cifar10: {
    steps: 2,
    schedule: (steps) => steps === 2 ? "eta:1.4" : "uniform",
    guidance: "1",
  },
  // FID 8.05, 3.99, 2.51 and 1.99 in 1, 2, 4 and 8 steps in the paper.
  imagenet256: { steps: 8, schedule: () => "uniform", guidance: "1.5", classes: "random" },
} as const satisfies Readonly<Record<string, SamplingPreset>>;

/** Name of a preset. */
export type SamplingPresetName = keyof typeof SAMPLING_PRESETS;

/** Names of the presets. */
export const SAMPLING_PRESET_NAMES = Object.keys(SAMPLING_PRESETS) as SamplingPresetName[];
