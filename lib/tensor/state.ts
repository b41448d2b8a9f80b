/**
 * State that lives on the device between runs: parameters, gradients, optimiser moments, averages.
 *
 * All entries of one kind lie in one flat arena, so that an optimiser step or an average over all
 * parameters is one element-wise kernel over one array. Arenas with the same layout (see
 * {@link Arena.like}) have each entry at the same offset.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import { make, type Shape, sizeOf, type Storage, type Tensor, withStorage } from "./tensor.ts";

/** Entries start at multiples of this many elements: of f32 256 bytes, WebGPU's binding alignment. */
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

/** A flat array of floats on the device, cut into named entries. The gaps between them are zero. */
export class Arena {
  /** Entries by name, in the order of their offsets. */
  readonly entries: Map<string, ArenaEntry> = new Map();
  #length = 0;
  #leaves = new Map<string, Tensor>();
  #whole: Tensor | null = null;

  /** An arena without entries; `name` is for debug output and errors. */
  constructor(
    readonly name: string,
    /** How its elements lie in memory. */
    readonly storage: Storage = "f32",
  ) {}

  /** Length in elements, a multiple of {@link ARENA_ALIGNMENT}. */
  get length(): number {
    return this.#length;
  }

  /** Size in memory. */
  get bytes(): number {
    return this.#length * (this.storage === "f16" ? 2 : 4);
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

  /** An arena with the same entries at the same offsets, f32 unless another storage is asked for. */
  like(name: string, storage: Storage = "f32"): Arena {
    const other = new Arena(name, storage);
    for (const entry of this.entries.values()) other.add(entry.name, entry.shape);
    return other;
  }

  /** The entry as a tensor of the graph; the same tensor for every call. */
  tensor(name: string): Tensor {
    const known = this.#leaves.get(name);
    if (known) return known;
    const entry = this.entries.get(name);
    if (!entry) throw new InternalError(`arena ${this.name} has no entry ${name}`);
    const leaf = this.#leaf(entry);
    this.#leaves.set(name, leaf);
    return leaf;
  }

  /** All of the arena as one tensor of shape [length]. No entry can be added afterwards. */
  whole(): Tensor {
    this.#whole ??= this.#leaf({ name: "*", shape: [this.#length], offset: 0 });
    return this.#whole;
  }

  #leaf({ name, shape, offset }: ArenaEntry): Tensor {
    // Gradients with respect to state are added up in f32, whatever the state itself is.
    const op = { kind: "state", arena: this, name, offset } as const;
    return withStorage("f32", () => make(op, [], shape, null));
  }
}

/** A value to be stored in state at the end of a run; every read in the run sees the old value. */
export interface Update {
  /** A tensor from {@link Arena.tensor} or {@link Arena.whole}. */
  readonly target: Tensor;
  /** What to store; of the target's shape. */
  readonly value: Tensor;
}
