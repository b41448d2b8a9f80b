/**
 * Reading Python pickles without Python, and without running anything: a pickle is a program for a
 * small stack machine, whose only dangerous instructions call functions by name. Here a name means
 * what the caller's table says; a name that is not in it is an error.
 *
 * Protocols 0 to 5, as `pickletools.py` of CPython describes them. Python values become
 *
 * | Python                         | here                                                        |
 * | ------------------------------ | ----------------------------------------------------------- |
 * | None, bool, float, str         | null, boolean, number, string                               |
 * | int                            | number, or bigint beyond 2^53                               |
 * | bytes, bytearray               | {@link PickleBytes}: read when asked for                    |
 * | str of Python 2                | string, as latin1; PickleBytes if longer than 1,024 bytes   |
 * | list, tuple                    | array                                                       |
 * | dict and its subclasses        | Map                                                         |
 * | set, frozenset                 | Set                                                         |
 * | a class or function            | {@link PickleGlobal}                                        |
 * | what calling one of them gives | whatever the table's entry returns                          |
 * | an object of an unknown class  | {@link PickleObject}, where the table allows it             |
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { PickleInput } from "./pickle_input.ts";
import {
  isHostile,
  isStateful,
  PickleGlobal,
  type PickleGlobals,
  PickleMistake,
  PickleObject,
} from "./pickle_values.ts";
import type { ByteSource } from "../source.ts";

export * from "./pickle_values.ts";

/** How to read a pickle. */
export interface PickleOptions {
  readonly globals: PickleGlobals;
  /** Objects that are kept outside of the pickle, by the id that stands for them. */
  readonly persistent?: (id: unknown) => unknown;
  /** Most instructions that are carried out (default 2^24), which also bounds the memory. */
  readonly maxInstructions?: number;
}

/** A pickle's object, and where in the source the byte after it lies. */
export interface Unpickled {
  readonly value: unknown;
  readonly end: number;
}

const MAX_INSTRUCTIONS = 2 ** 24;
/** Protocols up to 2 write names as Python 2 knew them. */
const PYTHON2_MODULES: Readonly<Record<string, string>> = {
  __builtin__: "builtins",
  copy_reg: "copyreg",
  UserDict: "collections",
};

/**
 * Reads the pickle that begins at `offset`; more may follow behind its `end`.
 *
 * @throws {FormatError} when it is damaged, too large, or needs a name that is not known
 */
export function readPickle(
  source: ByteSource,
  options: PickleOptions,
  offset = 0,
): Unpickled {
  const machine = new Machine(new PickleInput(source, offset), options);
  return machine.run();
}

/** The stack machine. `Op` names are those of pickletools. */
class Machine {
  #stack: unknown[] = [];
  /** Stacks below the marks, innermost last. */
  readonly #marks: unknown[][] = [];
  readonly #memo = new Map<number, unknown>();
  readonly #name: string;

  constructor(
    private readonly input: PickleInput,
    private readonly options: PickleOptions,
  ) {
    this.#name = input.source.name;
  }

  run(): Unpickled {
    const limit = this.options.maxInstructions ?? MAX_INSTRUCTIONS;
    for (let count = 0; count < limit; count++) {
      const at = this.input.position;
      const opcode = this.input.uint8();
      if (opcode === 0x2E) { // STOP
        const value = this.#pop();
        if (this.#stack.length > 0 || this.#marks.length > 0) {
          throw this.#corrupt("it ends with objects that belong to nothing");
        }
        return { value, end: this.input.position };
      }
      this.#step(String.fromCharCode(opcode), at);
    }
    throw new FormatError(`${this.#name} has a pickle of more than ${limit} instructions.`);
  }

