/**
 * Files that lie among pictures and are not read, counted and named: so that nobody trains on three
 * of eight pictures without knowing.
 *
 * @module
 */

import { OTHER_IMAGE_EXTENSIONS } from "../../formats/image/decode.ts";
import { counted } from "../../base/units.ts";

/** What a tree of files does not list. */
export interface PassedOver {
  /** What systems and programs leave behind: `.DS_Store`, `._x`, `@eaDir`, `__MACOSX`, … */
  readonly leavings: readonly string[];
  /** Links that lead nowhere. */
  readonly deadLinks: readonly string[];
  /** Links to a folder that they lie in. */
  readonly circles: readonly string[];
}

/** Names of leavings, also of folders; what begins with a dot is hidden, and one, too. */
const LEAVINGS =
  /^(\.|(@eaDir|@Recycle|#recycle|__MACOSX|\$RECYCLE\.BIN|System Volume Information|lost\+found|Thumbs\.db|ehthumbs\.db|desktop\.ini)$)/i;
/** Files that may hold labels, of which tree_labels.ts speaks. */
export const LIKE_LABELS =
  /\.(json|jsonl|csv|tsv|xml|parquet|arrow)$|(^|\/)(labels?|classes|annotations?)\.txt$/i;
/** Files that a sentence names of each kind. */
const NAMED = 3;

/** Whether a part of a path is what systems and programs leave behind. */
export function isLeaving(name: string): boolean {
  return LEAVINGS.test(name);
}

/** Whether a file is a picture of a kind that is not read, by its name. */
export function isOtherPicture(path: string): boolean {
  return OTHER_IMAGE_EXTENSIONS.some((extension) => path.toLowerCase().endsWith(extension));
}

/**
 * One sentence about all that is passed over, or none where nobody misses it: leavings are only
 * worth it where there is something else, or where they look like pictures.
 *
 * @param others files that are listed, and are no pictures that are read
 * @returns also whether something is missing that was meant as a picture
 */
export function passedOverNotes(
  set: string,
  others: readonly string[],
  { leavings, deadLinks, circles }: PassedOver,
  isPicture: (path: string) => boolean,
): { notes: string[]; isMissing: boolean } {
  const pictures = others.filter(isOtherPicture);
  const rest = others.filter((path) => !isOtherPicture(path) && !LIKE_LABELS.test(path));
  const part = (list: readonly string[], one: string, many: string) =>
    list.length === 0 ? [] : [`${counted(list.length, one, many)} (${named(list)})`];
  const isMissing = pictures.length + deadLinks.length + circles.length > 0;
  if (!isMissing && rest.length === 0 && !leavings.some(isPicture)) return { notes: [], isMissing };
  const parts = [
    ...part(pictures, "picture of a kind that is not read", "pictures of kinds that are not read"),
    ...part(deadLinks, "link that leads nowhere", "links that lead nowhere"),
    ...part(circles, "link to a folder around it", "links to folders around them"),
    ...part(rest, "other file", "other files"),
    ...part(leavings, "leaving of another program", "leavings of other programs"),
  ];
  return { notes: [`${set}: not used: ${parts.join(", ")}.`], isMissing };
}

function named(list: readonly string[]): string {
  const more = list.length > NAMED ? `, and ${list.length - NAMED} more` : "";
  return list.slice(0, NAMED).join(", ") + more;
}
