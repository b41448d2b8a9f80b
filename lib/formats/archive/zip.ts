/**
 * Reading zip archives at random: the directory at the end says where each member lies, and only
 * the members asked for are read. The format is APPNOTE.TXT of PKWARE, with ZIP64 (archives and
 * members over 4 GiB, and what numpy writes even for small arrays).
 *
 * Archives are not trusted: sizes are checked before memory is taken for them, members may not
 * overlap, and names may not lead out of a folder.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { checksum } from "./crc32.ts";
import { refuseOther, verifiedSource } from "./verified_source.ts";
import { inflateChunks, inflateExactly, inflateExactlySync } from "./inflate.ts";
import {
  type ByteSource,
  bytesSource,
  openFileSource,
  sliceSource,
  temporarySource,
} from "../source.ts";

/** One file in an archive. Sizes in bytes. */
export interface ZipMember {
  /** Its path in the archive. */
  readonly name: string;
  /** How its bytes are packed. */
  readonly method: "stored" | "deflate";
  /** Bytes, unpacked. */
  readonly size: number;
  /** Bytes in the archive. */
  readonly compressedSize: number;
  /** The checksum of its unpacked bytes. */
  readonly crc32: number;
  /** Whether it stands for a symbolic link, and holds where that leads. */
  readonly isLink: boolean;
}

/** Where the bytes of a member lie in the file of the archive. */
export interface ZipPlace {
  /** From the beginning of the file. */
  readonly offset: number;
  /** Bytes in the file. */
  readonly length: number;
  /** Bytes that they become, where they are compressed; null where they are stored. */
  readonly inflated: number | null;
  /** Of the content. */
  readonly crc32: number;
}

/** An open archive. */
export interface ZipArchive extends Disposable {
  /** Path of the archive. */
  readonly name: string;
  /** By name, in the order of the directory; folders are left out. */
  readonly members: ReadonlyMap<string, ZipMember>;
  /**
   * The content of a member, checked against its checksum.
   *
   * @param limit most bytes that are accepted
   * @throws {FormatError} when there is no such member, it is damaged, or it is larger than `limit`
   */
  read(member: string, limit?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** As {@link read}, at once: for callers that pick single members. */
  readSync(member: string, limit?: number): Uint8Array<ArrayBuffer>;
  /**
   * A member as a source of its own. A stored one is read from the archive where and when it is
   * needed, and its checksum is checked on the way (see verified_source.ts); a compressed one is decompressed into memory, or if it is large
   * into a temporary file, which is gone when the archive is closed.
   *
   * @throws {FormatError} as {@link read}
   */
  open(member: string, limit?: number): Promise<ByteSource>;
  /**
   * Where a member lies, for {@link readPlace} in another thread.
   *
   * @throws {FormatError} as {@link read}
   */
  place(member: string, limit?: number): ZipPlace;
  /** Closes the file. */
  close(): void;
}

/** What the directory says of a member beyond what its users see. */
interface DirectoryEntry extends ZipMember {
  readonly headerOffset: number;
}

const LOCAL_HEADER = { signature: 0x04034b50, length: 30 };
const DIRECTORY_ENTRY = { signature: 0x02014b50, length: 46 };
const END = { signature: 0x06054b50, length: 22 };
const END64 = { signature: 0x06064b50, length: 56 };
const LOCATOR64 = { signature: 0x07064b50, length: 20 };
const ZIP64_EXTRA = 0x0001;
const UNIX = 3;
/** The upper bits of the mode of a link. */
const LINK_MODE = 0o12;
const IN_ZIP64_16 = 0xFFFF;
const IN_ZIP64_32 = 0xFFFFFFFF;

const MAX_DIRECTORY_BYTES = 2 ** 28;
/** For members that are read as a whole; a source of its own may be of any size. */
const DEFAULT_MEMBER_LIMIT = 2 ** 33;
/** Compressed members that are larger are not decompressed into memory. */
const MAX_MEMORY_BYTES = 2 ** 28;

/** Whether the bytes start like a zip archive that has at least one member. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4B && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * Opens an archive and reads its directory.
 *
 * @throws {FormatError} when the file cannot be opened or is not a valid archive
 */
export async function openZip(path: string): Promise<ZipArchive> {
  return await zipFrom(await openFileSource(path));
}

/** How an archive is read. */
export interface ZipOptions {
  /** Compressed members that are larger are opened as temporary files. Default 256 MiB. */
  readonly maxMemory?: number;
  /** A checksum of 0 says that none was computed, as in files of PyTorch that was told so. */
  readonly zeroIsUnknown?: boolean;
}

/** As {@link openZip}, from any source; takes over the closing of it. */
export async function zipFrom(source: ByteSource, options: ZipOptions = {}): Promise<ZipArchive> {
  try {
    return new Archive(source, await readDirectory(source), options);
  } catch (error) {
    source.close();
    throw error;
  }
}

class Archive implements ZipArchive {
  readonly name: string;

