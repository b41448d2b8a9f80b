/**
 * A network's configuration from the names and shapes of its state dict.
 *
 * Almost everything shows: what does not is the dropout of training, which images do not depend on,
 * and the number of attention heads of a DiT, which the public sizes settle. How each network is
 * recognized stands in its row.
 *
 * @module
 */

import { NETWORK_KINDS, type NetworkConfig, parseNetworkConfig } from "./registry.ts";
import { type Shapes, TensorShapes } from "./tensor_shapes.ts";

/** What was found, and what had to be supposed. */
export interface InferredNetwork {
  readonly network: NetworkConfig;
  /** Sentences about settings that the tensors do not show. */
  readonly assumptions: readonly string[];
}

const RECOGNIZED = NETWORK_KINDS.filter(({ inference }) => inference);

/** Names by which the networks are told apart, without prefix. */
export const LANDMARKS: readonly string[] = [
  ...new Set(RECOGNIZED.map(({ inference }) => inference!.landmark)),
];

/**
 * The configuration of the network that has such a state dict.
 *
 * @param source what error messages call the file
 * @param known settings that are known otherwise; they win
 * @throws {FormatError} when the tensors are of no network that is known here
 */
export function inferNetwork(
  shapes: Shapes,
  source: string,
  known: Readonly<Record<string, unknown>> = {},
): InferredNetwork {
  const names = RECOGNIZED.map(({ type, official }) => official?.modelType ?? type);
  const found = new TensorShapes(shapes, source, listed(names));
  const kind = RECOGNIZED.find(({ inference }) =>
    found.has(inference!.landmark) && inference!.fits(found)
  );
  if (!kind) throw found.unknown(`it has no ${listed(LANDMARKS)}`);
  const { settings, assumptions } = kind.inference!.infer(found, known);
  return {
    network: parseNetworkConfig({ type: kind.type, ...settings, ...known }),
    assumptions,
  };
}

/** `a, b or c`. */
function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
