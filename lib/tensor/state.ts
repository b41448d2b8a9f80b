/**
 * State that lives on the device between runs: parameters, gradients, optimiser moments, averages.
 *
 * All entries of one kind lie in one flat arena, so that an optimiser step or an average over all
 * parameters is one element-wise kernel over one array. Arenas with the same layout (see
 * {@link Arena.like}) have each entry at the same offset.
 *
 * @module
 */

import { InternalError } from "../errors.ts";
import { make, type Shape, sizeOf, type Tensor } from "./tensor.ts";

/** Entries start at multiples of this many elements: 256 bytes, WebGPU's binding alignment. */
export const ARENA_ALIGNMENT = 64;

/** Where an entry lies in its arena, in elements. */
export interface ArenaEntry {
  /** Unique within the arena. */
  readonly name: string;
  /** Of the value, row-major. */
  readonly shape: Shape;
  /** First element. */
  readonly offset: number;
}

/** A flat float32 array on the device, cut into named entries. The gaps between them are zero. */
export class Arena {
  /** Entries by name, in the order of their offsets. */
  readonly entries: Map<string, ArenaEntry> = new Map();
  #length = 0;
  #leaves = new Map<string, Tensor>();
  #whole: Tensor | null = null;

  /** An arena without entries; `name` is for debug output and errors. */
  constructor(readonly name: string) {}

  /** Length in elements, a multiple of {@link ARENA_ALIGNMENT}. */
  get length(): number {
    return this.#length;
  }

  /** Adds an entry at the end. Throws when the name is taken or the arena is already in use. */
  add(name: string, shape: Shape): ArenaEntry {
    if (this.entries.has(name)) throw new InternalError(`arena ${this.name}: ${name} exists`);
    if (this.#whole) throw new InternalError(`arena ${this.name} is in use and cannot grow`);
    const entry = { name, shape, offset: this.#length };
    this.entries.set(name, entry);
    this.#length += Math.ceil(sizeOf(shape) / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;
    return entry;
  }

  /** An arena with the same entries at the same offsets. */
  like(name: string): Arena {
    const other = new Arena(name);
    for (const entry of this.entries.values()) other.add(entry.name, entry.shape);
    return other;
  }

  /** The entry as a tensor of the graph; the same tensor for every call. */
  tensor(name: string): Tensor {
    const known = this.#leaves.get(name);
    if (known) return known;
    const entry = this.entries.get(name);
    if (!entry) throw new InternalError(`arena ${this.name} has no entry ${name}`);
    const leaf = make({ kind: "state", arena: this, ...entry }, [], entry.shape, null);
    this.#leaves.set(name, leaf);
    return leaf;
  }

  /** All of the arena as one tensor of shape [length]. No entry can be added afterwards. */
  whole(): Tensor {
    this.#whole ??= make(
      { kind: "state", arena: this, name: "*", offset: 0 },
      [],
      [this.#length],
      null,
    );
    return this.#whole;
  }
}

/** A value to be stored in state at the end of a run; every read in the run sees the old value. */
export interface Update {
  /** A tensor from {@link Arena.tensor} or {@link Arena.whole}. */
  readonly target: Tensor;
  /** What to store; of the target's shape. */
  readonly value: Tensor;
}
