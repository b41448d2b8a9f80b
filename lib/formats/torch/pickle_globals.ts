/**
 * What the names of Python's own library and of numpy mean in a pickle: the table that most files
 * need besides their own.
 *
 * @module
 */

import { NUMERIC_SIZE, type NumericType, swapBytes } from "../arrays/numeric.ts";
import {
  bytesOfPickle,
  latin1Bytes,
  PickleBytes,
  type PickleCall,
  PickleGlobal,
  type PickleGlobals,
  PickleMistake,
  PickleObject,
  type Stateful,
} from "./pickle.ts";
import { bytesSource } from "../source.ts";

/** An array of numpy that a pickle holds. */
export class PickleArray implements Stateful {
  /** Element type; null for one that is not numbers, such as objects or records. */
  type: NumericType | null = null;
  shape: readonly number[] = [];
  #fortranOrder = false;
  #bigEndian = false;
  #data: PickleBytes | string | null = null;

  /** `ndarray.__setstate__`: (version, shape, dtype, is_fortran, data). */
  setState(state: unknown): void {
    if (!Array.isArray(state)) throw new PickleMistake("the state of an array is no tuple");
    const [shape, dtype, fortranOrder, data] = state.length === 5 ? state.slice(1) : state;
    this.#fill(shape, dtype, fortranOrder === true || fortranOrder === 1, data);
  }

  /** An array of a shape over bytes, as numpy's `_frombuffer` makes it. */
  static fromBuffer(args: readonly unknown[]): PickleArray {
    const [data, dtype, shape, order] = args;
    const array = new PickleArray();
    array.#fill(shape, dtype, order === "F", data);
    return array;
  }

