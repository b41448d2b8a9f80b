/**
 * What tells one data set from another, so that a training run notices when it is resumed with other
 * data. It must be quick for millions of pictures, and the same wherever the data lie and in whatever
 * container, so that they can be moved, and a folder be made an archive:
 *
 * - the number of items, their shape, the classes, their names, and every label;
 * - the contents of all items where they are few (see {@link fingerprint}), else of some, evenly
 *   spread;
 * - where each item is a file, the sizes of some of the files; what an archive says of the contents
 *   of all of them (CRC-32) without their being read; and of folders a checksum of the first 64 KiB
 *   of every picture, which are read in any case.
 *
 * So of large pictures in folders one can escape that differs from another only beyond its first 64
 * KiB, and has the same number of bytes; and in arrays of more than 256 MiB that are no npz a few
 * that were changed in place. Other pictures, labels, classes, an added or a missing picture do not.
 *
 * @module
 */

import { Sha256, sha256 } from "../base/hash.ts";
import { FormatError } from "../base/errors.ts";
import type { Dataset } from "./dataset.ts";
import { isLatents, type LatentDataset } from "./latents/dataset.ts";

/** A data set in a few hundred bytes, and the names of its classes. Plain JSON. */
export interface DataFingerprint {
  /** What the items are. */
  readonly kind: "images" | "latents";
  /** Number of items. */
  readonly items: number;
  /** Height, width and channels of an item. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** Number of classes; 0 for none. */
  readonly classes: number;
  /** Names of the classes, where the data set has some. */
  readonly classNames: readonly string[] | null;
  /** SHA-256 of all labels in hexadecimal; null where there are none. */
  readonly labels: string | null;
  /** SHA-256 of the decoded contents of so many items. */
  readonly contents: Digest;
  /** SHA-256 of the sizes of so many files; null where items are not files of their own. */
  readonly sizes: Digest | null;
  /** What the container says of all items, with its kind; null where it says nothing. */
  readonly stored: string | null;
}

