/**
 * From anyone's file to a model of this program, and from a model to a state dict of PyTorch. The
 * tensors pass through one at a time.
 *
 * @module
 */

import { basename } from "jsr:@std/path@1.0.8";
import { LATENT_NOTE, type LatentNormalization, latentNote } from "../data/latents/note.ts";
import { FormatError, UsageError } from "../base/errors.ts";
import {
  type FloatType,
  fromFloat32,
  NUMERIC_SIZE,
  OVERFLOWS_AT,
  toFloat32,
} from "../formats/arrays/numeric.ts";
import { type SafetensorsDtype, writeSafetensors } from "../formats/safetensors/safetensors.ts";
import { writeTorch } from "../formats/torch/writer.ts";
import { type ImmConfig, immConfig } from "../imm/config.ts";
import {
  type ObjectiveSections,
  objectiveSections,
  parseObjective,
  sectionsOf,
} from "../objectives/registry.ts";
import { type NetworkConfig, parseNetworkConfig } from "../models/registry.ts";
import { inferNetwork } from "../models/infer.ts";
import { describeModel, type ModelDescription, parseModelMetadata } from "../models/model_file.ts";
import { isOfficialMethod, methodFromOfficial } from "../models/official.ts";
import type { PublicModel } from "../models/public_models.ts";
import { createNetwork } from "../models/registry.ts";
import type { ParameterStore } from "../nn/parameters.ts";
import { sameShape, sizeOf } from "../tensor/tensor.ts";
import { nameAverages } from "./averages.ts";
import { chooseWeightSet, findWeightSets, type WeightSet } from "./find_weights.ts";
import type { ForeignFile, ForeignTensor } from "./formats/format.ts";
import { type OfficialOptions, officialOptions, wrapperClass } from "./official_options.ts";

/** What is known about a file besides what it says itself. What is given here wins. */
export interface ConvertOptions {
  /** Prefix of the weights in the file; left out, the average where there is one. */
  readonly weights?: string;
  /** The model of the public release that it is. */
  readonly model?: PublicModel;
  /** Configurations from a file. */
  readonly config?: {
    readonly network?: object;
    readonly imm?: object;
    readonly objective?: object;
  };
  /** Single settings in place of any other. */
  readonly settings?: { readonly network: object; readonly imm: object };
  /** How the latents that it was trained on were normalised. */
  readonly latents?: LatentNormalization;
  /**
   * Where a file leaves open which of its weights are meant: take the most likely ones, and say so
   * under the assumptions, in place of an error.
   */
  readonly guess?: boolean;
}

/** A model whose tensors are still in the file that it comes from. */
export interface FoundModel extends ModelDescription {
  /** Prefix of its tensors in the file. */
  readonly prefix: string;
  /** Whether the file says that its weights are an average. */
  readonly average: boolean;
  /** Prefixes of other sets of weights in the file. */
  readonly others: readonly string[];
  /** What was supposed because the file does not show it: sentences. */
  readonly assumptions: readonly string[];
  /** Number of parameters. */
  readonly parameterCount: number;
  /** Every tensor of the state dict in official order, brought when asked for. */
  readonly tensors: readonly FoundTensor[];
}

/** A tensor of a {@link FoundModel}. */
export interface FoundTensor {
  /** Official name. */
  readonly name: string;
  /** Official shape. */
  readonly shape: readonly number[];
  /**
   * The elements, row-major.
   *
   * @throws {FormatError} when one of the numbers is not finite, or what follows from the
   * configuration is another
   */
  read(): Promise<Float32Array>;
}

/**
 * Finds the model in a file and checks that every tensor of its network is there. Reads no numbers.
 *
 * @throws {FormatError} when there is no network in it, or not all of one
 * @throws {UsageError} when the file does not say how its network is to be called, or which of its
 * weights are meant, and `options` neither
 */
