/**
 * How a shader reaches its buffers. A generator first registers every access as a {@link View},
 * then seals the memory, which decides the bindings, and only then writes WGSL with the views.
 *
 * WebGPU forbids one buffer bound both read-only and writable in a dispatch, so all accesses to a
 * buffer that is written share one writable binding. Buffers that are only read are bound at the
 * (aligned) start of each access, which keeps offsets out of the text, so that kernels on different
 * entries of an arena share a pipeline, and keeps bindings short.
 *
 * Elements of type f16 become f32 in the very expression that loads them, and are rounded in the
 * statement that stores them: no code but this knows of them.
 *
 * @module
 */

import { DeviceError, InternalError } from "../../../base/errors.ts";
import { elementBytes, type ElementType, scalarType } from "../../../compile/kernels/kernel.ts";
import type { Binding, Target } from "../dispatch.ts";

/** Where an access starts. */
export interface Place {
  readonly buffer: number;
  readonly offset: number;
  readonly dtype: ElementType;
}

/** How an access is made. */
export interface ViewOptions {
  /** Four consecutive elements at once, at indices that are multiples of four. */
  readonly vector?: boolean;
  readonly write?: boolean;
}

type Element = ElementType | "u32";

interface Slot {
  readonly buffer: number;
  writable: boolean;
  vector: boolean;
  element: Element;
  /** Range in bytes. */
  start: number;
  end: number;
}

/** One access of a shader to memory. Indices are WGSL u32 expressions, relative to its offset. */
export class View {
  slot: Slot | null = null;
  number = -1;

  constructor(
    readonly place: Place,
    /** Elements from the offset on that may be touched. */
    readonly length: number,
    readonly vector: boolean,
    readonly write: boolean,
  ) {}

  /** The element at `index`. */
  load(index: string): string {
    const { slot, name, shift } = this.#sealed();
    if (!slot.vector) return this.#typed(`${name}[${plus(index, shift)}]`, 1);
    const at = plus(index, shift);
    return this.#typed(`${name}[(${at}) / 4u][(${at}) % 4u]`, 1);
  }

  /** The four elements from `index`, a multiple of four where the view is a vector view. */
  load4(index: string): string {
    const { slot, name, shift } = this.#sealed();
    if (slot.vector) {
      return this.#typed(`${name}[${plus(quarter(index), shift / 4)}]`, 4);
    }
    const type = typeName(slot.element, 4);
    const parts = [0, 1, 2, 3].map((i) => `${name}[${plus(index, shift + i)}]`);
    return this.#typed(`${type}(${parts.join(", ")})`, 4);
  }

  /** A statement that stores one element. */
  store(index: string, value: string): string {
    const { slot, name, shift } = this.#sealed();
    if (slot.vector) {
      const at = plus(index, shift);
      return `${name}[(${at}) / 4u][(${at}) % 4u] = ${this.#raw(value, 1)};`;
    }
    return `${name}[${plus(index, shift)}] = ${this.#raw(value, 1)};`;
  }

  /** Statements that store four elements; `value` must be the name of a vector. */
  store4(index: string, value: string): string {
    const { slot, name, shift } = this.#sealed();
    if (slot.vector) {
      return `${name}[${plus(quarter(index), shift / 4)}] = ${this.#raw(value, 4)};`;
    }
    return ["x", "y", "z", "w"].map((lane, i) =>
      `${name}[${plus(index, shift + i)}] = ${this.#raw(`${value}.${lane}`, 1)};`
    ).join(" ");
  }

  #sealed(): { slot: Slot; name: string; shift: number } {
    if (!this.slot) throw new InternalError("memory was used before it was sealed");
    const shift = this.place.offset - this.slot.start / elementBytes(this.place.dtype);
    return { slot: this.slot, name: `b${this.number}`, shift };
  }

  #typed(expression: string, width: 1 | 4): string {
    const { element } = this.slot!;
    const { dtype } = this.place;
    if (dtype === "f16") return `${typeName(scalarType(dtype), width)}(${expression})`;
    if (element === dtype) return expression;
    return `bitcast<${typeName(dtype, width)}>(${expression})`;
  }

  #raw(value: string, width: 1 | 4): string {
    const { element } = this.slot!;
    if (element === "f16") return `${typeName(element, width)}(${value})`;
    if (element === this.place.dtype) return value;
    return `bitcast<${typeName(element, width)}>(${value})`;
  }
}

/** All accesses of one shader. */
export class Memory {
  readonly #target: Target;
  readonly #what: string;
  readonly #views: View[] = [];
  readonly #params: number[] = [];
  #slots: Slot[] | null = null;

  /** `what` names the kernel in errors. */
  constructor(target: Target, what: string) {
    this.#target = target;
    this.#what = what;
  }

