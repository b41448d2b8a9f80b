/**
 * What the files of a folder or an archive mean: where the data set begins, which part of it is
 * asked for, and which class every item is of.
 *
 * A folder that holds everything is passed through, so that `zip -r pets.zip pets` is read as
 * `pets` is. Of folders `train` and `val` one is taken. Labels come from the first of these that is
 * there:
 *
 * 1. `dataset.json`, `{"labels": [["a/b.png", 3], …]}` as EDM's and StyleGAN's `dataset_tool.py`
 *    write it, perhaps with `label_names`;
 * 2. `metadata.jsonl` or `metadata.csv` with `file_name` and `label`, as the `imagefolder` of the
 *    datasets library reads it;
 * 3. the names of the folders directly below, sorted as text, when every item lies in one of them.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { parseCsv } from "../../formats/arrays/csv.ts";
import { counted } from "../../base/units.ts";
import type { FileTree } from "./file_tree.ts";
import { checkedLabels, checkNames } from "./labels.ts";
import { LIKE_LABELS } from "./passed_over.ts";
import { type Split, splitOfFolder } from "./splits.ts";

/** EDM's file of labels. */
const EDM = "dataset.json";
/** Those of the datasets library. */
const HUB = ["metadata.jsonl", "metadata.csv"];
/** What `imm sample` leaves beside its pictures. */
const OWN = "samples.json";
/** Things that a message names. */
const NAMED = 4;

/** Classes of items. */
export interface TreeLabels {
  /** Of each item. */
  readonly labels: Int32Array;
  /** Names of the classes, where folders or files give some. */
  readonly names: readonly string[] | null;
  /** Where they come from, for people. */
  readonly source: string;
}

/** What was made of a tree. */
export interface Understood {
  /** From where the data set begins; closing it closes the whole tree. */
  readonly tree: FileTree;
  /** What a person should know, in sentences. */
  readonly notes: readonly string[];
}

/**
 * The part of a tree that is the data set.
 *
 * @param isItem which files are items
 * @param split the part that is asked for
 * @throws {FormatError} when the tree has no such part
 */
export function findRoot(
  tree: FileTree,
  isItem: (path: string) => boolean,
  split?: Split,
): Understood {
  const notes: string[] = [];
  let prefix = "";
  let chosen: Split | undefined;
  let isKept = (_path: string) => true;
  for (;;) {
    const inside = tree.paths.filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    const tops = topsOf(inside.filter(isItem));
    if (tops.length === 0 || tops.includes("")) break; // items lie here: this is the root
    const hasLabels = topsOf(inside.filter(isLabels)).includes("");
    const parts = tops.map((top) => splitOfFolder(top.slice(0, -1)));
    if (chosen === undefined && parts.every((part) => part !== null)) {
      const at = parts.indexOf(split ?? "train");
      if (at >= 0 && (split || tops.length > 1)) {
        chosen = parts[at];
        if (!split) notes.push(leftAside(tree, tops, at, prefix, isItem));
        if (!hasLabels) {
          prefix += tops[at];
          continue;
        }
        const others = tops.filter((_, i) => i !== at).map((top) => prefix + top);
        isKept = (path) => !others.some((other) => path.startsWith(other));
        break;
      }
      if (tops.length > 1) throw noPart(tree, tops, parts as Split[], split ?? "train");
    }
    if (hasLabels || topsOf(inside.filter((path) => isItem(path) || isLabels(path))).length > 1) {
      break;
    }
    prefix += tops[0];
  }
  if (split && chosen === undefined) {
    throw new FormatError(
      `${tree.name} is not divided in images for training and others; leave out #${split}.`,
    );
  }
  return { tree: subtree(tree, prefix, isKept), notes };
}

/** The folders, with a slash, that paths begin with; empty for what lies in none. */
function topsOf(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => path.slice(0, path.indexOf("/") + 1)))];
}

function isLabels(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name === EDM || HUB.includes(name);
}

function leftAside(
  tree: FileTree,
  tops: readonly string[],
  taken: number,
  prefix: string,
  isItem: (path: string) => boolean,
): string {
  const count = (top: string) =>
    tree.paths.filter((path) => path.startsWith(prefix + top) && isItem(path)).length;
  const others = tops.filter((_, i) => i !== taken);
  const list = others.map((top) =>
    `${count(top)} of ${top} (${tree.name}#${splitOfFolder(top.slice(0, -1))})`
  );
  return `${tree.name} is divided: the ${count(tops[taken])} files of ${tops[taken]} are taken, ` +
    `not the ${list.join(" and ")}.`;
}

function noPart(
  tree: FileTree,
  tops: readonly string[],
  parts: readonly Split[],
  wanted: Split,
): FormatError {
  return new FormatError(
    `${tree.name} is divided in ${tops.join(", ")}, none of which is for ` +
      `${wanted === "train" ? "training" : wanted}; give one of ` +
      `${parts.map((part) => `${tree.name}#${part}`).join(", ")}.`,
  );
}

