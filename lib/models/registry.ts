/** The networks, one row each: from a configuration to its network. @module */

import { z } from "npm:zod@4.1.12";
import { UsageError } from "../base/errors.ts";
import { describeMistake, settingNames } from "../base/schema.ts";
import type { NetworkKind } from "./kind.ts";
import type { Network, NetworkInput, NetworkSettings } from "./network.ts";
import { DHARIWAL_UNET, type DhariwalUNetConfig } from "./networks/dhariwal_unet.ts";
import { DIT, type DiTConfig } from "./networks/dit.ts";
import { MLP, type MlpConfig } from "./networks/mlp.ts";
import { SONG_UNET, type SongUNetConfig } from "./networks/song_unet.ts";

/** Everything that determines a network's parameters and graph. */
export type NetworkConfig = MlpConfig | SongUNetConfig | DhariwalUNetConfig | DiTConfig;

/** A configuration as people write it: what has a default may be left out. */
export type NetworkConfigInput = NetworkInput<NetworkConfig>;

const KINDS = [MLP, SONG_UNET, DHARIWAL_UNET, DIT];

/** A row; their own settings are met because rows are found by the type of the settings. */
type AnyKind = NetworkKind<NetworkSettings>;

/** All rows. */
export const NETWORK_KINDS: readonly AnyKind[] = KINDS as unknown as readonly AnyKind[];

/** Schemas are objects with keys, which their type in the rows does not say. */
const schemaOf = ({ schema }: AnyKind) => schema as unknown as z.ZodObject<{ type: z.ZodLiteral }>;

const networkSchema = z.discriminatedUnion(
  "type",
  NETWORK_KINDS.map(schemaOf) as [ReturnType<typeof schemaOf>],
);

/**
 * Validates a configuration and fills in defaults.
 *
 * @throws UsageError that names the key and what was expected.
 */
export function parseNetworkConfig(value: unknown): NetworkConfig {
  const result = networkSchema.safeParse(value);
  if (!result.success) {
    throw new UsageError(
      describeMistake(networkSchema, value, result.error, { prefix: "network" }),
    );
  }
  const config = result.data as NetworkConfig;
  const problem = kindOf(config).problem?.(config);
  if (problem) throw new UsageError(problem);
  return config;
}

/**
 * Builds the network of a configuration; what has a default may be left out.
 *
 * @throws UsageError when the configuration is wrong; the message names the key.
 */
export function createNetwork(value: NetworkConfigInput | NetworkConfig): Network<NetworkConfig> {
  const config = parseNetworkConfig(value);
  return kindOf(config).create(config) as Network<NetworkConfig>;
}

/** The row of a configuration. */
export function kindOf({ type }: NetworkConfig): AnyKind {
  return NETWORK_KINDS.find((kind) => kind.type === type)!;
}

/** Names of the settings of all networks, `network.modelChannels`. */
export function networkSettings(): string[] {
  return [...new Set(NETWORK_KINDS.flatMap((kind) => settingNames(schemaOf(kind), "network")))];
}

/** Whether the networks of a type have a setting. */
export function hasSetting(type: unknown, setting: string): boolean {
  const kind = NETWORK_KINDS.find((kind) => kind.type === type);
  return kind !== undefined && Object.hasOwn(schemaOf(kind).shape, setting);
}

/** Types of the networks that have a setting. */
export function typesWith(setting: string): string[] {
  return NETWORK_KINDS.map(({ type }) => type).filter((type) => hasSetting(type, setting));
}
