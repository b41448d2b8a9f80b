/**
 * Names of the tensors in what PyTorch saved: state dicts, dictionaries of them, and whole modules,
 * whose state dict is put together as `torch.nn.Module.state_dict` would.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { PickleObject } from "./pickle.ts";
import { TorchTensor } from "./torch_tensor.ts";

const MAX_TENSORS = 1_000_000;
const MAX_DEPTH = 64;

/**
 * All tensors below a value, in order, with their keys, attributes and numbers joined by dots.
 * What is no tensor and holds none is left out.
 *
 * @throws {FormatError} when they are nested too deeply, in themselves even, or are too many
 */
export function namedTensors(value: unknown, name = "the file"): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  const visit = (value: unknown, prefix: string, depth: number): void => {
    if (value instanceof TorchTensor) {
      tensors.set(prefix, value);
      if (tensors.size > MAX_TENSORS) {
        throw new FormatError(`${name} has more than ${MAX_TENSORS} tensors.`);
      }
      return;
    }
    if (depth > MAX_DEPTH) {
      if (children(value).next().done) return;
      throw new FormatError(`${name} nests its objects more than ${MAX_DEPTH} deep.`);
    }
    for (const [key, child] of children(value)) {
      visit(child, prefix === "" ? key : `${prefix}.${key}`, depth + 1);
    }
  };
  visit(value, "", 0);
  return tensors;
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
      if (typeof key === "string" || typeof key === "number") yield [String(key), child];
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
    yield* children(value.state);
  }
}