/** The files below a folder of a tree that are kept, named from there. */
function subtree(tree: FileTree, prefix: string, isKept: (path: string) => boolean): FileTree {
  return {
    name: tree.name,
    paths: tree.paths.filter((path) => path.startsWith(prefix) && isKept(path))
      .map((path) => path.slice(prefix.length)),
    passedOver: tree.passedOver,
    describe: (path) => tree.describe(prefix + path),
    readSync: (path, most) => tree.readSync(prefix + path, most),
    place: (path) => tree.place(prefix + path),
    size: (path) => tree.size(prefix + path),
    checksum: (path) => tree.checksum(prefix + path),
    close: () => tree.close(),
    [Symbol.dispose]: () => tree.close(),
  };
}

/**
 * The classes of items, null where there are none, and what a person should know of it.
 *
 * @param tree from where the data set begins, see {@link findRoot}
 * @param all items of the tree; classes that are folders are counted from these
 * @param paths of the items that labels are wanted of
 * @throws {FormatError} when a file of labels is damaged, contradicts itself, or lacks an item
 */
export function readLabels(
  tree: FileTree,
  all: readonly string[],
  paths: readonly string[] = all,
): { labels: TreeLabels | null; notes: string[] } {
  const nested = tree.paths.find((path) => path.endsWith(`/${EDM}`));
  const notes: string[] = [];
  const tell = (note: string) => notes.push(note);
  if (tree.paths.includes(EDM)) return { labels: labelsFromEdm(tree, paths, tell), notes };
  if (nested !== undefined) {
    const folder = nested.slice(0, -EDM.length);
    throw new FormatError(
      `${tree.describe(nested)} has the labels of what lies beside it, but there are pictures ` +
        `outside of ${folder}, too; give that folder alone, or put one ${EDM} for all of them ` +
        `beside ${folder}.`,
    );
  }
  const hub = HUB.find((name) => tree.paths.includes(name));
  const labels = hub === undefined ? null : labelsFromHub(tree, hub, paths, tell);
  if (labels !== null) return { labels, notes };
  return labelsFromFolders(tree, all, paths);
}

function labelsFromEdm(
  tree: FileTree,
  paths: readonly string[],
  tell: (note: string) => void,
): TreeLabels | null {
  const name = tree.describe(EDM);
  const metadata = parseJson(new TextDecoder().decode(tree.readSync(EDM)), name);
  const list = (metadata as { labels?: unknown } | null)?.labels ?? null;
  if (list === null) return null;
  const isPair = (pair: unknown): pair is [string, number] =>
    Array.isArray(pair) && typeof pair[0] === "string" && Number.isInteger(pair[1]);
  if (!Array.isArray(list) || !list.every(isPair)) {
    throw new FormatError(
      `${name} must hold {"labels": [["folder/picture.png", 3], …]} or {"labels": null}.`,
    );
  }
  const own = pick(list, paths, { tree, name, tell });
  const labels = checkedLabels(own, name);
  const names = (metadata as { label_names?: unknown }).label_names ?? null;
  const isName = (name: unknown): name is string => typeof name === "string";
  if (names !== null && !(Array.isArray(names) && names.every(isName))) {
    throw new FormatError(`${name}: label_names must be a list of texts, one per class.`);
  }
  checkNames(labels, names, name);
  return { labels, names, source: EDM };
}

/**
 * Of each path, what a list says of it. Tells of what the list has and the tree lacks.
 *
 * @throws {FormatError} when that is nothing, or two things
 */
function pick<T extends number | string>(
  list: readonly (readonly [string, T])[],
  paths: readonly string[],
  { tree, name, tell }: {
    readonly tree: FileTree;
    readonly name: string;
    readonly tell: (note: string) => void;
  },
): T[] {
  const labelOf = new Map<string, T>();
  for (const [path, label] of list) {
    const key = keyOf(path.replaceAll("\\", "/").replace(/^(\.\/)+/, ""));
    const before = labelOf.get(key);
    if (before !== undefined && before !== label) {
      throw new FormatError(`${name} gives ${key} two labels, ${before} and ${label}.`);
    }
    labelOf.set(key, label);
  }
  const there = new Set(tree.paths.map(keyOf));
  // Files of another part of the data are not looked at.
  const missing = [...labelOf.keys()].filter((key) =>
    !there.has(key) && splitOfFolder(key.slice(0, Math.max(0, key.indexOf("/")))) === null
  );
  if (missing.length > 0) {
    tell(
      `${name} has labels of ${counted(missing.length, "file")} that ` +
        `${missing.length === 1 ? "is" : "are"} not there: ${named(missing)}.`,
    );
  }
  return paths.map((path) => {
    const label = labelOf.get(keyOf(path));
    if (label === undefined) throw new FormatError(`${name} has no label for ${path}.`);
    return label;
  });
}