  /** Temporary files with decompressed members. */
  readonly #spooled: ByteSource[] = [];

  constructor(
    private readonly source: ByteSource,
    readonly members: ReadonlyMap<string, DirectoryEntry>,
    private readonly options: ZipOptions,
  ) {
    this.name = source.name;
  }

  async read(member: string, limit = DEFAULT_MEMBER_LIMIT): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#find(member, limit);
    const data = this.#data(entry);
    const bytes = entry.method === "stored"
      ? await data.read(0, data.size)
      : await inflateExactly(piecesOf(data), data.size, entry.size, data.name);
    this.#check(entry, checksum(bytes), data.name);
    return bytes;
  }

  readSync(member: string, limit = DEFAULT_MEMBER_LIMIT): Uint8Array<ArrayBuffer> {
    const entry = this.#find(member, limit);
    const data = this.#data(entry);
    const stored = data.readSync(0, data.size);
    const bytes = entry.method === "stored"
      ? stored
      : inflateExactlySync(stored, entry.size, data.name);
    this.#check(entry, checksum(bytes), data.name);
    return bytes;
  }

  async open(member: string, limit = Infinity): Promise<ByteSource> {
    const entry = this.#find(member, limit);
    if (entry.method === "stored") {
      const data = this.#data(entry);
      return this.#hasChecksum(entry) ? verifiedSource(data, entry.crc32) : data;
    }
    const { maxMemory = MAX_MEMORY_BYTES } = this.options;
    if (entry.size > maxMemory) return await this.#spool(entry);
    return bytesSource(await this.read(member, limit), `${this.name}:${member}`);
  }

  place(member: string, limit = DEFAULT_MEMBER_LIMIT): ZipPlace {
    const { method, size, compressedSize, crc32, ...entry } = this.#find(member, limit);
    return {
      offset: this.#start(entry),
      length: compressedSize,
      inflated: method === "stored" ? null : size,
      crc32,
    };
  }

  close(): void {
    for (const source of this.#spooled.splice(0)) source.close();
    this.source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #spool(entry: DirectoryEntry): Promise<ByteSource> {
    const data = this.#data(entry);
    const check = (crc: number) => this.#check(entry, crc, data.name);
    const source = await temporarySource(
      data.name,
      (async function* () {
        let crc = 0;
        for await (
          const chunk of inflateChunks(piecesOf(data), data.size, entry.size, data.name)
        ) {
          crc = checksum(chunk, crc);
          yield chunk;
        }
        check(crc);
      })(),
    );
    this.#spooled.push(source);
    return source;
  }

  #hasChecksum({ crc32 }: DirectoryEntry): boolean {
    return crc32 !== 0 || !this.options.zeroIsUnknown;
  }

  #check(entry: DirectoryEntry, found: number, name: string): void {
    if (this.#hasChecksum(entry)) refuseOther(found, entry.crc32, name);
  }

