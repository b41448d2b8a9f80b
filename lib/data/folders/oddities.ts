/**
 * Telling people of pictures that are read although their files are odd: each oddity once, with the
 * first picture that has it, and then how many there were.
 *
 * @module
 */

import { counted } from "../../base/units.ts";

/** Oddities of the pictures of one set. */
export class OddityLog {
  readonly #found = new Map<string, { readonly first: string; count: number }>();

  /** @param tell is given sentences; without it nothing is told */
  constructor(private readonly tell: ((sentence: string) => void) | undefined) {}

  /**
   * Takes what is odd about a picture, and tells it where it is the first.
   *
   * @param oddities as of a probed or decoded picture: what follows "has"
   */
  add(picture: string, oddities: readonly string[] = []): void {
    for (const oddity of oddities) {
      const known = this.#found.get(oddity);
      if (known) known.count++;
      else {
        this.#found.set(oddity, { first: picture, count: 1 });
        this.tell?.(`${picture} has ${oddity}.`);
      }
    }
  }

  /** Tells how many more there were. */
  finish(): void {
    for (const [oddity, { first, count }] of this.#found) {
      if (count > 1) {
        this.tell?.(
          `${counted(count - 1, "more picture", "more pictures")} like ${first} ` +
            `${count === 2 ? "has" : "have"} ${oddity}.`,
        );
      }
    }
    this.#found.clear();
  }
}

/** Sentences about the oddities of all pictures of a set, for when all of them are known. */
export function oddityNotes(
  set: string,
  pictures: readonly { readonly path: string; readonly oddities?: readonly string[] }[],
): string[] {
  const found = new Map<string, string[]>();
  for (const { path, oddities = [] } of pictures) {
    for (const oddity of oddities) found.set(oddity, [...found.get(oddity) ?? [], path]);
  }
  return [...found].map(([oddity, paths]) =>
    `${set}: ${paths.length} of ${counted(pictures.length, "picture", "pictures")} ` +
    `${paths.length === 1 ? "has" : "have"} ${oddity}: ${paths[0]}${
      paths.length > 1 ? " is the first" : ""
    }.`
  );
}
