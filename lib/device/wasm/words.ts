/**
 * Programs as words in linear memory: records of 32-bit fields that refer to each other.
 *
 * @module
 */

/** Where an address counts from: known only when everything has been written. */
export type Region = "program" | "workspace" | "zeros";

/** An address in a region that has no place yet. */
export interface Pointer {
  readonly region: Region;
  /** In bytes. */
  readonly offset: number;
}

/** A 32-bit integer, signed or not, or an address. */
export type Field = number | Pointer;

/** No address. */
export const NULL = 0;

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of a float32, as a field. */
export function floatBits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

/** A pointer some bytes further. */
export function shifted(pointer: Pointer, bytes: number): Pointer {
  return { ...pointer, offset: pointer.offset + bytes };
}

/** Fields, padded with zeros to a fixed number. */
export function padded(fields: readonly Field[], length: number): Field[] {
  return [...fields, ...new Array<Field>(length - fields.length).fill(0)];
}

/** Collects records; addresses are filled in at the end. */
export class Words {
  readonly #fields: Field[] = [];

  /** Appends a record. */
  add(fields: readonly Field[]): Pointer {
    const offset = this.#fields.length * 4;
    for (const field of fields) this.#fields.push(field);
    return { region: "program", offset };
  }

  /** In bytes. */
  get length(): number {
    return this.#fields.length * 4;
  }

  /** The words, with the regions at the given addresses. */
  resolve(regions: Readonly<Record<Region, number>>): Uint32Array {
    return Uint32Array.from(
      this.#fields,
      (field) => typeof field === "number" ? field : regions[field.region] + field.offset,
    );
  }
}