  #find(member: string, limit: number): DirectoryEntry {
    const entry = this.members.get(member);
    if (entry === undefined) throw new FormatError(`${this.name} has no member named "${member}".`);
    if (entry.size > limit) {
      throw new FormatError(
        `${this.name}:${member} has ${entry.size} bytes, more than the ${limit} that are ` +
          `accepted here.`,
      );
    }
    return entry;
  }

  /** The bytes as they lie in the archive. */
  #data(entry: DirectoryEntry): ByteSource {
    const name = `${this.name}:${entry.name}`;
    return sliceSource(this.source, name, this.#start(entry), entry.compressedSize);
  }

  /** Where a member's bytes begin. The local header is only there to be skipped. */
  #start({ name, headerOffset }: Pick<DirectoryEntry, "name" | "headerOffset">): number {
    const header = viewOf(this.source.readSync(headerOffset, LOCAL_HEADER.length));
    if (header.getUint32(0, true) !== LOCAL_HEADER.signature) {
      throw new FormatError(
        `${this.name}:${name} is corrupt: expected its header at byte ${headerOffset}.`,
      );
    }
    return headerOffset + LOCAL_HEADER.length + header.getUint16(26, true) +
      header.getUint16(28, true);
  }
}

/**
 * The content of a member, checked against its checksum.
 *
 * @param source the archive, opened on its own
 * @throws {FormatError} when it is damaged
 */
export function readPlace(
  source: ByteSource,
  { offset, length, inflated, crc32 }: ZipPlace,
  name: string,
): Uint8Array<ArrayBuffer> {
  const bytes = source.readSync(offset, length);
  const result = inflated === null ? bytes : inflateExactlySync(bytes, inflated, name);
  refuseOther(checksum(result), crc32, name);
  return result;
}

async function* piecesOf(source: ByteSource, size = 1 << 16): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += size) {
    yield await source.read(at, Math.min(size, source.size - at));
  }
}

async function readDirectory(source: ByteSource): Promise<Map<string, DirectoryEntry>> {
  const { name } = source;
  const end = await findEnd(source);
  if (end.size > Math.min(end.at, MAX_DIRECTORY_BYTES) || end.offset + end.size > end.at) {
    throw new FormatError(
      `${name} is truncated or corrupt: its directory would have ${end.size} bytes at ` +
        `${end.offset}, of ${source.size} in the file.`,
    );
  }
  if (end.count * DIRECTORY_ENTRY.length > end.size) {
    throw new FormatError(
      `${name} is corrupt: ${end.count} members do not fit a directory of ${end.size} bytes.`,
    );
  }
  const before = await bytesBefore(source, end);
  const directoryAt = before + end.offset;
  const directory = await source.read(directoryAt, end.size);
  const entries = new Map<string, DirectoryEntry>();
  let position = 0;
  for (let i = 0; i < end.count; i++) {
    const parsed = parseEntry(directory.subarray(position), `${name}: member ${i}`);
    position += parsed.length;
    const entry = { ...parsed.entry, headerOffset: before + parsed.entry.headerOffset };
    if (entries.has(entry.name)) {
      throw new FormatError(`${name} is corrupt: it has two members named "${entry.name}".`);
    }
    entries.set(entry.name, entry);
  }
  checkOverlap([...entries.values()], directoryAt, name);
  for (const key of entries.keys()) {
    if (key.endsWith("/")) entries.delete(key);
  }
  return entries;
}

/**
 * Bytes before the archive proper that positions do not count: the program of an archive that
 * unpacks itself. The directory ends where its end record begins, which tells where it really is.
 */
async function bytesBefore(source: ByteSource, { at, offset, size }: EndRecord): Promise<number> {
  const before = at - size - offset;
  if (before === 0 || size < 4) return 0;
  const isDirectory = async (position: number) =>
    viewOf(await source.read(position, 4)).getUint32(0, true) === DIRECTORY_ENTRY.signature;
  return !await isDirectory(offset) && await isDirectory(offset + before) ? before : 0;
}

