/**
 * What a format of weights is: how its files are told from others, and what an open one offers. Every
 * format has its row beside its code; `foreign_file.ts` lists them.
 *
 * @module
 */

import type { NumericType } from "../../formats/arrays/numeric.ts";

/** A tensor that is still in its file. */
export interface ForeignTensor {
  /** Type of the elements. */
  readonly type: NumericType;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** Where its elements lie, the same for tensors that share them; not every format tells. */
  readonly place?: string;
  /** The elements, row-major and little-endian, read now. */
  read(): Promise<Uint8Array>;
}

/** An open file. Its tensors can be read until it is closed. */
export interface ForeignFile extends Disposable {
  /** Its path. */
  readonly name: string;
  /** What it turned out to be, in the words of people. */
  readonly format: string;
  /** Length of the file. */
  readonly bytes: number;
  /** Names as the file has them: keys, attributes and numbers joined by dots. */
  readonly tensors: ReadonlyMap<string, ForeignTensor>;
  /** Metadata of a safetensors file. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What PyTorch or pickle saved, besides its tensors. */
  readonly value: unknown;
  /** Classes of objects that were passed over, as `collections.deque`: they are not known here. */
  readonly unknown: readonly string[];
}

/** The beginning of a file that is to be told. */
export interface Beginning {
  /** Its path. */
  readonly path: string;
  /** Its first bytes, {@link BEGINNING_BYTES} where it has so many. */
  readonly start: Uint8Array;
}

/** So many bytes of a file are enough to tell its format. */
export const BEGINNING_BYTES = 9;

/** A row of the formats. */
export interface WeightFormat {
  /** Whether a file is of this format. */
  is(beginning: Beginning): boolean | Promise<boolean>;
  /**
   * Opens a file of `bytes` bytes.
   *
   * @throws {FormatError} when it is damaged, or something else after all
   */
  open(path: string, bytes: number): Promise<ForeignFile>;
}
