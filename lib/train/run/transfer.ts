/**
 * Fine-tuning: training begins with the weights of a model instead of random ones. Network and method
 * are the model's; optimiser and averages begin anew, the averages from the weights.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { findModel, type ModelDescription, openModel } from "../../models/model_file.ts";
import type { Network } from "../../models/network.ts";
import type { StateDict } from "../../nn/parameters.ts";
import { sectionsOf } from "../../objectives/registry.ts";
import { sameShape } from "../../tensor/tensor.ts";
import { counted } from "../../base/units.ts";
import type { TrainingData } from "./sources.ts";

/** What is known of a model that training begins with. */
export interface InitialModel extends ModelDescription {
  /** Its file. */
  readonly file: string;
}

/**
 * Describes the model of a run's folder, or of a file.
 *
 * @throws {FormatError} when there is none
 */
export async function describeInitial(path: string): Promise<InitialModel> {
  const file = await findModel(path);
  using model = await openModel(file);
  const { network, classNames, notes } = model;
  return { file, network, ...sectionsOf(model), ...(classNames ? { classNames } : {}), notes };
}

/**
 * Whether a model can be trained on with some data.
 *
 * @param resetLabels whether its classes are learned anew
 * @throws {UsageError} where their sizes differ, or their classes and those are not learned anew
 */
export function checkInitial(
  { file, network, classNames }: InitialModel,
  { name, shape, classNames: own }: TrainingData,
  { labels, resetLabels }: { readonly labels: boolean; readonly resetLabels: boolean },
): void {
  if ("dimensions" in network || !("resolution" in shape)) return; // other checks compare them
  const { imgResolution: size, imgChannels, labelDim } = network;
  if (size !== shape.resolution || imgChannels !== shape.channels) {
    throw new UsageError(
      `${file} is a model of pictures of ${size} x ${size} x ${imgChannels}, but ${name} has ` +
        `${shape.resolution} x ${shape.resolution} x ${shape.channels}; fine-tuning needs the same: ` +
        `imm dataset prepare --resolution ${size} makes pictures of that size`,
    );
  }
  if (resetLabels) return;
  const classes = labels ? shape.classes : 0;
  const anew = "--reset-labels keeps the other weights and learns the classes anew";
  if (labelDim !== classes && labelDim > 0) {
    throw new UsageError(
      `${file} has ${counted(labelDim, "class", "classes")}, but ${name} has ${classes}; ${anew}`,
    );
  }
  if (labelDim === 0 || !classNames || !own) return;
  const other = classNames.findIndex((className, n) => className !== own[n]);
  if (other >= 0) {
    throw new UsageError(
      `class ${other} of ${file} is ${classNames[other]}, but of ${name} it is ${
        own[other]
      }; ${anew}`,
    );
  }
}

/**
 * The weights that a network begins with.
 *
 * @param resetLabels whether the parameters that know of classes get random values of `seed`
 * @throws {FormatError} where they are not those of the network
 */
export async function transferredWeights(
  file: string,
  network: Network,
  { resetLabels, seed }: { readonly resetLabels: boolean; readonly seed: number },
): Promise<StateDict> {
  using model = await openModel(file);
  const anew = resetLabels ? labelParameters(network) : new Set<string>();
  const weights: StateDict = new Map();
  for (const [name, { shape, data }] of model.weights) {
    if (anew.has(name)) continue;
    weights.set(name, { shape, data: typeof data === "function" ? await data() : data });
  }
  for (const [name, { shape }] of network.parameters.specs) {
    if (!anew.has(name)) continue;
    weights.set(name, { shape, data: network.parameters.initialValue(name, seed) });
  }
  return weights;
}

/** Names of the parameters whose shape, or being there at all, depends on the number of classes. */
function labelParameters(network: Network): Set<string> {
  const [none, one, two] = [0, 1, 2].map((labelDim) =>
    network.rebuild({ labelDim }).parameters.specs
  );
  const names = [...one].filter(([name, { shape }]) =>
    !none.has(name) || !sameShape(shape, two.get(name)!.shape)
  );
  return new Set(names.map(([name]) => name));
}