  #step(opcode: string, at: number): void {
    const { input } = this;
    switch (opcode) {
      // Framing
      case "\x80": { // PROTO
        const protocol = input.uint8();
        if (protocol > 5) {
          throw new FormatError(`${this.#name} has pickle protocol ${protocol}; known are 0 to 5.`);
        }
        return;
      }
      case "\x95": // FRAME: a hint for buffering
        input.uint64();
        return;

      // Values
      case "N":
        return this.#push(null);
      case "\x88":
        return this.#push(true);
      case "\x89":
        return this.#push(false);
      case "I": // INT, and the booleans of protocol 0
        return this.#push(input.decimalOrBoolean());
      case "L": // LONG
        return this.#push(input.decimal());
      case "J":
        return this.#push(input.int32());
      case "K":
        return this.#push(input.uint8());
      case "M":
        return this.#push(input.uint16());
      case "\x8a": // LONG1
        return this.#push(input.long(input.uint8()));
      case "\x8b": // LONG4
        return this.#push(input.long(input.uint32()));
      case "F":
        return this.#push(input.decimalFloat());
      case "G":
        return this.#push(input.float64BigEndian());

      // Text and bytes
      case "V": // UNICODE
        return this.#push(input.escapedLine());
      case "X": // BINUNICODE
        return this.#push(input.utf8(input.uint32()));
      case "\x8c": // SHORT_BINUNICODE
        return this.#push(input.utf8(input.uint8()));
      case "\x8d": // BINUNICODE8
        return this.#push(input.utf8(input.uint64()));
      case "S": // STRING of Python 2
        return this.#push(input.quotedLine());
      case "T": // BINSTRING of Python 2
        return this.#push(input.python2String(input.uint32()));
      case "U": // SHORT_BINSTRING of Python 2
        return this.#push(input.python2String(input.uint8()));
      case "B": // BINBYTES
        return this.#push(input.lazyBytes(input.uint32()));
      case "C": // SHORT_BINBYTES
        return this.#push(input.lazyBytes(input.uint8()));
      case "\x8e": // BINBYTES8
      case "\x96": // BYTEARRAY8
        return this.#push(input.lazyBytes(input.uint64()));

      // Containers
      case "]":
        return this.#push([]);
      case ")":
        return this.#push([]);
      case "}":
        return this.#push(new Map());
      case "\x8f":
        return this.#push(new Set());
      case "(": // MARK
        this.#marks.push(this.#stack);
        this.#stack = [];
        return;
      case "l": // LIST
      case "t": // TUPLE
        return this.#push(this.#popMark());
      case "\x91": // FROZENSET
        return this.#push(new Set(this.#popMark()));
      case "d": { // DICT
        const items = this.#popMark();
        return this.#push(this.#setItems(new Map(), items));
      }
      case "\x85": // TUPLE1
        return this.#push(this.#popMany(1));
      case "\x86":
        return this.#push(this.#popMany(2));
      case "\x87":
        return this.#push(this.#popMany(3));
      case "a": { // APPEND
        const item = this.#pop();
        this.#list().push(item);
        return;
      }
      case "e": { // APPENDS
        const items = this.#popMark();
        const list = this.#list();
        for (const item of items) list.push(item);
        return;
      }
      case "s": { // SETITEM
        const items = this.#popMany(2);
        this.#setItems(this.#top(), items);
        return;
      }
      case "u": { // SETITEMS
        const items = this.#popMark();
        this.#setItems(this.#top(), items);
        return;
      }
      case "\x90": { // ADDITEMS
        const items = this.#popMark();
        const set = this.#top();
        if (set instanceof PickleObject) { for (const item of items) set.items.push(item); }
        else if (set instanceof Set) { for (const item of items) set.add(item); }
        else throw this.#corrupt("it adds items to what is no set");
        return;
      }

      // The stack and the memo
      case "0": // POP: of a mark, where nothing is above it
        if (this.#stack.length > 0) this.#pop();
        else this.#popMark();
        return;
      case "1": // POP_MARK
        this.#popMark();
        return;
      case "2": // DUP
        return this.#push(this.#top());
      case "p": // PUT
        return this.#remember(input.index());
      case "q": // BINPUT
        return this.#remember(input.uint8());
      case "r": // LONG_BINPUT
        return this.#remember(input.uint32());
      case "\x94": // MEMOIZE
        return this.#remember(this.#memo.size);
      case "g": // GET
        return this.#push(this.#recall(input.index()));
      case "h": // BINGET
        return this.#push(this.#recall(input.uint8()));
      case "j": // LONG_BINGET
        return this.#push(this.#recall(input.uint32()));

      // Names, calls and states
      case "c": { // GLOBAL
        const module = input.line();
        return this.#push(this.#global(module, input.line()));
      }
      case "\x93": { // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") {
          throw this.#corrupt("a name is no text");
        }
        return this.#push(this.#global(module, name));
      }
      case "R": // REDUCE
      case "\x81": { // NEWOBJ
        const [callee, args] = this.#popMany(2);
        return this.#push(this.#call(callee, args));
      }
      case "\x92": { // NEWOBJ_EX
        const [callee, args, named] = this.#popMany(3);
        if (!(named instanceof Map)) throw this.#corrupt("named arguments are no dictionary");
        const list = this.#arguments(args);
        return this.#push(this.#call(callee, named.size > 0 ? [...list, named] : list));
      }
      case "i": { // INST
        const module = input.line();
        const callee = this.#global(module, input.line());
        return this.#push(this.#call(callee, this.#popMark()));
      }
      case "o": { // OBJ
        const [callee, ...args] = this.#popMark();
        return this.#push(this.#call(callee, args));
      }
      case "b": { // BUILD
        const state = this.#pop();
        return this.#build(this.#top(), state);
      }
      case "P": // PERSID
        return this.#push(this.#persistent(input.line()));
      case "Q": // BINPERSID
        return this.#push(this.#persistent(this.#pop()));
      case "\x82": // EXT1, EXT2, EXT4: numbers of a registry that this program does not have
      case "\x83":
      case "\x84":
        throw new FormatError(
          `${this.#name} uses the extension registry of the program that wrote it, which is not ` +
            `supported.`,
        );
      case "\x97": // NEXT_BUFFER, READONLY_BUFFER
      case "\x98":
        throw new FormatError(
          `${this.#name} keeps data outside of its pickle (protocol 5 buffers), which is not ` +
            `supported.`,
        );
      default:
        throw this.#corrupt(
          `0x${opcode.charCodeAt(0).toString(16).padStart(2, "0")} at byte ${at} is no instruction`,
        );
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #pop(): unknown {
    if (this.#stack.length === 0) throw this.#corrupt("it takes more objects than it made");
    return this.#stack.pop();
  }