/** Where the directory is, as the end record says, and where that record begins. */
interface EndRecord {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  readonly at: number;
}

/** Finds the end record behind a comment of unknown length, and its ZIP64 form before it. */
async function findEnd(source: ByteSource): Promise<EndRecord> {
  const { name, size } = source;
  // The comment must reach exactly to the end, else the signature was part of something else.
  const found = await findEndRecord(source, size, size) ??
    // Or all that follows is zeros, which copies by blocks leave; some belong to the record itself.
    await findEndRecord(source, await lengthWithoutZeros(source), size);
  if (found === null) {
    throw new FormatError(
      `${name} is not a zip archive, or is truncated: its end record is missing.`,
    );
  }
  const { at, record } = found;
  const count = record.getUint16(10, true);
  const directorySize = record.getUint32(12, true);
  const offset = record.getUint32(16, true);
  const disk = record.getUint16(4, true);
  if (disk !== 0 && disk !== IN_ZIP64_16) {
    throw new FormatError(`${name} is one part of a split archive; join the parts first.`);
  }
  if (count !== IN_ZIP64_16 && directorySize !== IN_ZIP64_32 && offset !== IN_ZIP64_32) {
    return { offset, size: directorySize, count, at };
  }
  const locatorAt = at - LOCATOR64.length;
  if (locatorAt >= 0) {
    const locator = viewOf(await source.read(locatorAt, LOCATOR64.length));
    if (locator.getUint32(0, true) === LOCATOR64.signature) {
      const what = `${name}: the ZIP64 end record`;
      const isRecord = async (at: number) =>
        at >= 0 && viewOf(await source.read(at, END64.length)).getUint32(0, true) ===
          END64.signature;
      const told = uint64(locator, 8, what);
      // Behind bytes that positions do not count it is where it always is: before its locator.
      const at64 = await isRecord(told) ? told : locatorAt - END64.length;
      if (!await isRecord(at64)) {
        throw new FormatError(`${name} is corrupt: its ZIP64 end record is missing.`);
      }
      const end64 = viewOf(await source.read(at64, END64.length));
      return {
        count: uint64(end64, 32, what),
        size: uint64(end64, 40, what),
        offset: uint64(end64, 48, what),
        at: at64,
      };
    }
  }
  return { offset, size: directorySize, count, at }; // 65,535 members, exactly
}

/** The last end record with a comment that ends from `from` to `to`. */
async function findEndRecord(
  source: ByteSource,
  from: number,
  to: number,
): Promise<{ at: number; record: DataView } | null> {
  const start = Math.max(0, from - END.length - 0xFFFF);
  const tail = viewOf(await source.read(start, Math.min(to, from + END.length) - start));
  for (let at = tail.byteLength - END.length; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END.signature) continue;
    const end = start + at + END.length + tail.getUint16(at + 20, true);
    if (end >= from && end <= to) {
      return { at: start + at, record: new DataView(tail.buffer, tail.byteOffset + at) };
    }
  }
  return null;
}

/** Bytes up to the last one that is not 0. */
async function lengthWithoutZeros(source: ByteSource): Promise<number> {
  const size = 1 << 16;
  for (let end = source.size; end > 0; end -= size) {
    const start = Math.max(0, end - size);
    const last = (await source.read(start, end - start)).findLastIndex((byte) => byte !== 0);
    if (last >= 0) return start + last + 1;
  }
  return 0;
}

