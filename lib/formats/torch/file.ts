/**
 * Files written by PyTorch: `torch.save` as a zip archive (since 1.6) and as a stream of pickles
 * (before), and plain pickles with tensors in them, such as the `{'ema': module}` of the EDM
 * family. The tensors stay in the file until they are read, one by one.
 *
 * Formats: `torch/serialization.py`, `torch/storage.py` and `torch/_utils.py` of PyTorch.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import {
  combineGlobals,
  isHostile,
  PickleBytes,
  type PickleCall,
  PickleGlobal,
  type PickleGlobals,
  PickleMistake,
  PickleObject,
  readPickle,
} from "./pickle.ts";
import { inert, PYTHON_GLOBALS } from "./pickle_globals.ts";
import { type ByteSource, bytesSource, openFileSource, sliceSource } from "../source.ts";
import { opaqueSize, storageType, TENSOR_CALLS, TorchStorage } from "./tensor.ts";
import { isZip, type ZipArchive, zipFrom } from "../archive/zip.ts";

/** An open file. Its tensors can be read until it is closed. */
export interface TorchFile extends Disposable {
  readonly name: string;
  /** How it was written: by `torch.save` since 1.6 or before, or by `pickle.dump`. */
  readonly format: "zip" | "legacy" | "pickle";
  /** What was saved; see pickle.ts for what Python's objects become. */
  readonly value: unknown;
  /**
   * Classes and functions that are not known here, in order of appearance: their objects are kept as
   * {@link PickleObject}s, and what they would have done was not.
   */
  readonly unknown: readonly string[];
  close(): void;
}

/** First object of a legacy stream. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** A pickle without its tensors is small; a whole module carries its source code. */
const MAX_PICKLE_BYTES = 2 ** 28;
/** A tensor in a pickle is a stream of its own, in which nothing is nested any more. */
const MAX_NESTING = 3;

/** Opens a file of any of the formats. @throws {FormatError} when it is none of them, or damaged */
export async function openTorchFile(path: string): Promise<TorchFile> {
  return await torchFileFrom(await openFileSource(path));
}

