/**
 * Tensors of PyTorch files: a storage is a run of bytes in the file, a tensor a strided view of
 * one. Several tensors may share a storage, as tied weights do.
 *
 * @module
 */

import { NUMERIC_SIZE, type NumericType, toFloat32, toFloat64 } from "../arrays/numeric.ts";
import { type PickleCall, PickleGlobal, PickleMistake, PickleObject } from "./pickle.ts";
import { gatherStrided, isShape } from "./pickle_globals.ts";
import type { ByteSource } from "../source.ts";

/** The element type of each storage class of `torch`, and of each `torch.dtype`. */
const DTYPES: Readonly<Record<string, readonly [storage: string, type: NumericType]>> = {
  float64: ["DoubleStorage", "f64"],
  float32: ["FloatStorage", "f32"],
  float16: ["HalfStorage", "f16"],
  bfloat16: ["BFloat16Storage", "bf16"],
  int64: ["LongStorage", "i64"],
  int32: ["IntStorage", "i32"],
  int16: ["ShortStorage", "i16"],
  int8: ["CharStorage", "i8"],
  uint8: ["ByteStorage", "u8"],
  bool: ["BoolStorage", "bool"],
};
const TYPE_OF_STORAGE = new Map(
  Object.values(DTYPES).map(([storage, type]) => [storage, type] as const),
);
const TYPE_OF_DTYPE = new Map<string, NumericType>([
  ...Object.entries(DTYPES).map(([dtype, [, type]]) => [dtype, type] as const),
  // Later types have no storages of their own.
  ["float8_e4m3fn", "f8e4m3"],
  ["float8_e5m2", "f8e5m2"],
  ["uint16", "u16"],
  ["uint32", "u32"],
  ["uint64", "u64"],
]);
/** Bytes per element of the storages whose numbers are not known here. */
const OPAQUE_SIZES: Readonly<Record<string, number>> = {
  ComplexFloatStorage: 8,
  ComplexDoubleStorage: 16,
  QInt8Storage: 1,
  QUInt8Storage: 1,
  QInt32Storage: 4,
  QUInt4x2Storage: 1,
  QUInt2x4Storage: 1,
};

/** The class of storages of an element type, as `torch.FloatStorage`. */
export function storageClass(type: NumericType): string | undefined {
  return Object.values(DTYPES).find(([, own]) => own === type)?.[0];
}

/** A run of bytes that tensors are views of. Legacy files say where only after the tensors. */
export class TorchStorage {
  /** Exactly the bytes; null until the file has said where they are. */
  source: ByteSource | null = null;

  /**
   * @param key name of the storage in its file
   * @param type element type; null for a storage without one, whose tensors say theirs
   * @param opaque bytes per element of numbers that are not known here
   */
  constructor(
    readonly key: string,
    readonly type: NumericType | null,
    readonly elements: number,
    private readonly opaque?: number,
  ) {}

  /** Whether its numbers are not known here: no tensor of it can be read. */
  get isOpaque(): boolean {
    return this.opaque !== undefined;
  }

  /** Length in bytes; that of an untyped storage is its number of elements. */
  get byteLength(): number {
    return this.elements * (this.opaque ?? (this.type === null ? 1 : NUMERIC_SIZE[this.type]));
  }
}

/** A tensor of a file. */
export class TorchTensor {
  /** @throws {PickleMistake} when the view reaches beyond its storage */
  constructor(
    readonly storage: TorchStorage,
    readonly type: NumericType,
    readonly shape: readonly number[],
    /** Distance of neighbours along each axis, in elements. */
    readonly strides: readonly number[],
    /** First element, in elements. */
    readonly offset: number,
  ) {
    const size = NUMERIC_SIZE[type];
    if (this.length > 0 && (offset + this.#span) * size > storage.byteLength) {
      throw new PickleMistake(
        `a tensor of ${type}, shape (${shape.join(", ")}) and strides (${
          strides.join(", ")
        }) from ` +
          `element ${offset} does not fit its storage of ${storage.byteLength} bytes`,
      );
    }
    // A few bytes repeated by strides of 0 must not become a huge file.
    if (this.length * size > 2 ** 20 && this.length > 1024 * this.#span) {
      throw new PickleMistake(`a tensor repeats ${this.#span} elements to ${this.length}`);
    }
  }

  /** Number of elements. */
  get length(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }

  /** Bytes of all elements, side by side. */
  get byteLength(): number {
    return this.length * NUMERIC_SIZE[this.type];
  }

  /** Whether the elements lie in the file as they will be read: side by side and row-major. */
  get contiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      if (this.shape[axis] !== 1 && this.strides[axis] !== expected) return false;
      expected *= this.shape[axis];
    }
    return true;
  }

  /** Elements of the storage from the first to the last one of the view. */
  get #span(): number {
    if (this.length === 0) return 0;
    return 1 + this.shape.reduce((sum, n, axis) => sum + (n - 1) * this.strides[axis], 0);
  }

  /** The elements, row-major and little-endian, read from the file now. */
  async read(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.length === 0) return new Uint8Array(0);
    const { source } = this.storage;
    if (source === null) {
      throw new PickleMistake(`the data of storage "${this.storage.key}" are missing`);
    }
    const size = NUMERIC_SIZE[this.type];
    const bytes = await source.read(this.offset * size, this.#span * size);
    return this.contiguous ? bytes : gatherStrided(bytes, this.shape, this.strides, size);
  }

  /** The elements as float32, read from the file now. */
  async toFloat32(): Promise<Float32Array<ArrayBuffer>> {
    return toFloat32(await this.read(), this.type);
  }

  /** The elements as float64, read from the file now. */
  async toFloat64(): Promise<Float64Array<ArrayBuffer>> {
    return toFloat64(await this.read(), this.type);
  }
}