function parseEntry(bytes: Uint8Array, what: string): { entry: DirectoryEntry; length: number } {
  const fields = viewOf(bytes);
  if (
    bytes.length < DIRECTORY_ENTRY.length ||
    fields.getUint32(0, true) !== DIRECTORY_ENTRY.signature
  ) {
    throw new FormatError(`${what} is corrupt: expected a directory entry.`);
  }
  const nameLength = fields.getUint16(28, true);
  const extraLength = fields.getUint16(30, true);
  const extraAt = DIRECTORY_ENTRY.length + nameLength;
  const length = extraAt + extraLength + fields.getUint16(32, true);
  if (length > bytes.length) {
    throw new FormatError(`${what} is corrupt: its entry reaches beyond the directory.`);
  }
  const name = new TextDecoder().decode(bytes.subarray(DIRECTORY_ENTRY.length, extraAt));
  checkName(name, what);
  if (fields.getUint16(8, true) & 1) {
    throw new FormatError(
      `${what} ("${name}") is encrypted; expected an archive without password.`,
    );
  }
  const method = fields.getUint16(10, true);
  if (method !== 0 && method !== 8) {
    throw new FormatError(
      `${what} ("${name}") uses compression method ${method}; known are 0 (stored) and 8 (deflate).`,
    );
  }

  // Fields that are all ones continue in the ZIP64 extra, which holds only those, in this order.
  const extra = findExtra(bytes.subarray(extraAt, extraAt + extraLength), ZIP64_EXTRA);
  let extraPosition = 0;
  const wide = (at: number): number => {
    const value = fields.getUint32(at, true);
    if (value !== IN_ZIP64_32) return value;
    if (extra === null || extraPosition + 8 > extra.byteLength) {
      throw new FormatError(`${what} ("${name}") is corrupt: its ZIP64 sizes are missing.`);
    }
    extraPosition += 8;
    return uint64(extra, extraPosition - 8, `${what} ("${name}")`);
  };
  const size = wide(24);
  const compressedSize = wide(20);
  const headerOffset = wide(42);
  if (method === 0 && size !== compressedSize) {
    throw new FormatError(
      `${what} ("${name}") is corrupt: it is stored as it is, but in ${compressedSize} bytes ` +
        `instead of ${size}.`,
    );
  }
  const entry: DirectoryEntry = {
    name,
    method: method === 0 ? "stored" : "deflate",
    size,
    compressedSize,
    crc32: fields.getUint32(16, true),
    headerOffset,
    // The mode of Unix, where the archive was made there.
    isLink: fields.getUint8(5) === UNIX && fields.getUint16(40, true) >> 12 === LINK_MODE,
  };
  return { entry, length };
}

function findExtra(bytes: Uint8Array, id: number): DataView | null {
  const view = viewOf(bytes);
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = view.getUint16(at + 2, true);
    if (at + 4 + length > bytes.length) return null;
    if (view.getUint16(at, true) === id) return viewOf(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return null;
}

/** Nothing here unpacks to disk, but a name that tries to escape has no honest reason. */
function checkName(name: string, what: string): void {
  const escapes = name === "" || name.startsWith("/") || /[\\\0]/.test(name) ||
    /^[A-Za-z]:/.test(name) || name.split("/").includes("..");
  if (escapes) {
    throw new FormatError(
      `${what} has the unsafe name ${JSON.stringify(name)}; expected a relative path inside the ` +
        `archive.`,
    );
  }
}

/** Overlapping members are how a small archive decompresses to petabytes. */
function checkOverlap(entries: DirectoryEntry[], directoryOffset: number, name: string): void {
  entries.sort((a, b) => a.headerOffset - b.headerOffset);
  let position = 0;
  for (const entry of entries) {
    if (entry.headerOffset < position) {
      throw new FormatError(`${name} is corrupt: member "${entry.name}" overlaps another.`);
    }
    position = entry.headerOffset + LOCAL_HEADER.length + entry.compressedSize;
  }
  if (position > directoryOffset) {
    throw new FormatError(`${name} is truncated or corrupt: its members overlap its directory.`);
  }
}

function uint64(view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError(`${what} is corrupt: ${value} is no possible size or position.`);
  }
  return Number(value);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
