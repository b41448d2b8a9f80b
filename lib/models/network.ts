/**
 * What all networks have in common: parameters, the inputs that condition them, and a forward
 * function that builds the graph.
 *
 * A network is F(c_in x_t, c_noise(t), c_noise(s), labels). Times enter as embeddings computed on
 * the host, in float64, so that t and a nearby s stay distinguishable.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import type { HostArray } from "../device/device.ts";
import { ParameterStore } from "../nn/parameters.ts";
import { rematerialize } from "../tensor/rematerialize.ts";
import { input, type Shape, type Tensor, withStorage } from "../tensor/tensor.ts";

/** Sizes of what a network reads besides data and parameters. */
export interface ConditioningSpec {
  /** Columns of the embedding of one time. */
  readonly timeChannels: number;
  /** Whether there is an embedding of the second time. */
  readonly secondTime: boolean;
  /** `one-hot`: rows of zeros and a one, all zero without a label. `index`: `classes` is "none". */
  readonly labels: { readonly kind: "one-hot" | "index"; readonly classes: number } | null;
  /** Columns of the augmentation labels, 0 for none. */
  readonly augmentDim: number;
}

/** Tensors that condition a network, for a batch of B. */
export interface Conditioning {
  /** [B, timeChannels] */
  readonly timeT: Tensor;
  /** [B, timeChannels] */
  readonly timeS: Tensor | null;
  /** f32 [B, classes] or i32 [B] */
  readonly labels: Tensor | null;
  /** [B, augmentDim] */
  readonly augment: Tensor | null;
}

/** Host values that condition a network, one of each per sample. */
export interface ConditioningValues {
  /** c_noise(t), in float64. */
  readonly cNoiseT: ArrayLike<number>;
  /** c_noise of the second time: of s, or of t - s. */
  readonly cNoiseS: ArrayLike<number>;
  /** Class of each sample, null for none. Left out: no sample has one. */
  readonly labels?: readonly (number | null)[];
  /** [B, augmentDim]. Left out: zeros, which means not augmented. */
  readonly augment?: Float32Array;
}

/** Embeddings of both times, [B, timeChannels] each. */
export interface TimeInputs {
  /** Of the first time. */
  readonly timeT: Float32Array;
  /** Of the second time; null where the network is not told. */
  readonly timeS: Float32Array | null;
}

/** How a forward pass runs. */
export interface ForwardOptions {
  /** i32[3] key of the random numbers; dropout is active only where it is given. */
  readonly dropoutKey?: Tensor;
  /**
   * Whether blocks are computed a second time in the backward pass, so that of each only what it
   * reads is kept: the same values and gradients in less memory. Default false.
   */
  readonly recompute?: boolean;
  /** Called with every module's official name and output, for inspection. */
  readonly observe?: (module: string, output: Tensor) => void;
}

/** Runs one block of a network in the way that the options ask for. */
export function runBlock({ recompute = false }: ForwardOptions, block: () => Tensor): Tensor {
  return recompute ? rematerialize(block) : block();
}

/**
 * Builds the embedding of times and labels. It is stored as f32 even where activations are f16: it is
 * small, tells neighbouring times apart, and its gradient is a sum over all blocks.
 */
export function embedded(build: () => Tensor): Tensor {
  return withStorage("f32", build);
}

/** Settings of any network. */
export interface NetworkSettings {
  /** Selects the network. */
  readonly type: string;
}

/** Settings as people write them: what has a default may be left out; sizes of images have none. */
export type NetworkInput<Config extends NetworkSettings> = Config extends NetworkSettings
  ? Pick<Config, "type" | Extract<keyof Config, "imgResolution" | "imgChannels">> & Partial<Config>
  : never;

/** What {@link Network.rebuild} may change. */
export interface RebuildChanges {
  /** Classes; a network without that setting stays as it is. */
  readonly labelDim?: number;
}