  /** Registers an access to `length` elements from `place` on. */
  view(place: Place, length: number, { vector = false, write = false }: ViewOptions = {}): View {
    if (vector && place.offset % 4 !== 0) {
      throw new InternalError(`${this.#what}: a vector access at offset ${place.offset}`);
    }
    const view = new View(place, length, vector, write);
    this.#views.push(view);
    return view;
  }

  /** A u32 that is data rather than text, so that texts that differ only in it are shared. */
  param(value: number): string {
    const n = this.#params.length;
    this.#params.push(value >>> 0);
    return `params[${Math.floor(n / 4)}].${"xyzw"[n % 4]}`;
  }

  get params(): readonly number[] {
    return this.#params;
  }

  /** Decides the bindings. Throws `DeviceError` when the device allows fewer or shorter ones. */
  seal(): void {
    const written = new Set(this.#views.filter((v) => v.write).map((v) => v.place.buffer));
    let slots = this.#assign((v) => written.has(v.place.buffer));
    if (slots.length > this.#target.maxBindings) slots = this.#assign(() => true);
    if (slots.length > this.#target.maxBindings) {
      throw new DeviceError(
        `the kernel ${this.#what} needs ${slots.length} buffers at once, but this device allows ` +
          `${this.#target.maxBindings} per shader; use a device that allows more`,
      );
    }
    for (const slot of slots) {
      const bytes = slot.end - slot.start;
      if (bytes > this.#target.maxBindingBytes) {
        throw new BindingTooLarge(
          `the kernel ${this.#what} needs ${bytes} bytes of one buffer, but this device binds at ` +
            `most ${this.#target.maxBindingBytes}; use a smaller batch or a smaller network`,
        );
      }
    }
    this.#slots = slots;
  }

  /** The bindings, in order. */
  get bindings(): Binding[] {
    return this.#slots!.map(({ buffer, start, end, writable, element }) => ({
      buffer,
      offset: start,
      size: Math.max(16, Math.ceil((end - start) / 16) * 16),
      writable,
      half: element === "f16",
    }));
  }

  /** WGSL that declares the bindings. */
  get declarations(): string {
    const half = this.#slots!.some(({ element }) => element === "f16");
    const lines = half ? ["enable f16;"] : [];
    this.#slots!.forEach((slot, i) => {
      const access = slot.writable ? "read_write" : "read";
      const type = slot.vector ? `vec4<${slot.element}>` : slot.element;
      lines.push(`@group(0) @binding(${i}) var<storage, ${access}> b${i}: array<${type}>;`);
    });
    if (this.#params.length > 0) {
      const size = Math.ceil(this.#params.length / 4);
      lines.push(
        `@group(0) @binding(${
          this.#slots!.length
        }) var<uniform> params: array<vec4<u32>, ${size}>;`,
      );
    }
    return lines.join("\n");
  }

  /** Puts views into slots: one per buffer where `share`, else one per start and type. */
  #assign(share: (view: View) => boolean): Slot[] {
    const alignment = this.#target.offsetAlignment;
    const slots = new Map<string, Slot>();
    for (const view of this.#views) {
      const { buffer, offset, dtype } = view.place;
      const bytes = elementBytes(dtype);
      const start = Math.floor(offset * bytes / alignment) * alignment;
      const end = (offset + view.length) * bytes;
      const key = share(view) ? `${buffer}` : `${buffer} ${start} ${dtype} ${view.vector}`;
      const slot = slots.get(key);
      if (slot) {
        slot.writable ||= view.write;
        slot.vector &&= view.vector;
        if (slot.element !== dtype) slot.element = commonElement(slot.element, dtype, this.#what);
        slot.start = Math.min(slot.start, start);
        slot.end = Math.max(slot.end, end);
        view.slot = slot;
      } else {
        view.slot = {
          buffer,
          writable: view.write,
          vector: view.vector,
          element: dtype,
          start,
          end,
        };
        slots.set(key, view.slot);
      }
    }
    const list = [...slots.values()];
    for (const view of this.#views) view.number = list.indexOf(view.slot!);
    return list;
  }
}

/** What a binding holds that is seen as elements of two types. */
function commonElement(a: Element, b: Element, what: string): Element {
  if (a !== "f16" && b !== "f16") return "u32";
  throw new InternalError(`${what}: one buffer as ${a} and as ${b}`);
}

/** A binding is longer than the device allows; element-wise kernels answer by splitting. */
export class BindingTooLarge extends DeviceError {}

/** WGSL name of a scalar or a vector of four. */
export function typeName(element: Element, width: 1 | 4): string {
  return width === 1 ? element : `vec4<${element}>`;
}

/** `index + constant` without needless terms. */
export function plus(index: string, constant: number): string {
  if (constant === 0) return index;
  if (index === "0u") return `${constant}u`;
  return `${index} + ${constant}u`;
}

/** `index / 4`, where the index is known to be a multiple of four. */
function quarter(index: string): string {
  return index === "0u" ? index : `(${index}) / 4u`;
}
