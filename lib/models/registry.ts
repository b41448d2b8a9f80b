/** From a configuration to its network. @module */

import { type NetworkConfig, type NetworkConfigInput, parseNetworkConfig } from "./config.ts";
import { DhariwalUNet } from "./networks/dhariwal_unet.ts";
import { DiT } from "./networks/dit.ts";
import { Mlp } from "./networks/mlp.ts";
import type { Network } from "./network.ts";
import { SongUNet } from "./networks/song_unet.ts";

/**
 * Builds the network of a configuration; what has a default may be left out.
 *
 * @throws UsageError when the configuration is wrong; the message names the key.
 */
export function createNetwork(value: NetworkConfigInput | NetworkConfig): Network {
  const config = parseNetworkConfig(value);
  switch (config.type) {
    case "mlp":
      return new Mlp(config);
    case "song_unet":
      return new SongUNet(config);
    case "dhariwal_unet":
      return new DhariwalUNet(config);
    case "dit":
      return new DiT(config);
  }
  return config satisfies never;
}
