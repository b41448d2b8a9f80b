/**
 * Downloads of large files whose content is known.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { Sha256 } from "../base/hash.ts";
import { FormatError, ImmError, UsageError } from "../base/errors.ts";
import { openFileSource } from "../formats/source.ts";

/** A file that is known by its content. */
export interface RemoteFile {
  /** Where it can be had; tried in order. */
  readonly urls: readonly string[];
  /** Length. */
  readonly bytes: number;
  /** Of its content, in hex. */
  readonly sha256: string;
}

/** Options of {@link download}. */
export interface DownloadOptions {
  /** Is told how many bytes there are. */
  readonly progress?: (bytes: number) => void;
  /** Ends the download; what there is of the file is kept and continued another time. */
  readonly signal?: AbortSignal;
}

/** How often one address is tried when the connection breaks. */
const ATTEMPTS = 3;

/**
 * Downloads a file unless it is there. It grows under `path` + `.part`, which a later call
 * continues where this one was interrupted, and gets its name when its hash is right; several
 * programs may ask for the same file at once.
 *
 * @throws {UsageError} when the program may not use the network
 * @throws {FormatError} when what comes has another hash
 * @throws {ImmError} when no address answers
 */
export async function download(
  path: string,
  file: RemoteFile,
  { progress, signal }: DownloadOptions = {},
): Promise<void> {
  if (await exists(path)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  using part = await Deno.open(`${path}.part`, { read: true, write: true, create: true });
  await part.lock(true); // another program may be at it
  if (await exists(path)) return;
  const failures: string[] = [];
  for (const url of file.urls) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      signal?.throwIfAborted();
      try {
        await continueFrom(url, part, file, { progress, signal });
        await part.sync();
        await checkPart(path, part, file, url);
        await Deno.rename(`${path}.part`, path);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof Deno.errors.NotCapable) throw notAllowed(path, file, error);
        if (error instanceof FormatError) throw error;
        failures.push(`${url}: ${error instanceof Error ? error.message : error}`);
        if (error instanceof Refusal) break;
      }
    }
  }
  throw new ImmError(
    `${basename(path)} cannot be downloaded (${failures.at(-1)}). Fetch it with another program ` +
      `and put it at ${path}.`,
  );
}

/** The server's answer was no. */
class Refusal extends Error {}

/** Appends what is missing. Throws when the connection ends before. */
async function continueFrom(
  url: string,
  part: Deno.FsFile,
  { bytes }: RemoteFile,
  { progress, signal }: DownloadOptions,
): Promise<void> {
  let have = (await part.stat()).size;
  if (have > bytes) have = 0;
  if (have < bytes) {
    const response = await fetch(url, {
      signal,
      headers: have > 0 ? { range: `bytes=${have}-` } : {},
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new Refusal(`the server answered ${response.status} ${response.statusText}`.trim());
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    // A server that knows no ranges sends everything again.
    if (response.status !== 206 || Number(range?.[1]) !== have) have = 0;
    await part.truncate(have);
    await part.seek(have, Deno.SeekMode.Start);
    for await (const chunk of response.body) {
      have += chunk.length;
      if (have > bytes) break; // the hash will be wrong: enough is enough
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await part.write(rest));
      progress?.(have);
    }
    if (have < bytes) throw new Error(`the connection ended after ${have} of ${bytes} bytes`);
  }
  await part.truncate(bytes);
}

async function checkPart(
  path: string,
  part: Deno.FsFile,
  { sha256 }: RemoteFile,
  url: string,
): Promise<void> {
  const found = await fileSha256(`${path}.part`);
  if (found === sha256) return;
  await part.truncate(0);
  throw new FormatError(
    `${url} sent something else than ${basename(path)}: expected the SHA-256 ` +
      `${sha256.slice(0, 12)}…, found ${
        found.slice(0, 12)
      }…. Try again, or fetch it with another ` +
      `program and put it at ${path}.`,
  );
}

function notAllowed(path: string, { urls }: RemoteFile, cause: Error): UsageError {
  return new UsageError(
    `${basename(path)} is not at ${path}, and this program may not use the network to fetch it ` +
      `from ${new URL(urls[0]).host}: allow it (deno run --allow-net), or fetch ${urls[0]} with ` +
      `another program and put it there.`,
    { cause },
  );
}

async function exists(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => null))?.isFile ?? false;
}

/** Read at a time when hashing. */
const PIECE = 1 << 24;

/**
 * SHA-256 of a file of any size, in hex.
 *
 * @throws {FormatError} when it cannot be read
 */
export async function fileSha256(path: string): Promise<string> {
  using file = await openFileSource(path);
  const hash = new Sha256();
  for (let at = 0; at < file.size; at += PIECE) {
    hash.add(await file.read(at, Math.min(PIECE, file.size - at)));
  }
  return hash.hex();
}
