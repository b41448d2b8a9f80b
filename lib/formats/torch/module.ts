/**
 * Names of the tensors in what PyTorch saved: state dicts, dictionaries of them, and whole modules,
 * whose state dict is put together as `torch.nn.Module.state_dict` would.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { type NumericType, toFloat32, toFloat64 } from "../arrays/numeric.ts";
import { PickleObject } from "./pickle.ts";
import { PickleArray } from "./pickle_globals.ts";
import { TorchTensor } from "./tensor.ts";

/** A tensor of PyTorch, or an array of numpy, that is still in its file. */
export interface NamedTensor {
  readonly type: NumericType;
  readonly shape: readonly number[];
  /** The elements, row-major and little-endian, read now. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** The elements as float32, read now. */
  toFloat32(): Promise<Float32Array<ArrayBuffer>>;
  /** The elements as float64, read now. */
  toFloat64(): Promise<Float64Array<ArrayBuffer>>;
}

const MAX_TENSORS = 1_000_000;
const MAX_DEPTH = 200;

/**
 * All tensors and arrays of numbers below a value, in order, with their keys (also the parts of
 * those that are tuples), attributes and numbers joined by dots. What is no tensor and holds none is left out, and so is what an object holds of
 * itself, as a child that knows its parent.
 *
 * @throws {FormatError} when they are nested too deeply, or are too many
 */
export function namedTensors(value: unknown, name = "the file"): Map<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  let found = 0;
  const around = new Set<unknown>();
  // Objects may be shared, and what holds none has to be looked through only once.
  const empty = new Set<unknown>();
  const visit = (value: unknown, prefix: string, depth: number): void => {
    const tensor = asTensor(value);
    if (tensor !== null) {
      tensors.set(prefix, tensor);
      if (++found > MAX_TENSORS) {
        throw new FormatError(`${name} has more than ${MAX_TENSORS} tensors.`);
      }
      return;
    }
    if (typeof value !== "object" || around.has(value) || empty.has(value)) return;
    if (depth > MAX_DEPTH) {
      if (children(value).next().done) return;
      throw new FormatError(`${name} nests its objects more than ${MAX_DEPTH} deep.`);
    }
    const before = found;
    around.add(value);
    for (const [key, child] of children(value)) {
      visit(child, prefix === "" ? key : `${prefix}.${key}`, depth + 1);
    }
    around.delete(value);
    if (found === before) empty.add(value);
  };
  visit(value, "", 0);
  return tensors;
}

function asTensor(value: unknown): NamedTensor | null {
  if (value instanceof TorchTensor) return value;
  if (!(value instanceof PickleArray) || value.type === null) return null;
  const { type, shape } = value;
  return {
    type,
    shape,
    // deno-lint-ignore require-await -- reads at once, but fails as the others do
    read: async () => value.read(),
    // deno-lint-ignore require-await
    toFloat32: async () => toFloat32(value.read(), type),
    // deno-lint-ignore require-await
    toFloat64: async () => toFloat64(value.read(), type),
  };
}

/** Whether a value is an instance of `torch.nn.Module`, by what every one of them has. */
export function isModule(value: unknown): value is PickleObject {
  return value instanceof PickleObject && ["_parameters", "_buffers", "_modules"]
    .every((name) => value.attribute(name) instanceof Map);
}

/** What an object consists of, by name: for a module what its state dict has. */
function* children(value: unknown): Generator<[string, unknown]> {
  if (value instanceof Map) {
    for (const [key, child] of value) {
      // A tuple is a path, as in a flattened tree of JAX.
      const path = Array.isArray(key) ? key : [key];
      if (path.every((part) => typeof part === "string" || typeof part === "number")) {
        yield [path.join("."), child];
      }
    }
  } else if (Array.isArray(value)) {
    for (const [index, child] of value.entries()) yield [String(index), child];
  } else if (isModule(value)) {
    const volatile = value.attribute("_non_persistent_buffers_set");
    yield* children(value.attribute("_parameters"));
    for (const [key, buffer] of children(value.attribute("_buffers"))) {
      if (!(volatile instanceof Set && volatile.has(key))) yield [key, buffer];
    }
    yield* children(value.attribute("_modules"));
  } else if (value instanceof PickleObject) {
    yield* children(value.args);
    yield* children(value.state);
    yield* children(value.entries);
    yield* children(value.items);
  }
}
