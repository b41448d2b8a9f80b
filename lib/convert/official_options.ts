/**
 * What a pickled module says about how it was made: the keyword arguments that the EDM family's
 * persistence keeps with every object, and its attributes.
 *
 * @module
 */

import { PickleObject } from "../formats/torch/pickle.ts";
import { isModule } from "../formats/torch/module.ts";

/** Keyword arguments by their official names. */
export type OfficialOptions = Readonly<Record<string, unknown>>;

/** Attributes of `IMMPrecond` that were arguments: they hold what was not given as well. */
const ATTRIBUTES = [
  "img_resolution",
  "img_channels",
  "label_dim",
  "noise_schedule",
  "f_type",
  "temb_type",
  "time_scale",
  "sigma_data",
  "T",
  "eps",
];
const MAX_DEPTH = 8;

/**
 * The options of the module at a prefix of tensor names, as `ema.model.`: of the outermost module
 * on the way there that kept some. Null where there is none, as in a plain state dict.
 */
export function officialOptions(value: unknown, prefix: string): OfficialOptions | null {
  let at: unknown = value;
  for (const step of prefix.split(".").slice(0, MAX_DEPTH)) {
    const options = isModule(at) ? optionsOf(at) : null;
    if (options) return options;
    at = child(at, step);
  }
  return null;
}

/**
 * The class of the outermost module on the way to a prefix of tensor names, as `EDMPrecond`; null
 * where there is none.
 */
export function wrapperClass(value: unknown, prefix: string): string | null {
  let at: unknown = value;
  for (const step of prefix.split(".").slice(0, MAX_DEPTH)) {
    if (isModule(at)) return at.type.slice(at.type.lastIndexOf(".") + 1);
    at = child(at, step);
  }
  return isModule(at) ? at.type.slice(at.type.lastIndexOf(".") + 1) : null;
}

function optionsOf(module: PickleObject): OfficialOptions | null {
  const kept = module.attribute("_init_kwargs");
  const found: Record<string, unknown> = kept instanceof Map ? plainObject(kept) : {};
  for (const name of ATTRIBUTES) {
    const value = module.attribute(name);
    if (isPlain(value)) found[name] = value;
  }
  return Object.keys(found).length > 0 ? found : null;
}

/** A dictionary with text keys as an object; what is neither number, text nor list is left out. */
function plainObject(map: ReadonlyMap<unknown, unknown>, depth = 0): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of map) {
    if (typeof key !== "string" || key === "__proto__") continue;
    if (isPlain(value)) result[key] = value;
    else if (value instanceof Map && depth < MAX_DEPTH) result[key] = plainObject(value, depth + 1);
  }
  return result;
}

function isPlain(value: unknown, depth = 0): boolean {
  if (Array.isArray(value)) {
    return depth < MAX_DEPTH && value.length < 1000 && value.every((v) => isPlain(v, depth + 1));
  }
  return ["number", "string", "boolean"].includes(typeof value);
}

function child(value: unknown, step: string): unknown {
  if (value instanceof Map) return value.get(step);
  if (!(value instanceof PickleObject)) return undefined;
  const modules = value.attribute("_modules");
  return (modules instanceof Map ? modules.get(step) : undefined) ?? value.attribute(step);
}