/** A hash over so many items, evenly spread. */
export interface Digest {
  /** How many. */
  readonly items: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** Of how many items the contents and the sizes are looked at. */
export interface FingerprintEffort {
  /** Items whose contents are looked at. */
  readonly contents: number;
  /** Files whose sizes are looked at. */
  readonly sizes: number;
}

/** Bytes of decoded contents that are looked at where each item has to be decoded. */
const DECODED_BYTES = 2 ** 24;
/** The same where items lie in an array as they are. */
const ARRAY_BYTES = 2 ** 28;
/** Items whose contents are looked at in any case. */
const LEAST_ITEMS = 64;
/** Files whose sizes are looked at. */
const MOST_SIZES = 20_000;

/**
 * The fingerprint of a data set.
 *
 * @param effort of an earlier fingerprint that this one is to be compared with; left out, the
 * contents of so many items as make 16 MiB (of arrays 256 MiB), but of 64 at least
 */
export function fingerprint(
  set: Dataset | LatentDataset,
  effort: FingerprintEffort = usualEffort(set),
): DataFingerprint {
  const { length, labelCount, labelNames } = set;
  const sizeOf = set.fileSize?.bind(set);
  return {
    kind: isLatents(set) ? "latents" : "images",
    items: length,
    shape: shapeOf(set),
    classes: labelCount,
    classNames: labelNames,
    labels: labelCount === 0
      ? null
      : sha256(Int32Array.from({ length }, (_, i) => set.label(i) ?? -1)),
    contents: digest(length, effort.contents, (i) => contentsOf(set, i)),
    sizes: sizeOf ? digest(length, effort.sizes, (i) => [Float64Array.of(sizeOf(i))]) : null,
    stored: set.storedChecksum?.() ?? null,
  };
}

/** The effort that went into a fingerprint. */
export function effortOf({ contents, sizes }: DataFingerprint): FingerprintEffort {
  return { contents: contents.items, sizes: sizes?.items ?? 0 };
}

/**
 * In what data differ from those of before, in phrases; empty where they are the same. Names of
 * classes and what only the container knows are compared where both have them.
 *
 * @param now made with the effort of `before`
 * @param options.labels whether labels matter
 */
export function fingerprintDifferences(
  before: DataFingerprint,
  now: DataFingerprint,
  { labels = true }: { readonly labels?: boolean } = {},
): string[] {
  const plain = ({ kind, shape: [height, width, channels] }: DataFingerprint) =>
    `${kind} of ${width} x ${height} with ${channels} ${channels === 1 ? "channel" : "channels"}`;
  const found: string[] = [];
  const compare = (what: string, then: unknown, today: unknown) => {
    if (then !== today) found.push(`${what} ${then}, now ${today}`);
  };
  compare("they were", plain(before), plain(now));
  compare("their number was", before.items, now.items);
  if (labels) found.push(...classDifferences(before, now));
  if (found.length > 0) return found;
  if (labels && before.labels !== now.labels) found.push("images have other labels");
  if (before.contents.sha256 !== now.contents.sha256) {
    const { items } = before.contents;
    found.push(
      items === before.items
        ? "images have other contents"
        : `images have other contents (${items} of ${before.items} were compared)`,
    );
  }
  // Where every item was compared, how its file is written is of no importance.
  if (found.length > 0 || before.contents.items === before.items) return found;
  const ofOneKind = before.stored?.split(":")[0] === now.stored?.split(":")[0];
  if (before.sizes && now.sizes && before.sizes.sha256 !== now.sizes.sha256) {
    found.push("files have other sizes");
  } else if (ofOneKind && before.stored !== now.stored) {
    found.push("files have other contents");
  }
  return found;
}

/** Names that are said, of those that differ. */
const SHOWN_NAMES = 3;

function classDifferences(before: DataFingerprint, now: DataFingerprint): string[] {
  const [old, names] = [before.classNames, now.classNames];
  if (old === null || names === null) {
    return before.classes === now.classes
      ? []
      : [`the number of classes was ${before.classes}, now ${now.classes}`];
  }
  const gone = old.filter((name) => !names.includes(name));
  const added = names.filter((name) => !old.includes(name));
  const moved = old.flatMap((name, i) => i < names.length && names[i] !== name ? [i] : []);
  if (before.classes !== now.classes) {
    return [
      `the number of classes was ${before.classes}, now ${now.classes}` +
      (gone.length > 0 ? `; without ${listed(gone)}` : "") +
      (added.length > 0 ? `; with ${listed(added)}` : ""),
    ];
  }
  return moved.length === 0
    ? []
    : moved.slice(0, SHOWN_NAMES).map((i) => `class ${i} was ${old[i]}, now ${names[i]}`);
}

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN_NAMES;
  return names.slice(0, SHOWN_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function usualEffort(set: Dataset | LatentDataset): FingerprintEffort {
  const [height, width, channels] = shapeOf(set);
  const itemBytes = height * width * channels * (isLatents(set) ? 4 : 1);
  const isArray = !isLatents(set) && !set.decoding;
  const items = Math.floor((isArray ? ARRAY_BYTES : DECODED_BYTES) / itemBytes);
  return {
    contents: Math.min(set.length, Math.max(LEAST_ITEMS, items)),
    sizes: Math.min(set.length, MOST_SIZES),
  };
}

function shapeOf(set: Dataset | LatentDataset): DataFingerprint["shape"] {
  return isLatents(set) ? set.storedShape : set.imageShape;
}

function contentsOf(set: Dataset | LatentDataset, index: number): ArrayBufferView[] {
  try {
    if (!isLatents(set)) return [set.image(index)];
    const { hasMirrored } = set;
    return [false, ...(hasMirrored ? [true] : [])].map((mirrored) => set.stored(index, mirrored));
  } catch (error) {
    // Whoever needs this item will say what is wrong with it; here it only has to be the same.
    if (!(error instanceof FormatError)) throw error;
    return [new TextEncoder().encode("cannot be read")];
  }
}

/** Over `wanted` of `count` items, at the middles of equal parts. */
function digest(
  count: number,
  wanted: number,
  bytes: (index: number) => readonly ArrayBufferView[],
): Digest {
  const items = Math.min(wanted, count);
  const hash = new Sha256();
  for (let i = 0; i < items; i++) {
    hash.add(...bytes(Math.floor((i + 0.5) * count / items)));
  }
  return { items, sha256: hash.hex() };
}
