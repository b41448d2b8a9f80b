/**
 * Locks between programs. The operating system holds them and gives them up when a program ends,
 * however it ends: a lock is never stale, and what a killed program leaves is an empty file.
 *
 * @module
 */

/** Name of the file in a folder that is locked as a whole: of a training run, of pictures. */
export const LOCK_NAME = ".lock";

/** Nobody else may hold it (`exclusive`), or only those who share it as well. */
export type LockMode = "exclusive" | "shared";

/** A lock that is held. */
export class FileLock implements Disposable {
  #mode: LockMode;

  private constructor(readonly path: string, private readonly file: Deno.FsFile, mode: LockMode) {
    this.#mode = mode;
  }

  /**
   * Takes the lock of the file `path`, which is made where there is none; null when another program
   * holds it. A file system that knows no locks lets everybody through.
   */
  static async take(path: string, mode: LockMode = "exclusive"): Promise<FileLock | null> {
    for (;;) {
      const file = await Deno.open(path, { create: true, read: true, write: true });
      try {
        if (!await lock(file, mode)) {
          file.close();
          return null;
        }
        if (await isAt(path, file)) return new FileLock(path, file, mode);
      } catch (error) {
        file.close();
        throw error;
      }
      file.close(); // who held it removed it meanwhile: two programs must not lock two files
    }
  }

  /** What is held. */
  get mode(): LockMode {
    return this.#mode;
  }

  /**
   * Lets others share it from now on. Between the two there is a moment without a lock.
   *
   * @returns false when another program took it in that moment
   */
  async share(): Promise<boolean> {
    await this.file.unlock().catch(() => {});
    this.#mode = "shared";
    return await lock(this.file, "shared") && await isAt(this.path, this.file);
  }

  /** Gives it up. The file goes as well, unless others hold it. */
  [Symbol.dispose](): void {
    try {
      // Windows gives no lock to a file that has another already.
      if (this.#mode === "shared") this.file.unlockSync();
      if (this.#mode === "exclusive" || this.file.tryLockSync(true)) Deno.removeSync(this.path);
    } catch {
      // Where locks are unknown, or open files cannot be removed, an empty file stays.
    }
    this.file.close();
  }
}

async function lock(file: Deno.FsFile, mode: LockMode): Promise<boolean> {
  try {
    return await file.tryLock(mode === "exclusive");
  } catch {
    return true; // some network file systems know no locks; to refuse all work there is worse
  }
}

/** Whether the open file is still the one of that name; taken for granted where nobody can tell. */
async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const [held, named] = await Promise.all([file.stat(), Deno.stat(path).catch(() => null)]);
  if (named === null) return false;
  return held.ino === null || named.ino === null ||
    (held.ino === named.ino && held.dev === named.dev);
}