  #fill(shape: unknown, dtype: unknown, fortranOrder: boolean, data: unknown): void {
    if (!(dtype instanceof PickleDtype)) throw new PickleMistake("an array has no element type");
    if (!isShape(shape)) throw new PickleMistake("the shape of an array is no tuple of lengths");
    this.type = dtype.type;
    this.shape = shape;
    this.#fortranOrder = fortranOrder;
    this.#bigEndian = dtype.bigEndian;
    if (dtype.type === null) return; // a list of objects: not of interest, and never run
    if (!(data instanceof PickleBytes) && typeof data !== "string") {
      throw new PickleMistake("the data of an array are no bytes");
    }
    const expected = shape.reduce((product, n) => product * n, NUMERIC_SIZE[dtype.type]);
    if (data.length !== expected) {
      throw new PickleMistake(
        `an array of ${dtype.type} and shape (${shape.join(", ")}) needs ${expected} bytes, ` +
          `found ${data.length}`,
      );
    }
    this.#data = data;
  }

  /** Number of elements. */
  get length(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }

  /**
   * The elements, row-major and little-endian; a copy.
   *
   * @throws {PickleMistake} when they are not numbers
   */
  read(): Uint8Array<ArrayBuffer> {
    const bytes = this.type === null ? undefined : bytesOfPickle(this.#data);
    if (bytes === undefined || this.type === null) {
      throw new PickleMistake("an array does not hold numbers of a known type");
    }
    const size = NUMERIC_SIZE[this.type];
    if (this.#bigEndian) swapBytes(bytes, size);
    if (!this.#fortranOrder || this.shape.length < 2) return bytes;
    const strides = this.shape.map((_, axis) =>
      this.shape.slice(0, axis).reduce((product, n) => product * n, 1)
    );
    return gatherStrided(bytes, this.shape, strides, size);
  }
}

/** `numpy.dtype(code, align, copy)`, whose byte order comes with the state. */
class PickleDtype implements Stateful {
  readonly type: NumericType | null;
  bigEndian: boolean;

  constructor(code: string) {
    const match = /^([<>|=]?)([biuf])([1248])$/.exec(code);
    this.bigEndian = match?.[1] === ">";
    this.type = match === null ? null : NUMPY_TYPES[match[2] + match[3]] ?? null;
  }

  /** (version, byteorder, subdescr, names, fields, elsize, alignment, flags). */
  setState(state: unknown): void {
    if (!Array.isArray(state)) throw new PickleMistake("the state of a dtype is no tuple");
    this.bigEndian = state[1] === ">";
  }
}

const NUMPY_TYPES: Readonly<Record<string, NumericType>> = {
  b1: "bool",
  u1: "u8",
  i1: "i8",
  u2: "u16",
  i2: "i16",
  f2: "f16",
  u4: "u32",
  i4: "i32",
  f4: "f32",
  u8: "u64",
  i8: "i64",
  f8: "f64",
};

/**
 * Elements that lie `strides` (in elements) apart, gathered in row-major order; a new array.
 *
 * @param offset of the first element, in elements
 */
export function gatherStrided(
  bytes: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  elementSize: number,
  offset = 0,
): Uint8Array<ArrayBuffer> {
  const count = shape.reduce((product, n) => product * n, 1);
  const result = new Uint8Array(count * elementSize);
  const index = shape.map(() => 0);
  let from = offset;
  for (let to = 0; to < result.length; to += elementSize) {
    const start = from * elementSize;
    for (let i = 0; i < elementSize; i++) result[to + i] = bytes[start + i];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** Whether a value is a tuple of lengths, as shapes are. */
export function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 32 &&
    value.every((n) => Number.isSafeInteger(n) && n >= 0) &&
    Number.isSafeInteger(value.reduce((product, n) => product * n, 1));
}

/** A call that keeps its arguments and later its state, and does nothing. */
export function inert(type: string): PickleCall {
  return (args) => new PickleObject(type, args);
}

const CALLS: ReadonlyMap<string, PickleCall | null> = new Map<string, PickleCall | null>([
  ...["collections.OrderedDict", "builtins.dict"].map(
    (name): [string, PickleCall] => [name, ([pairs]) => dictionary(pairs)],
  ),
  ["collections.defaultdict", () => new Map()],
  ...["builtins.list", "builtins.tuple"].map(
    (name): [string, PickleCall] => [name, ([items]) => [...listOf(items)]],
  ),
  ...["builtins.set", "builtins.frozenset"].map(
    (name): [string, PickleCall] => [name, ([items]) => new Set(listOf(items))],
  ),
  ["builtins.bytearray", ([data]) => asBytes(data)],
  ["builtins.bytes", ([data]) => asBytes(data)],
  ["builtins.complex", inert("builtins.complex")],
  ["builtins.slice", inert("builtins.slice")],
  ["builtins.range", inert("builtins.range")],
  // Types that files mention as values: the dtype of an option, the base of a class.
  ...["object", "int", "float", "bool", "str"].map(
    (name): [string, null] => [`builtins.${name}`, null],
  ),
  // How Python 3 writes `bytes` in the protocols of Python 2.
  ["_codecs.encode", ([text, encoding]) => {
    if (typeof text !== "string" || encoding !== "latin1" && encoding !== "latin-1") {
      throw new PickleMistake("expected a text to be encoded as latin1");
    }
    return asBytes(text);
  }],
  // How protocols 0 and 1 write an object: (class, base, state of the base).
  ["copyreg._reconstructor", ([type, , state]) => {
    const object = make(type, []);
    if (object instanceof PickleObject) {
      if (state instanceof Map) {
        for (const [key, value] of state) object.entries.set(key, value);
      } else if (Array.isArray(state)) { for (const item of state) object.items.push(item); }
    }
    return object;
  }],
  ["copyreg.__newobj__", ([type, ...args]) => make(type, args)],
  ["copyreg.__newobj_ex__", ([type, args]) => make(type, listOf(args))],
  ["numpy.ndarray", null],
  ["numpy.dtype", ([code]) => {
    if (typeof code !== "string") throw new PickleMistake("expected the code of an element type");
    return new PickleDtype(code);
  }],
]);

/** Names of numpy whose module moved between its versions 1 and 2. */
const NUMPY_CORE: Readonly<Record<string, PickleCall>> = {
  "multiarray._reconstruct": () => new PickleArray(),
  "multiarray.scalar": ([dtype, data]) => {
    const array = PickleArray.fromBuffer([data, dtype, [], "C"]);
    if (array.type === null) return new PickleObject("numpy.scalar", []);
    return scalarOf(array.read(), array.type);
  },
  "numeric._frombuffer": (args) => PickleArray.fromBuffer(args),
};

/** Builtins, `collections`, `_codecs` and numpy. Nothing among them can do more than hold data. */
export const PYTHON_GLOBALS: PickleGlobals = (name) => {
  const core = /^numpy\.(?:core|_core)\.(.*)$/.exec(name);
  if (core) return Object.hasOwn(NUMPY_CORE, core[1]) ? NUMPY_CORE[core[1]] : undefined;
  return CALLS.get(name);
};

function make(type: unknown, args: readonly unknown[]): unknown {
  if (!(type instanceof PickleGlobal)) throw new PickleMistake("expected a class");
  return type.call === null ? new PickleObject(type.name, args) : type.call(args);
}

function listOf(value: unknown = []): readonly unknown[] {
  if (value instanceof Set) return [...value];
  if (!Array.isArray(value)) throw new PickleMistake("expected a list");
  return value;
}

function dictionary(pairs: unknown): Map<unknown, unknown> {
  if (pairs instanceof Map) return new Map(pairs);
  const map = new Map<unknown, unknown>();
  for (const pair of listOf(pairs)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new PickleMistake("expected pairs");
    map.set(pair[0], pair[1]);
  }
  return map;
}

function asBytes(data: unknown = ""): PickleBytes {
  if (data instanceof PickleBytes) return data;
  const bytes = typeof data === "string" ? latin1Bytes(data) : undefined;
  if (bytes === undefined) throw new PickleMistake("expected bytes or a latin1 text");
  return new PickleBytes(bytesSource(bytes, "bytes of a pickle"));
}

function scalarOf(bytes: Uint8Array, type: NumericType): number | bigint | boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case "bool":
      return view.getUint8(0) !== 0;
    case "u8":
      return view.getUint8(0);
    case "i8":
      return view.getInt8(0);
    case "u16":
      return view.getUint16(0, true);
    case "i16":
      return view.getInt16(0, true);
    case "u32":
      return view.getUint32(0, true);
    case "i32":
      return view.getInt32(0, true);
    case "f16":
      return view.getFloat16(0, true);
    case "f32":
      return view.getFloat32(0, true);
    case "f64":
      return view.getFloat64(0, true);
    default: {
      const value = type === "u64" ? view.getBigUint64(0, true) : view.getBigInt64(0, true);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
  }
}
