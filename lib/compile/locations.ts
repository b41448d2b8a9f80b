/**
 * Where each stored tensor lies: in its own slot, in an input, an output or an arena, or in its
 * place inside a concatenation.
 *
 * @module
 */

import { contiguousStrides } from "../base/arrays.ts";
import { InternalError } from "../base/errors.ts";
import type { Update } from "../tensor/state.ts";
import { make, type Node, type Tensor } from "../tensor/tensor.ts";
import type { Graph } from "./graph.ts";
import { hasEpilogue, isElementwise, isView } from "./operations.ts";
import type { Program } from "./program.ts";
import type { StorageDecision } from "./storage.ts";
import { elementType, type Location, type Place, Values } from "./values.ts";

/** A value that must end in a place of its own but is computed elsewhere: one copy at the end. */
export interface FinalCopy {
  readonly source: Tensor;
  readonly location: Location;
  /** Whether the source is itself a copy to be made first, of state that is about to change. */
  readonly staged: boolean;
}

/** Gives stored tensors their locations. */
export class Locations {
  readonly values: Values = new Values();
  /** Copies that outputs and updates need. */
  readonly copies: FinalCopy[] = [];
  readonly #stored: Set<Tensor>;
  readonly #places = new Map<Tensor, Place>();
  readonly #parts = new Map<Tensor, { concat: Tensor; start: number; axis: number }>();
  readonly #locations = new Map<Tensor, Location>();

  /** `copied`: updates whose value must not be written in place. */
  constructor(
    private readonly graph: Graph,
    private readonly program: Program,
    decision: StorageDecision,
    copied: ReadonlySet<Update>,
  ) {
    this.#stored = new Set(decision.stored);
    this.#findParts();
    for (const update of program.updates) this.#placeUpdate(update, copied.has(update));
    for (const [name, tensor] of Object.entries(program.outputs)) {
      this.#place(tensor, { kind: "output", name }, false);
    }
  }

  isStored(tensor: Tensor): boolean {
    return this.#stored.has(tensor);
  }

  /** Adds a tensor to those in memory. */
  store(tensor: Tensor): void {
    if (this.#stored.has(tensor)) throw new InternalError(`${tensor} is already in memory`);
    this.#stored.add(tensor);
  }

  /** Takes back the decision to store. */
  unstore(tensor: Tensor): void {
    this.#stored.delete(tensor);
  }

  /** Whether the tensor is written straight into a concatenation. */
  isPart(tensor: Tensor): boolean {
    return this.#parts.has(tensor);
  }

  /** Whether the tensor lies where a program's result or an update must be. */
  isPlaced(tensor: Tensor): boolean {
    return this.#places.has(tensor);
  }

  /** Equal for stored tensors that will share a buffer for certain. */
  bufferKey(tensor: Tensor): unknown {
    const { op } = tensor.node;
    if (op.kind === "state") return op.arena;
    const place = this.#places.get(tensor);
    return place?.kind === "arena" ? place.arena : this.wholeOf(tensor) ?? tensor;
  }

  /** The concatenation that the tensor is written into, if any. */
  wholeOf(tensor: Tensor): Tensor | null {
    return this.#parts.get(tensor)?.concat ?? null;
  }

  /** The location of a stored tensor, null for any other. */
  locate(tensor: Tensor): Location | null {
    if (!this.#stored.has(tensor)) return null;
    const known = this.#locations.get(tensor);
    if (known) return known;
    const location = this.#allocate(tensor);
    this.#locations.set(tensor, location);
    return location;
  }

  /** The box of `outer` that starts at `start` on `axis`. */
  box(outer: Tensor, axis: number, start: number): Location {
    const location = this.locate(outer)!;
    return { ...location, offset: location.offset + start * location.strides[axis] };
  }

  #allocate(tensor: Tensor): Location {
    const part = this.#parts.get(tensor);
    if (part) return this.box(part.concat, part.axis, part.start);
    const { op } = tensor.node;
    const place: Place = op.kind === "input"
      ? { kind: "input", name: op.name }
      : op.kind === "state"
      ? { kind: "arena", arena: op.arena, offset: op.offset, updated: false }
      : this.#places.get(tensor) ?? { kind: "slot" };
    const label = op.kind === "input" || op.kind === "state" ? op.name : `${op.kind}${tensor}`;
    return this.#whole(tensor, label, place);
  }

  /** A place for all of a tensor. */
  #whole(tensor: Tensor, label: string, place: Place): Location {
    const dtype = elementType(tensor, place);
    const value = this.values.add(tensor.size, dtype, label, place);
    return { value, dtype, offset: 0, strides: contiguousStrides(tensor.shape) };
  }

  #placeUpdate({ target, value }: Update, copy: boolean): void {
    const op = target.node.op;
    if (op.kind !== "state") throw new InternalError("an update's target is not state");
    this.#place(
      value,
      { kind: "arena", arena: op.arena, offset: op.offset, updated: true },
      copy,
    );
  }

  /** Has the tensor computed at the place, or copied there when that cannot be. */
  #place(tensor: Tensor, place: Place, copy: boolean): void {
    const source = this.graph.resolve(tensor);
    let base = source;
    while (base.node.op.kind === "reshape") base = this.graph.resolve(base.node.inputs[0]);
    const kind = base.node.op.kind;
    const free = this.#stored.has(base) && !this.#places.has(base) && !this.#parts.has(base) &&
      kind !== "input" && kind !== "state";
    if (free && !copy) {
      this.#places.set(base, place);
      return;
    }
    const location = this.#whole(source, `${place.kind} of ${source}`, place);
    if (copy && kind === "state") {
      const stage = make({ kind: "reshape" }, [source], source.shape, null, source.dtype);
      this.#stored.add(stage);
      this.copies.push({ source: stage, location, staged: true });
    } else this.copies.push({ source, location, staged: false });
  }

  #findParts(): void {
    const roots = new Set<Tensor>();
    for (const tensor of Object.values(this.program.outputs)) roots.add(this.graph.resolve(tensor));
    for (const update of this.program.updates) roots.add(this.graph.resolve(update.value));
    for (const node of this.graph.nodes) {
      if (node.op.kind !== "concat") continue;
      const { axis } = node.op;
      let start = 0;
      for (const tensor of this.graph.inputs(node)) {
        if (this.#stored.has(tensor) && !roots.has(tensor) && this.#isOnlyUse(tensor, node)) {
          this.#parts.set(tensor, { concat: node.outputs[0], axis, start });
        }
        start += tensor.shape[axis];
      }
    }
  }

  #isOnlyUse(tensor: Tensor, concat: Node): boolean {
    const uses = this.graph.inputs(concat).filter((input) => input === tensor).length;
    return uses === 1 && this.graph.consumers(tensor).length === 1 && !isView(tensor) &&
      (isElementwise(tensor) || hasEpilogue(tensor.node));
  }
}
