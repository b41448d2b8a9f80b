/**
 * A folder of files, be it a folder on the disk or a zip archive.
 *
 * @module
 */

import { join, sep } from "node:path";
import { bytesOf } from "../../base/arrays.ts";
import { checksum } from "../../formats/archive/crc32.ts";
import { type ByteSource, describeFileError } from "../../formats/source.ts";
import { openZip, type ZipPlace } from "../../formats/archive/zip.ts";
import { isLeaving, type PassedOver } from "./passed_over.ts";

/** Where another thread finds a file: by its own path, or within an archive. */
export interface FilePlace {
  /** Path on the disk, of the file itself or of the archive. */
  readonly file: string;
  /** Where in the archive. */
  readonly within: ZipPlace | null;
}

/** Files by their path relative to the tree's root, with `/` between the parts, sorted. */
export interface FileTree extends Disposable {
  readonly name: string;
  readonly paths: readonly string[];
  /** What lies there and is not among the paths, by its own. */
  readonly passedOver: PassedOver;
  /** The path of a file for error messages. */
  describe(path: string): string;
  /** The whole file, or its first `most` bytes. */
  readSync(path: string, most?: number): Uint8Array;
  /** Where it lies. */
  place(path: string): FilePlace;
  /** Its size in bytes, uncompressed. */
  size(path: string): number;
  /** What an archive says of the contents of files, CRC-32 each; null where nothing is said. */
  checksum(path: string): number | null;
  close(): void;
}

/** Places that a way may come to by links. */
const MAX_LINKS = 8;

/** A folder whose files are still to be listed. */
interface Pending {
  readonly folder: string;
  /** Where the root and the links on the way to it really are. */
  readonly way: readonly string[];
}

/**
 * Lists the files under a folder, in all its sub-folders and those that links lead to, without
 * hidden ones and what other programs leave.
 *
 * @throws {FormatError} when a folder cannot be read
 */
export async function openFolderTree(root: string): Promise<FileTree> {
  const paths: string[] = [];
  const passedOver = {
    leavings: [] as string[],
    deadLinks: [] as string[],
    circles: [] as string[],
  };
  const pending: Pending[] = [{ folder: "", way: [] }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { folder, way } = next;
    const location = join(root, folder);
    try {
      for await (const entry of Deno.readDir(location)) {
        const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
        if (isLeaving(entry.name)) passedOver.leavings.push(path);
        else if (!entry.isSymlink) {
          if (entry.isDirectory) pending.push({ folder: path, way });
          else if (entry.isFile) paths.push(path);
          else passedOver.leavings.push(path); // a socket, a pipe, a device
        } else {
          const info = await Deno.stat(join(root, path)).catch(() => null);
          if (info?.isFile) paths.push(path);
          else if (!info?.isDirectory) passedOver.deadLinks.push(path);
          else {
            const target = await Deno.realPath(join(root, path));
            const around = [...way, await Deno.realPath(location)];
            // A folder around the link would be listed in itself, for ever; and so would, nearly,
            // folders whose links lead to each other, as those of a system do.
            const isCircle = around.length > MAX_LINKS ||
              around.some((real) => `${real}${sep}`.startsWith(`${target}${sep}`));
            if (isCircle) passedOver.circles.push(path);
            else pending.push({ folder: path, way: [...around, target] });
          }
        }
      }
    } catch (error) {
      throw describeFileError(error, location);
    }
  }
  for (const list of Object.values(passedOver)) list.sort();
  return {
    name: root,
    paths: paths.sort(),
    passedOver,
    describe: (path) => join(root, path),
    readSync: (path, most) => readSync(join(root, path), most),
    place: (path) => ({ file: join(root, path), within: null }),
    size: (path) => sizeOf(join(root, path)),
    checksum: () => null,
    close() {},
    [Symbol.dispose]() {},
  };
}

/**
 * The members of a zip archive as files, each read (and decompressed) when it is needed.
 *
 * @throws {FormatError} when the archive is damaged
 */
export async function openZipTree(path: string): Promise<FileTree> {
  const archive = await openZip(path);
  try {
    const sources = new Map<string, ByteSource | null>();
    const leavings = new Set<string>();
    const deadLinks: string[] = [];
    for (const { name, method, isLink } of archive.members.values()) {
      const parts = name.split("/");
      const at = parts.findIndex(isLeaving);
      if (at >= 0) leavings.add(parts.slice(0, at + 1).join("/"));
      else if (isLink) deadLinks.push(name); // what it leads to is elsewhere
      else sources.set(name, method === "stored" ? await archive.open(name) : null);
    }
    return {
      name: path,
      paths: [...sources.keys()].sort(),
      passedOver: { leavings: [...leavings].sort(), deadLinks: deadLinks.sort(), circles: [] },
      describe: (name) => `${path}:${name}`,
      readSync(name, most = Infinity) {
        const source = sources.get(name);
        if (source) return source.readSync(0, Math.min(most, source.size));
        const bytes = archive.readSync(name, MAX_FILE_BYTES);
        return bytes.subarray(0, Math.min(most, bytes.length));
      },
      place: (name) => ({ file: path, within: archive.place(name, MAX_FILE_BYTES) }),
      size: (name) => archive.members.get(name)!.size,
      checksum: (name) => archive.members.get(name)!.crc32,
      close: () => archive.close(),
      [Symbol.dispose]: () => archive.close(),
    };
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** One checksum of the files of a tree, in the order given; null where the tree has none. */
export function treeChecksum(tree: FileTree, paths: readonly string[]): string | null {
  const all = paths.map((path) => tree.checksum(path));
  if (all.some((crc) => crc === null)) return null;
  const crc = checksum(bytesOf(Uint32Array.from(all as number[])));
  return `zip:${crc.toString(16).padStart(8, "0")}`;
}

/** No picture is larger. */
const MAX_FILE_BYTES = 2 ** 30;

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    throw describeFileError(error, path);
  }
}

function readSync(path: string, most?: number): Uint8Array {
  try {
    if (most === undefined) return Deno.readFileSync(path);
    using file = Deno.openSync(path, { read: true });
    const bytes = new Uint8Array(most);
    let filled = 0;
    while (filled < most) {
      const count = file.readSync(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } catch (error) {
    throw describeFileError(error, path);
  }
}
