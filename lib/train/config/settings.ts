/**
 * Overriding single keys of a configuration: `imm.k=14`, `train.batch=64`, `optimizer.name=adamw`.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { parseSize } from "../../base/units.ts";

/** A JSON object. */
type Json = { [key: string]: unknown };

/**
 * A copy of `config` with the settings `path.to.key=value` applied in order. Values are sizes
 * (8Mi), JSON where they parse as JSON, strings otherwise. Whether a key exists and its value fits is for the schema
 * to say, when the configuration is parsed.
 *
 * @throws {UsageError} for a setting without `=` or a path through something that has no keys
 */
export function applySettings<T extends object>(config: T, settings: readonly string[]): T {
  const result = structuredClone(config);
  for (const setting of settings) {
    const equals = setting.indexOf("=");
    if (equals <= 0) {
      throw new UsageError(`a setting has the form key=value, as in imm.k=14, but got ${setting}`);
    }
    const path = setting.slice(0, equals).split(".");
    const last = path.pop()!;
    let target = result as Json;
    for (const key of path) {
      if (key === "__proto__") throw new UsageError(`${setting}: ${key} is not a setting`);
      target[key] ??= {};
      if (typeof target[key] !== "object" || Array.isArray(target[key])) {
        throw new UsageError(`${setting}: ${key} has no keys of its own`);
      }
      target = target[key] as Json;
    }
    target[last] = parseValue(setting.slice(equals + 1));
  }
  return result;
}

function parseValue(text: string): unknown {
  if (/^[\d.]+[KMG]i$/.test(text)) return parseSize(text, "a setting");
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
