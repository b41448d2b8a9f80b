/**
 * What Python's objects become when a pickle is read, where JavaScript has nothing of the kind, and
 * the tables that say what a pickle's names mean.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { PickleBytes } from "./pickle_input.ts";

export { PickleBytes } from "./pickle_input.ts";

/** What stands for a call of a name: it gets the arguments and returns the object. */
export type PickleCall = (args: readonly unknown[]) => unknown;

/**
 * What names mean: a call, or null for a name that may be mentioned but not called, or undefined
 * for one that is not known. Names are `module.name` with the modules of Python 3.
 */
export type PickleGlobals = (name: string) => PickleCall | null | undefined;

/** A class or function that a pickle mentions. */
export class PickleGlobal {
  constructor(readonly name: string, readonly call: PickleCall | null) {}
}

/** An object that can be given a state after it was made, as `__setstate__` does. */
export interface Stateful {
  setState(state: unknown): void;
}

/** An instance of a class of which only the contents matter: what it was made from, never run. */
export class PickleObject implements Stateful {
  /** What `__setstate__` would have been given; attributes by name, for most classes. */
  state: unknown = null;
  /** What was appended to it, for a class that is a list, a set or a queue. */
  readonly items: unknown[] = [];
  /** What was set by key, for a class that is a dictionary. */
  readonly entries: Map<unknown, unknown> = new Map();

  constructor(readonly type: string, readonly args: readonly unknown[]) {}

  setState(state: unknown): void {
    this.state = state;
  }

  /** An attribute, or undefined where there is none. */
  attribute(name: string): unknown {
    return this.state instanceof Map ? this.state.get(name) : undefined;
  }
}

/** Modules of which a pickle names something only to have it done when it is opened. */
const HOSTILE_MODULES = new Set([
  ..."os posix nt posixpath ntpath sys subprocess pty shutil socket importlib imp runpy".split(" "),
  ..."code codeop pdb bdb timeit ctypes webbrowser commands popen2 asyncio pip urllib".split(" "),
  ..."http httplib requests aiohttp ftplib smtplib telnetlib pickle _pickle cPickle".split(" "),
  "marshal",
]);
/** Names of other modules that attacks are made of. */
const HOSTILE_NAMES = new RegExp(
  "^(?:" + [
    "builtins\\.(?:eval|exec|execfile|compile|__import__|open|input|breakpoint|globals|apply)",
    "torch\\.(?:hub|utils\\.cpp_extension|serialization\\.load|load|jit\\.load)\\b.*",
    "numpy\\.(?:load|fromfile|testing\\..*)",
    ".*\\.(?:system|popen|runstring|import_module)",
  ].join("|") + ")$",
);

/**
 * Whether a name is of those that run commands, open files or talk to the network. Nothing of the
 * kind would run here; but a file that has it was made to attack whoever opens it.
 */
export function isHostile(name: string): boolean {
  return HOSTILE_MODULES.has(name.split(".", 1)[0]) || HOSTILE_NAMES.test(name);
}

/** The first of several tables that knows a name decides. */
export function combineGlobals(...tables: readonly PickleGlobals[]): PickleGlobals {
  return (name) => {
    for (const table of tables) {
      const found = table(name);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/**
 * Bytes as any protocol writes them: `bytes`, or the strings of Python 2 and of `_codecs.encode`.
 * Undefined for anything else.
 */
export function bytesOfPickle(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (value instanceof PickleBytes) return value.read();
  if (typeof value !== "string") return undefined;
  return latin1Bytes(value);
}

/** Each character as one byte; undefined when one is no latin1. */
export function latin1Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xFF) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

/**
 * Thrown by the calls of a table when the arguments are not what they should be; the reader turns
 * it into a {@link FormatError} that names the file and the call.
 */
export class PickleMistake extends FormatError {}

/** Whether a state can be given to a value. */
export function isStateful(value: unknown): value is Stateful {
  return typeof value === "object" && value !== null &&
    typeof (value as Partial<Stateful>).setState === "function";
}
