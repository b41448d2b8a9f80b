/**
 * Writing ONNX models: a graph of nodes, constants, typed inputs and outputs; and reading the
 * metadata of a model. Specification: https://github.com/onnx/onnx/blob/main/docs/IR.md.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";
import { FormatError, InternalError } from "../../base/errors.ts";
import { MessageWriter, readMessage } from "./protobuf.ts";

/** Operator set of the models: the first in which Resize has all that Inception needs. */
const OPSET = 19;
/** Version of the file format that came with it. */
const IR_VERSION = 9;

/** Element types and their codes (TensorProto.DataType). */
const TYPE_CODES = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;

/** Element type of a tensor. */
export type OnnxType = keyof typeof TYPE_CODES;

/** The numbers of a constant. */
export type OnnxData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** A tensor within a graph. */
export interface OnnxValue {
  readonly name: string;
}

/** Sizes per axis; a string names a size that is only known when the model runs. */
export type OnnxShape = readonly (number | string)[];

/** An attribute of a node. Plain numbers are integers; ONNX tells them from floats. */
export type OnnxAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] };

/** Attributes by name. */
export type OnnxAttributes = Readonly<Record<string, OnnxAttribute>>;

/** A model under construction. Operators: https://onnx.ai/onnx/operators/. */
export class OnnxGraph {
  /** Free text that travels in the file, for example the description of an extractor. */
  readonly metadata: Map<string, string> = new Map();
  readonly #name: string;
  readonly #nodes: MessageWriter[] = [];
  readonly #constants: MessageWriter[] = [];
  readonly #inputs: MessageWriter[] = [];
  readonly #outputs: MessageWriter[] = [];
  readonly #names: Set<string> = new Set();

  /** @param name of the graph; it shows in viewers only */
  constructor(name: string) {
    this.#name = name;
  }

  /** Declares an input. */
  input(name: string, type: OnnxType, shape: OnnxShape): OnnxValue {
    const value = this.#value(name);
    this.#inputs.push(valueInfo(name, type, shape));
    return value;
  }

  /**
   * A constant: weights (row-major), or the list of sizes that some operators take as an input.
   *
   * @param shape default: one axis
   * @param name default: counted up
   */
  constant(
    data: OnnxData,
    shape: readonly number[] = [data.length],
    name?: string,
  ): OnnxValue {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements !== data.length) {
      throw new InternalError(
        `constant ${name ?? ""} has ${data.length} elements for the shape [${shape.join(", ")}]`,
      );
    }
    const value = this.#value(name ?? this.#freeName("constant"));
    const tensor = new MessageWriter();
    for (const size of shape) tensor.int(1, size);
    tensor.int(2, TYPE_CODES[typeOf(data)]).string(8, value.name).bytes(9, bytesOf(data));
    this.#constants.push(tensor);
    return value;
  }

  /**
   * Applies an operator and returns its first output.
   *
   * @param inputs null stands for an optional input that is left out
   */
  node(
    operator: string,
    inputs: readonly (OnnxValue | null)[],
    attributes: OnnxAttributes = {},
  ): OnnxValue {
    return this.#node(operator, inputs, attributes, this.#freeName(operator.toLowerCase()));
  }

  /** Makes a value an output of the model under this name; without a shape any will do. */
  output(value: OnnxValue, name: string, type: OnnxType, shape?: OnnxShape): void {
    this.#node("Identity", [value], {}, name);
    this.#outputs.push(valueInfo(name, type, shape));
  }

  /** The file. The same calls give the same bytes. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const graph = new MessageWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.string(2, this.#name);
    for (const tensor of this.#constants) graph.message(5, tensor);
    for (const info of this.#inputs) graph.message(11, info);
    for (const info of this.#outputs) graph.message(12, info);
    const model = new MessageWriter()
      .int(1, IR_VERSION)
      .string(2, "imm")
      .message(7, graph)
      .message(8, new MessageWriter().string(1, "").int(2, OPSET));
    for (const [key, value] of this.metadata) {
      model.message(14, new MessageWriter().string(1, key).string(2, value));
    }
    if (model.length >= 2 ** 31) {
      throw new FormatError(
        `An ONNX file holds at most 2 GiB, but this model needs ${model.length} bytes; export ` +
          `a smaller one.`,
      );
    }
    return model.toBytes();
  }

  #node(
    operator: string,
    inputs: readonly (OnnxValue | null)[],
    attributes: OnnxAttributes,
    output: string,
  ): OnnxValue {
    const node = new MessageWriter();
    for (const input of inputs) node.string(1, input?.name ?? "");
    node.string(2, output).string(3, `${operator}/${output}`).string(4, operator);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    this.#nodes.push(node);
    return this.#value(output);
  }

  #value(name: string): OnnxValue {
    if (this.#names.has(name)) throw new InternalError(`two values of the graph are named ${name}`);
    this.#names.add(name);
    return { name };
  }

  #freeName(stem: string): string {
    return `${stem}_${this.#names.size}`;
  }
}

function typeOf(data: OnnxData): OnnxType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof BigInt64Array) return "int64";
  return data instanceof Int32Array ? "int32" : "uint8";
}

function valueInfo(name: string, type: OnnxType, shape?: OnnxShape): MessageWriter {
  const tensor = new MessageWriter().int(1, TYPE_CODES[type]);
  if (shape) {
    const dimensions = new MessageWriter();
    for (const size of shape) {
      const dimension = new MessageWriter();
      if (typeof size === "string") dimension.string(2, size);
      else dimension.int(1, size);
      dimensions.message(1, dimension);
    }
    tensor.message(2, dimensions);
  }
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensor));
}

/** An AttributeProto; field 20 says which of the value fields counts. */
function attribute(name: string, value: OnnxAttribute): MessageWriter {
  const message = new MessageWriter().string(1, name);
  if (typeof value === "string") return message.string(4, value).int(20, 3);
  if (typeof value === "number") return message.int(3, integer(name, value)).int(20, 2);
  if ("float" in value) return message.float(2, value.float).int(20, 1);
  if ("floats" in value) {
    for (const item of value.floats) message.float(7, item);
    return message.int(20, 6);
  }
  for (const item of value) message.int(8, integer(name, item));
  return message.int(20, 7);
}

function integer(name: string, value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new InternalError(`attribute ${name} is ${value}; floats are written as { float: ... }`);
}

/**
 * The metadata of a model, without looking at its graph.
 *
 * @param name what error messages call the file
 * @throws {FormatError} when the bytes are no ONNX model
 */
export function readOnnxMetadata(bytes: Uint8Array, name: string): Map<string, string> {
  const metadata = new Map<string, string>();
  const text = (value: bigint | Uint8Array): string =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
  let hasGraph = false;
  for (const { field, value } of readMessage(bytes, name)) {
    if (field === 7 && value instanceof Uint8Array) hasGraph = true;
    if (field !== 14 || !(value instanceof Uint8Array)) continue;
    const entry = ["", ""];
    for (const { field, value: part } of readMessage(value, name)) {
      if (field === 1 || field === 2) entry[field - 1] = text(part);
    }
    metadata.set(entry[0], entry[1]);
  }
  if (!hasGraph) {
    throw new FormatError(`${name} is no ONNX model: it has no graph; check the path.`);
  }
  return metadata;
}
