/**
 * What a kind of data set is: which files and folders are of it, and how they are opened. Every kind
 * has its row beside its code; `open.ts` lists them.
 *
 * @module
 */

import { FormatError } from "../base/errors.ts";
import type { Dataset } from "./dataset.ts";
import type { FileTree } from "./folders/file_tree.ts";
import type { Split } from "./folders/splits.ts";
import type { FolderOptions } from "./images/folder.ts";
import type { LatentDataset } from "./latents/dataset.ts";

/** What is asked for of a file or folder. */
export interface OpenRequest {
  /** The part that is asked for. */
  readonly split?: Split;
  /** How pictures are read. */
  readonly options: FolderOptions;
}

/** A row of the kinds of data sets. */
export interface DataSource {
  /** Endings of its files, for the sentence about a file of no kind; with `latents` for those. */
  readonly endings?: string;
  /** Whether its files hold latents only. */
  readonly latents?: boolean;
  /** Whether a file is called like one of this kind. */
  isNamed?(path: string): boolean;
  /** Whether a file begins like one of this kind, uncompressed: asked where no name says more. */
  begins?(start: Uint8Array): boolean;
  /** Whether a file can be divided: it is given the part that is asked for. */
  readonly divided?: boolean;
  /** Opens a file; null where it turns out to be something else. */
  openFile?(path: string, request: OpenRequest): Promise<Dataset | LatentDataset | null>;
  /** Opens a folder, of the tree's name, and closes the tree; null where it is of another kind. */
  openFolder?(
    tree: FileTree,
    request: OpenRequest,
  ): Promise<Dataset | LatentDataset> | null;
}

/** The error of a data set that has no parts. */
export function notDivided(path: string, split: Split): FormatError {
  return new FormatError(
    `${path} is not divided in images for training and others; leave out #${split}.`,
  );
}

/** Names of the files that lie in a folder itself. */
export function namesIn({ paths }: FileTree): string[] {
  return paths.filter((path) => !path.includes("/"));
}