/** As {@link openTorchFile}, from any source; takes over the closing of it. */
export async function torchFileFrom(source: ByteSource): Promise<TorchFile> {
  try {
    const start = await source.read(0, Math.min(4, source.size));
    const unknown = new Set<string>();
    const { format, value } = isZip(start)
      ? { format: "zip" as const, value: await readZip(source, unknown) }
      : readStream(source, unknown, 0);
    const close = () => source.close();
    return {
      name: source.name,
      format,
      value,
      unknown: [...unknown],
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** The object of an archive; storages are members of it. */
async function readZip(source: ByteSource, unknown: Set<string>): Promise<unknown> {
  const archive = await zipFrom(sliceSource(source, source.name, 0, source.size), {
    zeroIsUnknown: true, // torch.serialization.set_crc32_options(False)
  });
  const main = [...archive.members.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (main === undefined) {
    throw new FormatError(
      `${source.name} is a zip archive, but not of PyTorch: it has no member data.pkl.`,
    );
  }
  const folder = main.slice(0, -"data.pkl".length);
  await checkByteOrder(archive, folder);
  const pickle = bytesSource(await archive.read(main, MAX_PICKLE_BYTES), source.name);
  const storages = new Map<string, TorchStorage>();
  const { value } = readPickle(pickle, {
    globals: torchGlobals(source.name, unknown, 0),
    persistent: (id) => storageOf(id, storages),
  });
  for (const storage of storages.values()) {
    if (storage.isOpaque) continue;
    const member = await archive.open(`${folder}data/${storage.key}`);
    if (member.size !== storage.byteLength) {
      throw new FormatError(
        `${source.name} is corrupt: storage "${storage.key}" should have ` +
          `${storage.byteLength} bytes, found ${member.size}.`,
      );
    }
    storage.source = member;
  }
  return value;
}

async function checkByteOrder(archive: ZipArchive, folder: string): Promise<void> {
  const member = `${folder}byteorder`;
  if (!archive.members.has(member)) return;
  const order = new TextDecoder().decode(await archive.read(member, 64));
  if (order !== "little") {
    throw new FormatError(`${archive.name} has the byte order ${order}; expected little.`);
  }
}

/** A pickle, or the stream of pickles of a legacy file. */
function readStream(
  source: ByteSource,
  unknown: Set<string>,
  nesting: number,
): { format: "legacy" | "pickle"; value: unknown } {
  const globals = torchGlobals(source.name, unknown, nesting);
  const first = readPickle(source, { globals, persistent: unexpectedStorage });
  if (first.value !== LEGACY_MAGIC) return { format: "pickle", value: first.value };

  const protocol = readPickle(source, { globals }, first.end);
  if (protocol.value !== LEGACY_PROTOCOL) {
    throw new FormatError(
      `${source.name} has version ${protocol.value} of PyTorch's old format; known is ` +
        `${LEGACY_PROTOCOL}.`,
    );
  }
  const system = readPickle(source, { globals }, protocol.end);
  if (system.value instanceof Map && system.value.get("little_endian") === false) {
    throw new FormatError(`${source.name} was written on a big-endian machine.`);
  }
  const storages = new Map<string, TorchStorage>();
  const main = readPickle(
    source,
    { globals, persistent: (id) => storageOf(id, storages) },
    system.end,
  );
  const keys = readPickle(source, { globals }, main.end);
  locateStorages(source, keys.end, keys.value, storages);
  return { format: "legacy", value: main.value };
}

/** Behind the pickles: for each storage its number of elements as int64, and its bytes. */
function locateStorages(
  source: ByteSource,
  start: number,
  keys: unknown,
  storages: ReadonlyMap<string, TorchStorage>,
): void {
  if (!Array.isArray(keys)) {
    throw new FormatError(`${source.name} is corrupt: it has no list of its storages.`);
  }
  let at = start;
  for (const key of keys) {
    const storage = storages.get(String(key));
    if (storage === undefined) {
      throw new FormatError(`${source.name} is corrupt: nothing uses its storage "${key}".`);
    }
    const count = new DataView(source.readSync(at, 8).buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.elements)) {
      throw new FormatError(
        `${source.name} is corrupt: storage "${key}" should have ${storage.elements} elements, ` +
          `found ${count}.`,
      );
    }
    storage.source = sliceSource(source, source.name, at + 8, storage.byteLength);
    at += 8 + storage.byteLength;
  }
  for (const storage of storages.values()) {
    if (storage.source === null) {
      throw new FormatError(
        `${source.name} is corrupt: the data of its storage "${storage.key}" are missing.`,
      );
    }
  }
}

/** The storage that ("storage", class, key, location, elements[, view]) stands for. */
function storageOf(id: unknown, storages: Map<string, TorchStorage>): TorchStorage | unknown {
  if (!Array.isArray(id)) throw new PickleMistake("an object outside of the pickle has no name");
  if (id[0] === "module") return id[1]; // (container, source file, source): the class itself
  const [kind, type, key, , elements, view] = id;
  const own = storageType(type);
  if (
    kind !== "storage" || !(type instanceof PickleGlobal) || typeof key !== "string" ||
    !Number.isSafeInteger(elements) || elements < 0
  ) {
    throw new PickleMistake("an object outside of the pickle is no storage");
  }
  if (view !== undefined && view !== null) {
    throw new PickleMistake("a storage is a view of another, as only PyTorch 0.x wrote");
  }
  const known = storages.get(key);
  if (known) {
    if (known.type !== (own ?? null) || known.elements !== elements) {
      throw new PickleMistake(`storage "${key}" is described in two ways`);
    }
    return known;
  }
  // Complex and quantized numbers are not known here, and their tensors are passed over.
  const storage = own === undefined
    ? new TorchStorage(key, null, elements, opaqueSize(type))
    : new TorchStorage(key, own, elements);
  if (!Number.isSafeInteger(storage.byteLength)) {
    throw new PickleMistake(`storage "${key}" is larger than any file`);
  }
  storages.set(key, storage);
  return storage;
}

function unexpectedStorage(): never {
  throw new PickleMistake("it refers to storages, but is not a file of torch.save");
}

/**
 * The names that files of PyTorch need. Any other one is a class or function of which only the
 * contents matter, unless it is one of those that attacks are made of.
 *
 * @param file its name, for errors
 * @param unknown is given the names that are not known
 * @param nesting pickles around this one
 */
function torchGlobals(file: string, unknown: Set<string>, nesting: number): PickleGlobals {
  // How pickle.dump writes a storage: bytes that are a legacy file of their own.
  const loadFromBytes: PickleCall = ([bytes]) => {
    if (!(bytes instanceof PickleBytes)) throw new PickleMistake("expected bytes");
    if (nesting >= MAX_NESTING) throw new PickleMistake("too many files within files");
    // Whatever is wrong with them is wrong with the file.
    const source = sliceSource(bytes.source, file, 0, bytes.length);
    return readStream(source, unknown, nesting + 1).value;
  };
  return combineGlobals(
    (name) => name === "torch.storage._load_from_bytes" ? loadFromBytes : undefined,
    (name) => TENSOR_CALLS.get(name),
    (name) => MODULE_CALLS.get(name),
    (name) => INERT_NAMES.test(name) ? inert(name) : undefined,
    PYTHON_GLOBALS,
    (name) => {
      if (isHostile(name)) return undefined;
      unknown.add(name);
      return inert(name);
    },
  );
}

/**
 * Classes and functions of which whole modules and the leavings of trainers consist, and of which
 * nobody needs to be told. Their instances become {@link PickleObject}s as those of all others do;
 * nothing is looked up, imported or called.
 */
const INERT_NAMES = new RegExp(
  "^(?:" + [
    String.raw`torch\.nn\.(?:modules|functional|parallel|init|utils|quantized)\..*`,
    String.raw`torch\.nn\.modules`,
    String.raw`torch\._C\._nn\.\w+`,
    String.raw`torch\.(?:relu|tanh|sigmoid|sin|cos|exp|sqrt)`,
    String.raw`torch\.optim\..*`,
    String.raw`torch\.jit\.\w[\w.]*`,
    String.raw`torch\._jit_internal\..*`,
    String.raw`torch\.memory_format`,
    String.raw`torch\.(?:contiguous_format|channels_last|strided)`,
    String.raw`torchvision\..*`,
    String.raw`timm\..*`,
    String.raw`__torch__\..*`, // classes of TorchScript
    String.raw`(?:training|networks?|_imported_module_\w+)\.\w[\w.]*`, // of the EDM family
    String.raw`omegaconf\..*`,
    String.raw`argparse\.Namespace`,
    String.raw`functools\.partial`,
    String.raw`pathlib\.(?:Pure)?(?:Posix|Windows)?Path`,
    String.raw`typing\.\w+`,
    String.raw`datetime\.\w+`,
    String.raw`types\.SimpleNamespace`,
  ].join("|") + ")$",
);

/** Names of the EDM family's persistence, and dictionaries of its library. */
const MODULE_CALLS: ReadonlyMap<string, PickleCall> = new Map<string, PickleCall>([
  ["torch_utils.persistence._reconstruct_persistent_obj", ([meta]) => {
    const name = meta instanceof Map ? meta.get("class_name") : undefined;
    if (!(meta instanceof Map) || typeof name !== "string") {
      throw new PickleMistake("expected the description of a persistent object");
    }
    const object = new PickleObject(name, []);
    object.setState(meta.get("state") ?? null);
    return object;
  }],
  ["dnnlib.util.EasyDict", ([items]) => items instanceof Map ? new Map(items) : new Map()],
]);