/** File systems differ in how they compose letters and accents. */
function keyOf(path: string): string {
  return path.normalize("NFC");
}

function labelsFromHub(
  tree: FileTree,
  file: string,
  paths: readonly string[],
  tell: (note: string) => void,
): TreeLabels | null {
  const name = tree.describe(file);
  const text = new TextDecoder().decode(tree.readSync(file));
  const rows: Record<string, unknown>[] = file.endsWith(".csv")
    ? parseCsv(text, name)
    : text.split("\n").filter((line) => line.trim() !== "")
      .map((line, i) => parseJson(line, `${name}, line ${i + 1},`) as Record<string, unknown>);
  const isNamed = (row: Record<string, unknown> | null) =>
    typeof row?.file_name === "string" && row.file_name !== "";
  const isLabelled = (row: Record<string, unknown> | null) => (row?.label ?? "") !== "";
  if (!rows.some((row) => isNamed(row) && isLabelled(row))) return null; // of another kind
  const odder = rows.findIndex((row) => !isNamed(row));
  if (odder >= 0) {
    throw new FormatError(
      `${name} has a line without file_name, number ${odder + 1} of ${rows.length}.`,
    );
  }
  const isNumber = (label: unknown) =>
    typeof label === "number" || file.endsWith(".csv") && /^\d+$/.test(String(label));
  const numbers = rows.every(({ label }) => isNumber(label));
  const odd = rows.find(({ label }) => !numbers && (typeof label !== "string" || label === ""));
  if (odd) {
    throw new FormatError(
      `${name} gives ${odd.file_name} the label ${JSON.stringify(odd.label) ?? "nothing"}; ` +
        `expected numbers in all lines, or names in all.`,
    );
  }
  const list = rows.map(({ file_name, label }) => [file_name as string, label as string] as const);
  const own = pick(list, paths, { tree, name, tell });
  if (numbers) return { labels: checkedLabels(own.map(Number), name), names: null, source: file };
  const names = [...new Set(list.map(([, label]) => label))].sort();
  const numberOf = new Map(names.map((name, i) => [name, i]));
  return { labels: Int32Array.from(own, (label) => numberOf.get(label)!), names, source: file };
}

/** @throws {FormatError} when it is no JSON */
function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${name} is not valid JSON.`, { cause });
  }
}

function labelsFromFolders(
  tree: FileTree,
  all: readonly string[],
  paths: readonly string[],
): { labels: TreeLabels | null; notes: string[] } {
  const notes = unreadFiles(tree, all);
  const folderOf = (path: string) => path.slice(0, Math.max(0, path.indexOf("/")));
  const names = [...new Set(all.map(folderOf))].sort();
  if (names.includes("")) {
    const [, ...folders] = names; // "" sorts first
    const beside = all.filter((path) => !path.includes("/"));
    if (folders.length > 0) {
      notes.push(
        `${tree.name}: no classes, because pictures lie beside the folders ` +
          `${named(folders.map((folder) => `${folder}/`))}: ${named(beside)}.`,
      );
    }
    return { labels: null, notes };
  }
  const parts = names.filter((name) => splitOfFolder(name) !== null);
  if (parts.length > 1) {
    notes.push(
      `${tree.name}: ${named(parts)} are taken as classes like the folders beside them; if they ` +
        `are parts of the data, give one of them alone.`,
    );
  }
  const numbers = new Map(names.map((name, i) => [name, i]));
  const labels = Int32Array.from(paths, (path) => numbers.get(folderOf(path))!);
  const isOff = names.every((name) => /^\d+$/.test(name)) &&
    names.some((name, i) => Number(name) !== i);
  if (isOff) {
    const list = names.map((name, i) => `class ${i} is folder ${name}`);
    notes.push(
      `${tree.name}: folders are sorted as text, as ImageFolder and EDM's tool do it, so their ` +
        `names are not the numbers of the classes: ${named(list)}.`,
    );
  }
  const composed = names.map((name) => name.normalize("NFC"));
  return { labels: { labels, names: composed, source: "folders" }, notes };
}

/** Files that look as if they had labels, which are not taken. */
function unreadFiles(tree: FileTree, all: readonly string[]): string[] {
  const items = new Set(all);
  const found = tree.paths.filter((path) =>
    LIKE_LABELS.test(path) && !items.has(path) && !path.endsWith(OWN)
  );
  if (found.length === 0) return [];
  return [
    `${tree.name}: ${named(found)} ${
      found.length === 1 ? "is" : "are"
    } not read; labels are taken ` +
    `from ${EDM}, from ${HUB.join(" or ")} with file_name and label, or from the names of folders.`,
  ];
}

function named(list: readonly string[]): string {
  const more = list.length > NAMED ? `, and ${list.length - NAMED} more` : "";
  return list.slice(0, NAMED).join(", ") + more;
}