/** The element type of `torch.float32` and the like; null for a value that is none. */
export function dtypeOf(value: unknown): NumericType | null {
  if (!(value instanceof PickleGlobal) || !value.name.startsWith("torch.")) return null;
  return TYPE_OF_DTYPE.get(value.name.slice("torch.".length)) ?? null;
}

/** The element type of a storage class; null for an untyped one, undefined for anything else. */
export function storageType(value: unknown): NumericType | null | undefined {
  if (!(value instanceof PickleGlobal)) return undefined;
  if (value.name === "torch.storage.UntypedStorage") return null;
  return TYPE_OF_STORAGE.get(value.name.replace(/^torch\.(?:cuda\.)?/, ""));
}

/**
 * Bytes per element of a class of storages whose numbers are not known here.
 *
 * @throws {PickleMistake} when not even that is known
 */
export function opaqueSize({ name }: PickleGlobal): number {
  const size = OPAQUE_SIZES[name.replace(/^torch\.(?:cuda\.)?/, "")];
  if (size === undefined) throw new PickleMistake(`${name} is no storage of a known type`);
  return size;
}

/** `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, …)`. */
const rebuildTensor: PickleCall = ([storage, offset, shape, strides]) => {
  if (!(storage instanceof TorchStorage)) throw new PickleMistake("expected a storage");
  return tensor(storage, storage.type, offset, shape, strides);
};

/** As v2, with the element type as the last argument of interest: its storages have none. */
const rebuildTensorV3: PickleCall = ([storage, offset, shape, strides, , , dtype]) => {
  if (!(storage instanceof TorchStorage)) throw new PickleMistake("expected a storage");
  return tensor(storage, dtypeOf(dtype), offset, shape, strides);
};

function tensor(
  storage: TorchStorage,
  type: NumericType | null,
  offset: unknown,
  shape: unknown,
  strides: unknown,
): TorchTensor | PickleObject {
  if (type === null) return new PickleObject("a tensor of an unknown element type", []);
  if (!isShape(shape) || !isLengths(strides) || strides.length !== shape.length) {
    throw new PickleMistake("a tensor has no proper shape and strides");
  }
  if (!isLength(offset)) throw new PickleMistake("a tensor has no proper offset");
  return new TorchTensor(storage, type, shape, strides, offset);
}

/** A parameter, or a tensor of a subclass, is its data. */
const unwrap: PickleCall = ([data]) => {
  // What is no tensor here may be one whose numbers are not known.
  if (!(data instanceof TorchTensor || data instanceof PickleObject)) {
    throw new PickleMistake("expected a tensor");
  }
  return data;
};

/** `torch._tensor._rebuild_from_type_v2(function, type, args, state)`. */
const rebuildFromType: PickleCall = ([rebuild, , args]) => {
  if (!(rebuild instanceof PickleGlobal) || rebuild.call === null || !Array.isArray(args)) {
    throw new PickleMistake("expected how to make the tensor");
  }
  return rebuild.call(args);
};

/** Names by which PyTorch's pickles make tensors. */
export const TENSOR_CALLS: ReadonlyMap<string, PickleCall | null> = new Map<
  string,
  PickleCall | null
>([
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildTensorV3],
  ["torch._utils._rebuild_parameter", unwrap],
  ["torch._utils._rebuild_parameter_with_state", unwrap],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  ["torch.nn.parameter.Parameter", unwrap],
  ["torch.nn.parameter.Buffer", unwrap],
  ["torch.Tensor", null],
  ["torch.Size", ([sizes]) => sizes ?? []],
  ["torch.device", (args) => new PickleObject("torch.device", args)],
  ["torch.serialization._get_layout", (args) => new PickleObject("torch.layout", args)],
  ["torch.storage.UntypedStorage", null],
  ...[...TYPE_OF_DTYPE.keys()].map((dtype): [string, null] => [`torch.${dtype}`, null]),
  ...Object.values(DTYPES).flatMap(([storage]): [string, null][] => [
    [`torch.${storage}`, null],
    [`torch.cuda.${storage}`, null],
  ]),
]);

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isLengths(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isLength);
}
