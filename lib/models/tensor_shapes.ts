/**
 * Names and shapes of a state dict, to be asked by those who look for a network in them.
 *
 * @module
 */

import { FormatError } from "../base/errors.ts";

/** Shapes by official name, with the prefix `model.`. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Looks names up without the prefix, and complains about the file when they are not there. */
export class TensorShapes {
  constructor(
    private readonly shapes: Shapes,
    /** What error messages call the file. */
    private readonly source: string,
    /** What the file was expected to be. */
    private readonly expected: string,
  ) {}

  /** Whether there is such a tensor. */
  has(name: string): boolean {
    return this.shapes.has(`model.${name}`);
  }

  /**
   * The shape of a tensor.
   *
   * @throws {FormatError} when it is not there, or has another number of axes
   */
  shape(name: string, axes: number): readonly number[] {
    const shape = this.shapes.get(`model.${name}`);
    if (shape === undefined || shape.length !== axes) {
      throw this.unknown(
        shape === undefined
          ? `it has no ${name}`
          : `its ${name} has ${shape.length} axes instead of ${axes}`,
      );
    }
    return shape;
  }

  /** What the first group of a pattern caught in the names, without repetition. */
  matches(pattern: RegExp): string[] {
    const caught = new Set<string>();
    for (const name of this.shapes.keys()) {
      const match = pattern.exec(name.slice("model.".length));
      if (match) caught.add(match[1]);
    }
    return [...caught];
  }

  /** The error of a file that is not what it was expected to be. */
  unknown(why: string): FormatError {
    return new FormatError(
      `${this.source} is not a ${this.expected} as far as its tensors show: ${why}; ` +
        `give the configuration with --config.`,
    );
  }
}
