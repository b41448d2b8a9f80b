/**
 * What the rest of the program knows of a network: its settings, how it is built, what the public
 * code calls it, and how it is recognized by its tensors. Every network's file ends with its row;
 * `registry.ts` lists them.
 *
 * @module
 */

import type { z } from "npm:zod@4.1.12";
import type { Network, NetworkSettings } from "./network.ts";
import type { TensorShapes } from "./tensor_shapes.ts";

/** A row of the registry. */
export interface NetworkKind<Config extends NetworkSettings> {
  /** As configurations name it. */
  readonly type: Config["type"];
  /**
   * Its settings, a strict object with defaults. Those named `dimensions`, `imgResolution`,
   * `imgChannels`, `labelDim` and `augmentDim` get the sizes of the data.
   */
  readonly schema: z.ZodType<Config>;
  /** Builds it. */
  create(config: Config): Network<Config>;
  /** What is wrong with settings taken together, or null. */
  problem?(config: Config): string | null;
  /** What the public PyTorch code calls it, where that has it. */
  readonly official?: OfficialNetwork<Config>;
  /** How its settings follow from its tensors, where they do. */
  readonly inference?: NetworkInference;
}

/** A network as the public code knows it. */
export interface OfficialNetwork<Config extends NetworkSettings> {
  /** Its `model_type`. */
  readonly modelType: string;
  /** Further values of `model_type` that stand for settings, too. */
  readonly sizes?: {
    /** In an error message. */
    readonly names: string;
    /** What a `model_type` stands for; null for another network. */
    settings(modelType: string): Readonly<Record<string, unknown>> | null;
  };
  /** The keyword arguments of the public code. */
  options(settings: Omit<Config, "type">): Record<string, unknown>;
}

/** How a network is recognized. */
export interface NetworkInference {
  /** A tensor that such networks have, without prefix. */
  readonly landmark: string;
  /** Whether tensors with the landmark are of this network. */
  fits(found: TensorShapes): boolean;
  /**
   * Its settings, without `type`.
   *
   * @param known settings that are known otherwise
   * @throws {FormatError} when the tensors are of another network after all
   */
  infer(found: TensorShapes, known: Readonly<Record<string, unknown>>): InferredSettings;
}

/** What shows, and what had to be supposed. */
export interface InferredSettings {
  readonly settings: Readonly<Record<string, unknown>>;
  /** Sentences about settings that the tensors do not show. */
  readonly assumptions: readonly string[];
}
