/**
 * The errors that people meet. Each carries one sentence that says what was expected, what was
 * found and what to do; the command line prints it without a stack and exits with `exitCode`.
 *
 * @module
 */

/** Base of every error this project throws on purpose. */
export class ImmError extends Error {
  /** Name of the class, as stacks show it. */
  override readonly name: string = this.constructor.name;
  /** Exit code of the command line when this error ends it: 1 unless the class says otherwise. */
  readonly exitCode: number = 1;
}

/** The command line or a configuration key was wrong; nothing was done. */
export class UsageError extends ImmError {
  /** 2: wrong usage. */
  override readonly exitCode = 2;
}

/** A file is missing, truncated, or not what its name says. The message names the file. */
export class FormatError extends ImmError {}

/** A file could not be written to its end: a full disk, a quota, a device that is gone. */
export class WriteError extends ImmError {
  /** Where it is, or was to be. */
  readonly path: string;

  /**
   * Says it with the name of the file.
   *
   * @param path of the file
   * @param cause what the system said
   * @param advice what to do, appended to the message
   */
  constructor(path: string, cause: Error, advice = "") {
    super(`${path} could not be written: ${cause.message}${advice}`, { cause });
    this.path = path;
  }
}

/** No usable adapter, a device that was lost, or a limit that a plan exceeds. */
export class DeviceError extends ImmError {}

/** A result was computed but a required threshold was not met. */
export class GateError extends ImmError {
  /** 3: a gate was not passed. */
  override readonly exitCode = 3;
}

/** The user stopped the program; state has been saved. */
export class InterruptedError extends ImmError {
  /** 130: as of a program that SIGINT ended. */
  override readonly exitCode: number = 130;
}

/**
 * The system asked the program to stop (SIGTERM of a scheduler, a terminal that was closed); state
 * has been saved, and the same work can be started again to go on.
 */
export class StoppedError extends InterruptedError {
  /** 75: "try again later" (EX_TEMPFAIL), which batch systems can requeue on. */
  override readonly exitCode = 75;
}

/** What the system refused: a full disk, a folder that may not be written, a name that is none. */
export function isSystemError(error: unknown): error is Error {
  return error instanceof Error && /\(os error \d+\)|unexpected NUL byte/.test(error.message);
}

/** A broken invariant inside this project: always a bug, never the user's fault. */
export class InternalError extends Error {
  /** Name of the class, as stacks show it. */
  override readonly name: string = this.constructor.name;
}
