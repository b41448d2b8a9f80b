/**
 * Writing state dicts as `torch.save` does since PyTorch 1.6: a zip archive with a pickle that
 * describes the tensors and one member for the bytes of each. `torch.load(…, weights_only=True)`
 * opens it.
 *
 * @module
 */

import { bytesOf, joinArrays } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { writeFileAtomic } from "../atomic.ts";
import { NUMERIC_SIZE, type NumericType } from "../arrays/numeric.ts";
import { storageClass } from "./tensor.ts";
import { ZipWriter } from "../archive/zip_writer.ts";

/** A tensor to write: its numbers, row-major, or a function that brings them when it is time. */
export interface TorchTensorToWrite {
  readonly type: NumericType;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/** Folder of all members; PyTorch takes any. */
const FOLDER = "archive";
/** As PyTorch aligns storages, so that they can be mapped into memory. */
const ALIGNMENT = 64;

/**
 * Writes an `OrderedDict` of tensors, atomically. Tensors given as functions are fetched one at a
 * time, so that a model larger than the free memory can be written.
 *
 * @throws {FormatError} when the file cannot be written, a tensor's numbers do not fit its shape,
 * or PyTorch has no storage of its type
 */
export async function writeTorch(
  path: string,
  tensors: Iterable<readonly [string, TorchTensorToWrite]>,
): Promise<void> {
  const list = [...tensors];
  const pickle = stateDictPickle(list);
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    const add = (
      name: string,
      size: number,
      chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    ) => zip.add(`${FOLDER}/${name}`, chunks, { size, alignment: ALIGNMENT });
    const text = (name: string, content: string) =>
      add(name, content.length, [new TextEncoder().encode(content)]);
    await add("data.pkl", pickle.length, [pickle]);
    await text("byteorder", "little");
    for (const [index, [name, tensor]] of list.entries()) {
      await add(`data/${index}`, byteLength(tensor), numbersOf(name, tensor));
    }
    await text("version", "3\n");
    await zip.finish();
  });
}

async function* numbersOf(
  name: string,
  tensor: TorchTensorToWrite,
): AsyncGenerator<Uint8Array> {
  const data = typeof tensor.data === "function" ? await tensor.data() : tensor.data;
  if (data.byteLength !== byteLength(tensor)) {
    throw new FormatError(
      `Tensor "${name}" of type ${tensor.type} and shape [${tensor.shape.join(", ")}] needs ` +
        `${byteLength(tensor)} bytes, but was given ${data.byteLength}.`,
    );
  }
  yield bytesOf(data);
}

function byteLength({ type, shape }: TorchTensorToWrite): number {
  return shape.reduce((product, n) => product * n, NUMERIC_SIZE[type]);
}

/**
 * In protocol 2, for each tensor `_rebuild_tensor_v2(storage, 0, shape, strides, False,
 * OrderedDict())`, where the storage is the persistent object ("storage", class, key, "cpu", n).
 */
function stateDictPickle(
  tensors: readonly (readonly [string, TorchTensorToWrite])[],
): Uint8Array {
  const out = new PickleWriter();
  out.protocol(2).global("collections", "OrderedDict").emptyTuple().reduce().mark();
  for (const [index, [name, { type, shape }]] of tensors.entries()) {
    const storage = storageClass(type);
    if (storage === undefined) {
      throw new FormatError(
        `Tensor "${name}" is of type ${type}, for which PyTorch has no storage.`,
      );
    }
    const count = shape.reduce((product, n) => product * n, 1);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    out.text(name).global("torch._utils", "_rebuild_tensor_v2").mark();
    out.mark().text("storage").global("torch", storage).text(String(index)).text("cpu")
      .integer(count).tuple().persistent();
    out.integer(0).integers(shape).integers(strides).false();
    out.global("collections", "OrderedDict").emptyTuple().reduce();
    out.tuple().reduce();
  }
  return out.setItems().stop().bytes;
}

/** The few instructions of the pickle machine that state dicts need. */
class PickleWriter {
  readonly #pieces: Uint8Array[] = [];

  protocol(version: number): this {
    return this.#put(0x80, version);
  }

  global(module: string, name: string): this {
    return this.#put(0x63).#raw(new TextEncoder().encode(`${module}\n${name}\n`));
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.#put(0x58).#uint32(bytes.length).#raw(bytes);
  }

  /** A number from 0 up. */
  integer(value: number): this {
    if (value < 256) return this.#put(0x4B, value);
    if (value < 2 ** 31) return this.#put(0x4A).#uint32(value);
    // LONG1: two's complement, so that a ninth byte keeps the sign.
    const bytes = new Uint8Array(9);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    return this.#put(0x8A, bytes.length).#raw(bytes);
  }

  integers(values: readonly number[]): this {
    if (values.length === 0) return this.emptyTuple();
    this.mark();
    for (const value of values) this.integer(value);
    return this.tuple();
  }

  false(): this {
    return this.#put(0x89);
  }

  mark(): this {
    return this.#put(0x28);
  }

  tuple(): this {
    return this.#put(0x74);
  }

  emptyTuple(): this {
    return this.#put(0x29);
  }

  reduce(): this {
    return this.#put(0x52);
  }

  persistent(): this {
    return this.#put(0x51);
  }

  setItems(): this {
    return this.#put(0x75);
  }

  stop(): this {
    return this.#put(0x2E);
  }

  get bytes(): Uint8Array {
    return joinArrays(Uint8Array, this.#pieces);
  }

  #put(...bytes: number[]): this {
    return this.#raw(Uint8Array.from(bytes));
  }

  #uint32(value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.#raw(bytes);
  }

  #raw(bytes: Uint8Array): this {
    this.#pieces.push(bytes);
    return this;
  }
}