export function findModelIn(file: ForeignFile, options: ConvertOptions = {}): FoundModel {
  const own = parseModelMetadata(file.name, file.metadata);
  const sets = own === null
    ? findWeightSets(file.tensors, file.name)
    : [{ prefix: "model.", tensors: modelTensors(file.tensors), average: false, borrowed: null }];
  const among = own === null ? file.tensors : sets[0].tensors;
  const { set, doubt } = chooseWeightSet(sets, among, options.weights, file.name);
  if (doubt !== null && !options.guess) throw new UsageError(doubt);
  const official = officialOptions(file.value, set.prefix);
  const { network, assumptions } = networkOf(file, set, own?.network ?? null, official, options);
  const wrapper = wrapperClass(file.value, set.prefix);
  const trained = objectiveFor(file.name, wrapper, own, official, options);
  const { parameters, sampleShape } = createNetwork(network);
  const latents = options.latents ?? options.model?.latents ?? null;
  const channels = sampleShape.at(-1);
  if (latents !== null && latents.mean.length !== channels) {
    throw new UsageError(
      `the samples of ${file.name} have ${channels} channels, but the statistics of latents are ` +
        `${latents.mean.length} means and deviations; give one for each channel.`,
    );
  }
  // Another number of classes was given: the names are not theirs.
  const classNames = own?.classNames?.length === network.labelDim ? own.classNames : undefined;
  return {
    network,
    ...trained,
    ...(classNames ? { classNames } : {}),
    notes: {
      ...own?.notes ?? { source: basename(file.name), weights: set.prefix.replace(/\.$/, "") },
      ...(latents === null ? {} : { [LATENT_NOTE]: latentNote(latents) }),
    },
    prefix: set.prefix,
    average: set.average,
    others: sets.filter((other) => other !== set).map(({ prefix }) => prefix),
    assumptions: [
      ...assumptions,
      ...(set.borrowed === null ? [] : [
        `${set.borrowed.names.length} tensors that are not under ` +
        `"${set.prefix.replace(/\.$/, "")}" (${listed(set.borrowed.names)}) are those of ` +
        `"${set.borrowed.from.replace(/\.$/, "")}", as averages leave out what is not trained`,
      ]),
      ...(doubt === null ? [] : [doubt]),
    ],
    parameterCount: parameters.parameterCount,
    tensors: matchTensors(parameters, namedTensors(set, parameters, file.name), file),
  };
}

/**
 * Writes a model file of this program.
 *
 * @throws {FormatError} when a number is too large for the element type, or not finite
 */
export async function writeConverted(
  path: string,
  model: FoundModel,
  { type = "f32", onTensor }: WriteOptions = {},
): Promise<void> {
  const dtype: SafetensorsDtype = ({ f32: "F32", f16: "F16", bf16: "BF16" } as const)[type];
  await writeSafetensors(
    path,
    model.tensors.map((tensor) => [
      tensor.name,
      { dtype, shape: tensor.shape, data: () => readAs(tensor, type, onTensor) },
    ]),
    describeModel(model),
  );
}

/**
 * Writes a state dict with the official names that PyTorch opens.
 *
 * @throws {FormatError} when a number is too large for the element type, or not finite
 */
export async function writeStateDict(
  path: string,
  model: FoundModel,
  { type = "f32", onTensor }: WriteOptions = {},
): Promise<void> {
  await writeTorch(
    path,
    model.tensors.map((tensor) => [
      tensor.name,
      { type, shape: tensor.shape, data: () => readAs(tensor, type, onTensor) },
    ]),
  );
}

/** How to write a model. */
export interface WriteOptions {
  /** Element type of all tensors (default f32). */
  readonly type?: FloatType;
  /** Called before each tensor is written. */
  readonly onTensor?: () => void;
}

async function readAs(
  tensor: FoundTensor,
  type: FloatType,
  onTensor: WriteOptions["onTensor"],
): Promise<ArrayBufferView> {
  const values = await tensor.read();
  const bad = values.findIndex((value) => Math.abs(value) >= OVERFLOWS_AT[type]);
  if (bad >= 0) {
    throw new FormatError(
      `${tensor.name} has ${values[bad]} at element ${bad}, which as ${type} is infinite; write ` +
        (type === "f16" ? "bf16, which has the range of f32, or f32." : "f32."),
    );
  }
  onTensor?.();
  return fromFloat32(values, type);
}

/** Bytes of a model in an element type. */
export function modelBytes(model: FoundModel, type: FloatType): number {
  return model.tensors.reduce((sum, { shape }) => sum + sizeOf(shape) * NUMERIC_SIZE[type], 0);
}

/** Tensors of a model file or checkpoint of this program, without what only training needs. */
function modelTensors(
  tensors: ReadonlyMap<string, ForeignTensor>,
): ReadonlyMap<string, ForeignTensor> {
  return new Map([...tensors].filter(([name]) => name.startsWith("model.")));
}