/** A network: its parameters are declared on construction, its graph by {@link forward}. */
export abstract class Network<Config extends NetworkSettings = NetworkSettings> {
  /** Names, shapes, initial values and memory of the parameters. */
  readonly parameters: ParameterStore = new ParameterStore();
  /** What it was made from, with all defaults filled in. */
  abstract readonly config: Config;
  /** Shape of one sample on the device: [H, W, C] for images, [D] for points. */
  abstract readonly sampleShape: Shape;
  /** What it reads besides x. */
  abstract readonly conditioning: ConditioningSpec;

  /**
   * The raw output F for `x` [B, ...sampleShape], of the same shape. May be called many times, for
   * different batches; all graphs share the parameters.
   */
  abstract forward(x: Tensor, conditioning: Conditioning, options?: ForwardOptions): Tensor;

  /**
   * Another network of the same class and configuration but for `changes`, with parameters of its
   * own. A network is never rebuilt in another way: its configuration may be of a class that no
   * registry knows.
   */
  abstract rebuild(changes?: RebuildChanges): Network<Config>;

  /** Embeddings of one batch of times. `second` says that they are the second times. */
  protected abstract embedTimes(cNoise: ArrayLike<number>, second: boolean): Float32Array;

  /** Host inputs for both times, from c_noise(t) and c_noise of the second time. */
  timeInputs(cNoiseT: ArrayLike<number>, cNoiseS: ArrayLike<number>): TimeInputs {
    if (cNoiseT.length !== cNoiseS.length) {
      throw new InternalError(`${cNoiseT.length} first but ${cNoiseS.length} second times`);
    }
    return {
      timeT: this.embedTimes(cNoiseT, false),
      timeS: this.conditioning.secondTime ? this.embedTimes(cNoiseS, true) : null,
    };
  }

  /** Host input for labels, or null where the network has none. */
  labelInput(labels: readonly (number | null)[]): HostArray | null {
    const spec = this.conditioning.labels;
    for (const label of labels) {
      const valid = label === null ||
        (spec && Number.isInteger(label) && label >= 0 && label < spec.classes);
      if (!valid) {
        throw new InternalError(
          spec
            ? `the label ${label} is not a class from 0 to ${spec.classes - 1}`
            : `the network has no classes but was given the label ${label}`,
        );
      }
    }
    if (!spec) return null;
    if (spec.kind === "index") return Int32Array.from(labels, (label) => label ?? spec.classes);
    const rows = new Float32Array(labels.length * spec.classes);
    labels.forEach((label, n) => {
      if (label !== null) rows[n * spec.classes + label] = 1;
    });
    return rows;
  }

  /** Declares the inputs that condition a batch, named `<prefix>timeT` and so on. */
  conditioningInputs(batch: number, prefix = ""): Conditioning {
    const { timeChannels, secondTime, labels, augmentDim } = this.conditioning;
    return {
      timeT: input(`${prefix}timeT`, [batch, timeChannels]),
      timeS: secondTime ? input(`${prefix}timeS`, [batch, timeChannels]) : null,
      labels: labels === null
        ? null
        : labels.kind === "index"
        ? input(`${prefix}labels`, [batch], "i32")
        : input(`${prefix}labels`, [batch, labels.classes]),
      augment: augmentDim > 0 ? input(`${prefix}augment`, [batch, augmentDim]) : null,
    };
  }

  /** Values for the inputs of {@link conditioningInputs} with the same prefix. */
  conditioningValues(values: ConditioningValues, prefix = ""): Record<string, HostArray> {
    const batch = values.cNoiseT.length;
    const { timeT, timeS } = this.timeInputs(values.cNoiseT, values.cNoiseS);
    const labels = this.labelInput(values.labels ?? new Array(batch).fill(null));
    const { augmentDim } = this.conditioning;
    const out: Record<string, HostArray> = { [`${prefix}timeT`]: timeT };
    if (timeS) out[`${prefix}timeS`] = timeS;
    if (labels) out[`${prefix}labels`] = labels;
    if (augmentDim > 0) {
      out[`${prefix}augment`] = values.augment ?? new Float32Array(batch * augmentDim);
    }
    return out;
  }
}
