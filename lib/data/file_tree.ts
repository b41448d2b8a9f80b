/**
 * A folder of files, be it a folder on the disk or a zip archive.
 *
 * @module
 */

import { join } from "node:path";
import { type ByteSource, describeFileError } from "../format/source.ts";
import { openZip, type ZipPlace } from "../format/zip.ts";

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
  /** The path of a file for error messages. */
  describe(path: string): string;
  /** The whole file, or its first `most` bytes. */
  readSync(path: string, most?: number): Uint8Array;
  /** Where it lies. */
  place(path: string): FilePlace;
  close(): void;
}

/**
 * Lists the files under a folder, in all its sub-folders, without hidden ones.
 *
 * @throws {FormatError} when a folder cannot be read
 */
export async function openFolderTree(root: string): Promise<FileTree> {
  const paths: string[] = [];
  const pending = [""];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const location = join(root, folder);
    try {
      for await (const entry of Deno.readDir(location)) {
        if (entry.name.startsWith(".")) continue;
        const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
        const info = entry.isSymlink
          ? await Deno.stat(join(root, path)).catch(() => null) // it may lead nowhere
          : entry;
        // A link to a folder could lead back here; a link to a file is as good as the file.
        if (info?.isDirectory && !entry.isSymlink) pending.push(path);
        else if (info?.isFile) paths.push(path);
      }
    } catch (error) {
      throw describeFileError(error, location);
    }
  }
  return {
    name: root,
    paths: paths.sort(),
    describe: (path) => join(root, path),
    readSync: (path, most) => readSync(join(root, path), most),
    place: (path) => ({ file: join(root, path), within: null }),
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
    for (const { name, method } of archive.members.values()) {
      const hidden = name.split("/").some((part) => part.startsWith(".")) ||
        name.startsWith("__MACOSX/");
      if (!hidden) sources.set(name, method === "stored" ? await archive.open(name) : null);
    }
    return {
      name: path,
      paths: [...sources.keys()].sort(),
      describe: (name) => `${path}:${name}`,
      readSync(name, most = Infinity) {
        const source = sources.get(name);
        if (source) return source.readSync(0, Math.min(most, source.size));
        const bytes = archive.readSync(name, MAX_FILE_BYTES);
        return bytes.subarray(0, Math.min(most, bytes.length));
      },
      place: (name) => ({ file: path, within: archive.place(name, MAX_FILE_BYTES) }),
      close: () => archive.close(),
      [Symbol.dispose]: () => archive.close(),
    };
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** No picture is larger. */
const MAX_FILE_BYTES = 2 ** 30;

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
