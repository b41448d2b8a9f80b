/**
 * Configurations of the public IMM code, translated: the keyword arguments of `IMMPrecond`, which
 * its checkpoints and YAML files carry.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { type ImmConfig, immConfig } from "../imm/config.ts";
import { camelCase } from "./official_names.ts";
import { kindOf, NETWORK_KINDS, type NetworkConfig, parseNetworkConfig } from "./registry.ts";

/** Keyword arguments that configure the preconditioning, not the network. */
const PRECONDITIONING = [
  "model_type",
  "noise_schedule",
  "f_type",
  "temb_type",
  "sigma_data",
  "T",
  "eps",
  "time_scale",
  "use_fp16",
  "mixed_precision",
];

/**
 * The configuration of the network that `IMMPrecond(**options)` builds.
 *
 * @throws UsageError for an unknown model type or option.
 */
export function fromOfficial(options: Readonly<Record<string, unknown>>): NetworkConfig {
  const modelType = String(options.model_type);
  const own = camelCase(
    Object.fromEntries(Object.entries(options).filter(([key]) => !PRECONDITIONING.includes(key))),
  );
  for (const { type, official } of NETWORK_KINDS) {
    const named = official?.modelType === modelType ? {} : official?.sizes?.settings(modelType);
    if (named) return parseNetworkConfig({ type, sEmbed: false, ...named, ...own });
  }
  const known = NETWORK_KINDS.flatMap(({ official }) => official ?? []);
  const names = known.flatMap(({ modelType, sizes }) => [modelType, ...sizes ? [sizes.names] : []]);
  throw new UsageError(
    `model_type: expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)}, found ` +
      `${options.model_type}`,
  );
}

/** Names of the method's settings there and here, and the defaults of `IMMPrecond`. */
const METHOD = [
  ["noise_schedule", "interpolant", "fm"],
  ["f_type", "parameterization", "euler_fm"],
  ["temb_type", "timeConditioning", "identity"],
  ["time_scale", "timeScale", 1000],
  ["sigma_data", "sigmaData", 0.5],
  ["T", "T", 0.994],
  ["eps", "eps", 0],
] as const satisfies readonly (readonly [string, keyof ImmConfig, unknown])[];

/**
 * How a network that `IMMPrecond(**options)` wraps is to be called and sampled. What only training
 * needs has this program's defaults.
 *
 * @throws {UsageError} when a setting is not known here
 */
export function methodFromOfficial(options: Readonly<Record<string, unknown>>): ImmConfig {
  return immConfig(
    Object.fromEntries(
      METHOD.map(([official, own, value]) => [own, options[official] ?? value]),
    ) as Partial<ImmConfig>,
  );
}

/** Whether keyword arguments are those of `IMMPrecond`, not of another wrapper of EDM's family. */
export function isOfficialMethod(options: Readonly<Record<string, unknown>>): boolean {
  return ["f_type", "temb_type"].some((key) => Object.hasOwn(options, key));
}

/** Whether the public code has such a network. */
export function isOfficialNetwork(network: NetworkConfig): boolean {
  return kindOf(network).official !== undefined;
}

/**
 * The keyword arguments with which `IMMPrecond` of the public code builds the same model: the way
 * back.
 *
 * @throws {UsageError} for a network that the public code does not have
 */
export function toOfficial(network: NetworkConfig, imm: ImmConfig): Record<string, unknown> {
  const { official } = kindOf(network);
  if (!official) {
    throw new UsageError(
      "dimensions" in network
        ? "the public code has no network for points, only for images"
        : `the public code has no network ${network.type}`,
    );
  }
  const { type: _, ...own } = network;
  const method = Object.fromEntries(METHOD.map(([official, own]) => [official, imm[own]]));
  return { model_type: official.modelType, ...official.options(own), ...method };
}