  #popMany(count: number): unknown[] {
    if (this.#stack.length < count) throw this.#corrupt("it takes more objects than it made");
    return this.#stack.splice(-count);
  }

  #popMark(): unknown[] {
    const below = this.#marks.pop();
    if (below === undefined) throw this.#corrupt("it takes back a mark that it did not set");
    const items = this.#stack;
    this.#stack = below;
    return items;
  }

  #top(): unknown {
    if (this.#stack.length === 0) throw this.#corrupt("it takes more objects than it made");
    return this.#stack[this.#stack.length - 1];
  }

  #list(): unknown[] {
    const top = this.#top();
    const list = top instanceof PickleObject ? top.items : top;
    if (!Array.isArray(list)) throw this.#corrupt("it appends to what is no list");
    return list;
  }

  #setItems(top: unknown, items: readonly unknown[]): Map<unknown, unknown> {
    const target = top instanceof PickleObject ? top.entries : top;
    if (!(target instanceof Map)) throw this.#corrupt("it sets items of what is no dictionary");
    if (items.length % 2 !== 0) throw this.#corrupt("a key has no value");
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
    return target;
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): unknown {
    if (!this.#memo.has(index)) {
      throw this.#corrupt(`it recalls object ${index}, which is not there`);
    }
    return this.#memo.get(index);
  }

  #global(module: string, name: string): PickleGlobal {
    const full = `${PYTHON2_MODULES[module] ?? module}.${name}`;
    const call = this.options.globals(full);
    if (call === undefined) {
      throw new FormatError(
        `${this.#name} needs "${full.slice(0, 200)}", which ` +
          (isHostile(full)
            ? "does things when Python opens the file: no checkpoint has a use for that, so do " +
              "not open it there; "
            : "is not among the names that are understood here; ") +
          "nothing of the file was run.",
      );
    }
    return new PickleGlobal(full, call);
  }

  #arguments(args: unknown): readonly unknown[] {
    if (!Array.isArray(args)) throw this.#corrupt("the arguments of a call are no tuple");
    return args;
  }

  #call(callee: unknown, args: unknown): unknown {
    if (!(callee instanceof PickleGlobal)) throw this.#corrupt("it calls what is no function");
    const list = this.#arguments(args);
    if (callee.call === null) throw this.#corrupt(`it calls ${callee.name}`);
    try {
      return callee.call(list);
    } catch (error) {
      if (!(error instanceof PickleMistake)) throw error;
      throw this.#corrupt(`${callee.name}: ${error.message}`);
    }
  }

  #build(target: unknown, state: unknown): void {
    if (isStateful(target)) {
      try {
        target.setState(state);
      } catch (error) {
        if (!(error instanceof PickleMistake)) throw error;
        throw this.#corrupt(error.message);
      }
      return;
    }
    // Attributes of a subclass of dict, such as the _metadata of a state dict: of no use here.
    if (target instanceof Map || target instanceof Set) return;
    throw this.#corrupt("it gives a state to what has none");
  }

  #persistent(id: unknown): unknown {
    if (!this.options.persistent) {
      throw new FormatError(`${this.#name} refers to objects outside of its pickle.`);
    }
    try {
      return this.options.persistent(id);
    } catch (error) {
      if (!(error instanceof PickleMistake)) throw error;
      throw this.#corrupt(error.message);
    }
  }

  #corrupt(what: string): FormatError {
    return new FormatError(`${this.#name} is not a valid pickle: ${what}.`);
  }
}
