/**
 * The errors that people meet. Each carries one sentence that says what was expected, what was
 * found and what to do; the command line prints it without a stack and exits with `exitCode`.
 *
 * @module
 */

/** Base of every error this project throws on purpose. */
export class ImmError extends Error {
  override name = "ImmError";
  /** Exit code of the command line when this error ends it. */
  readonly exitCode: number = 1;
}

/** The command line or a configuration key was wrong; nothing was done. */
export class UsageError extends ImmError {
  override name = "UsageError";
  override readonly exitCode = 2;
}

/** A file is missing, truncated, or not what its name says. The message names the file. */
export class FormatError extends ImmError {
  override name = "FormatError";
}

/** No usable adapter, a device that was lost, or a limit that a plan exceeds. */
export class DeviceError extends ImmError {
  override name = "DeviceError";
}

/** A result was computed but a required threshold was not met. */
export class GateError extends ImmError {
  override name = "GateError";
  override readonly exitCode = 3;
}

/** The user stopped the program; state has been saved. */
export class InterruptedError extends ImmError {
  override name = "InterruptedError";
  override readonly exitCode = 130;
}

/** A broken invariant inside this project: always a bug, never the user's fault. */
export class InternalError extends Error {
  override name = "InternalError";
}