function networkOf(
  file: ForeignFile,
  { tensors }: WeightSet,
  own: NetworkConfig | null,
  official: OfficialOptions | null,
  { model, config, settings }: ConvertOptions,
): { network: NetworkConfig; assumptions: readonly string[] } {
  const given = config?.network ?? model?.network ?? own;
  if (given) {
    return { network: parseNetworkConfig({ ...given, ...settings?.network }), assumptions: [] };
  }
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  // The tensors show everything but these; so that no other argument needs to be understood.
  const said: Record<string, unknown> = {};
  if (typeof official?.dropout === "number") said.dropout = official.dropout;
  if (typeof official?.num_heads === "number") said.numHeads = official.num_heads;
  const found = inferNetwork(shapes, file.name, { ...said, ...settings?.network });
  return {
    network: found.network,
    assumptions: found.assumptions.filter((text) =>
      !("dropout" in said && text.startsWith("dropout"))
    ),
  };
}

/** What the network was trained for, as far as anything says it. */
function objectiveFor(
  source: string,
  wrapper: string | null,
  own: ObjectiveSections | null,
  official: OfficialOptions | null,
  { model, config, settings }: ConvertOptions,
): ObjectiveSections {
  if (config?.objective) return objectiveSections(parseObjective(config));
  const said = official && isOfficialMethod(official) ? methodFromOfficial(official) : null;
  const given: object | null = config?.imm ?? model?.imm ?? own?.imm ?? said;
  if (own?.objective && !config?.imm && !model && !settings?.imm) return sectionsOf(own);
  const single = settings?.imm ?? {};
  if (!given && !("parameterization" in single)) {
    // EDM's family: EDMPrecond, VPPrecond, ECMPrecond, Precond.
    const foreign = wrapper !== null && /Precond$/.test(wrapper)
      ? `${source} holds a network in a ${wrapper}, which is called with one noise level and ` +
        `denoises: a diffusion model, and none of Inductive Moment Matching. `
      : "";
    throw new UsageError(
      `${foreign}${source} does not say how its network is to be called: the interpolant, the ` +
        `parameterization, which second time it is told. Name the public model that it is with ` +
        `--preset, or give them with --config FILE or --set imm.parameterization=… and the like.`,
    );
  }
  return { imm: immConfig({ ...given, ...single } as Partial<ImmConfig>) };
}

/** The tensors of a set by name; those of an average without names have them by their order. */
function namedTensors(
  { tensors, nameless }: WeightSet,
  parameters: ParameterStore,
  source: string,
): ReadonlyMap<string, ForeignTensor> {
  if (nameless === undefined) return tensors;
  return new Map([...tensors, ...nameAverages(nameless, parameters, source)]);
}

/** Pairs what the network needs with what there is; what follows from the sizes is filled in. */
function matchTensors(
  parameters: ParameterStore,
  tensors: ReadonlyMap<string, ForeignTensor>,
  { name: source, unknown: passedOver }: ForeignFile,
): FoundTensor[] {
  const known = new Set(parameters.names);
  const unknown = [...tensors.keys()].filter((name) => !known.has(name));
  const missing: string[] = [];
  const found = parameters.names.map((name): FoundTensor => {
    const spec = parameters.specs.get(name);
    const { shape } = spec ?? parameters.buffers.get(name)!;
    const tensor = tensors.get(name);
    if (tensor !== undefined) {
      if (!sameShape(shape, tensor.shape)) {
        throw new FormatError(
          `${source}: expected ${name} of shape [${shape}], found [${tensor.shape}]; the ` +
            `configuration is not that of the file.`,
        );
      }
      const read = async () => {
        const data = await finiteNumbers(tensor, `${source}: ${name}`);
        parameters.checkFixed(name, data, source);
        return data;
      };
      return { name, shape, read };
    }
    const fixed = spec ? !spec.trainable : parameters.buffers.get(name)!.fixed;
    if (!fixed) missing.push(name);
    return { name, shape, read: () => Promise.resolve(parameters.initialValue(name, 0)) };
  });
  if (missing.length > 0 || unknown.length > 0) {
    throw new FormatError(
      `${source}: expected the ${known.size} tensors of the network, but ` +
        [
          missing.length > 0 ? `it lacks ${listed(missing)}` : "",
          unknown.length > 0 ? `it has ${listed(unknown)} that the network does not` : "",
        ].filter((text) => text !== "").join(" and ") +
        `; give the configuration with --config or --set.` +
        // A tensor may be in an object that nobody here can look into.
        (missing.length > 0 && passedOver.length > 0
          ? ` Objects of ${listed(passedOver)} are not known here and were passed over.`
          : ""),
    );
  }
  return found;
}

function listed(names: readonly string[]): string {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
}

async function finiteNumbers(tensor: ForeignTensor, what: string): Promise<Float32Array> {
  const data = toFloat32(await tensor.read(), tensor.type);
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new FormatError(
      `${what} is ${
        data[bad]
      } at element ${bad}; a model whose numbers are not finite is of no use.`,
    );
  }
  return data;
}
