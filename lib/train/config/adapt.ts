/**
 * Fitting a preset to the data that it is given: sizes of the network are those of the data, and
 * what that changes, or what the person has to choose, is said.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { counted } from "../../base/units.ts";
import { type DataShape, parseTrainConfig, type TrainConfig } from "./config.ts";
import { preset, presetShape } from "./presets.ts";
import type { TrainingData } from "../run/sources.ts";

/** A JSON object. */
type Json = { readonly [key: string]: unknown };

/** Sizes of a network that the data decide. */
const SIZES = ["imgResolution", "imgChannels", "labelDim", "dimensions"];

/** A configuration on top of another. */
export interface Layered {
  /** Preset, file and settings together. */
  readonly value: Json;
  /** File and settings alone: what the person chose. */
  readonly chosen: Json;
}

/**
 * Lays a configuration over another, key by key. A network of another type replaces the one below:
 * few of its settings would mean anything.
 */
export function overlay(below: Json, above: Json): Json {
  const result: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = below[key];
    const isOther = key === "network" && isObject(old) && isObject(value) &&
      value.type !== undefined && value.type !== old.type;
    result[key] = isObject(old) && isObject(value) && !isOther ? overlay(old, value) : value;
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether the person chose a setting. */
export function isChosen({ chosen }: Layered, section: string, key: string): boolean {
  const part = chosen[section];
  return isObject(part) && part[key] !== undefined;
}

/**
 * The configuration with the network's sizes left to the data where only the preset gave them.
 */
export function withSizesOfData({ value, chosen }: Layered): Json {
  const { network } = value;
  if (!isObject(network)) return value;
  const own = isObject(chosen.network) ? chosen.network : {};
  const kept = Object.entries(network).filter(([key]) => !SIZES.includes(key) || key in own);
  return { ...value, network: Object.fromEntries(kept) };
}

/**
 * What differs from the preset because of the data and of what the person chose, in sentences.
 *
 * @param name of the preset
 */
export function presetNotes(
  name: string,
  layered: Layered,
  config: TrainConfig,
  { name: dataName, shape }: Pick<TrainingData, "name" | "shape">,
): string[] {
  const notes: string[] = [];
  const meant = presetShape(name);
  if (isObject(layered.chosen.data) && JSON.stringify(shape) !== JSON.stringify(meant)) {
    notes.push(
      `preset ${name} is for ${describeShape(meant)}; the network is made for ${dataName}: ` +
        `${describeShape(shape)}`,
    );
  }
  const before = parseTrainConfig(preset(name), meant);
  const { data, network, train, optimizer } = config;
  if (!isChosen(layered, "data", "padTo") && data.padTo !== before.data.padTo) {
    notes.push(
      `preset ${name} pads pictures to ${before.data.padTo}, which is left out for ${dataName}; ` +
        `--set data.padTo=N pads them`,
    );
  }
  const classes = "classes" in shape ? shape.classes : 0;
  if (!data.labels && classes > 0 && !isChosen(layered, "data", "labels")) {
    notes.push(
      `preset ${name} trains without classes; --set data.labels=true takes the ` +
        `${counted(classes, "class", "classes")} of ${dataName}`,
    );
  }
  if ("attnResolutions" in network && !isChosen(layered, "network", "attnResolutions")) {
    const levels = network.channelMult.map((_, i) => network.imgResolution / 2 ** i);
    if (!network.attnResolutions.some((resolution) => levels.includes(resolution))) {
      notes.push(
        `the network has no attention: its resolutions are ${
          levels.join(", ")
        }, and the preset's ` +
          `attention is at ${network.attnResolutions.join(", ")}; ` +
          `--set 'network.attnResolutions=[${levels.at(-1)}]' puts it at the coarsest`,
      );
    }
  }
  if (train.batch !== before.train.batch && !isChosen(layered, "optimizer", "lr")) {
    const ratio = train.batch / before.train.batch;
    const rate = Number((optimizer.lr * Math.sqrt(ratio)).toPrecision(2));
    const decay = Number((train.ema.decay ** ratio).toPrecision(6));
    notes.push(
      `train.batch is ${train.batch}, but optimizer.lr=${optimizer.lr} and ` +
        `train.ema.decay=${train.ema.decay} are the preset's for ${before.train.batch}; ` +
        `by the square root rule for Adam that would be --set optimizer.lr=${rate}, and ` +
        `--set train.ema.decay=${decay} averages over as many images`,
    );
  }
  return notes;
}

function describeShape(shape: DataShape): string {
  if ("dimensions" in shape) return `points of ${counted(shape.dimensions, "number")}`;
  const { resolution, channels, classes } = shape;
  return `pictures of ${resolution} x ${resolution} x ${channels} ` +
    (classes > 0 ? `in ${counted(classes, "class", "classes")}` : "without classes");
}

/** Resolutions above that of the data that are tried. */
const TRIED = 64;

/**
 * The resolved configuration.
 *
 * @throws {UsageError} as `parseTrainConfig`; where the network cannot have the resolution of the
 * data, with the padding that helps
 */
export function parseForData(value: unknown, { name, shape }: TrainingData): TrainConfig {
  try {
    return parseTrainConfig(value, shape);
  } catch (error) {
    if (!(error instanceof UsageError) || !("resolution" in shape)) throw error;
    const { resolution } = shape;
    const fits = Array.from({ length: TRIED }, (_, i) => resolution + i + 1).find((larger) => {
      try {
        return !!parseTrainConfig(value, { ...shape, resolution: larger });
      } catch {
        return false;
      }
    });
    if (fits === undefined) throw error;
    throw new UsageError(
      `${error.message}, the size of ${name}; --set data.padTo=${fits} pads its pictures, ` +
        `imm dataset prepare --resolution N makes others of them`,
    );
  }
}
