/**
 * Folders and zip archives with a file for each item: pictures, or npy files of latents where there
 * are no pictures. Zip archives of arrays (npz) are told from those of pictures here, too.
 *
 * @module
 */

import { isZip } from "../../formats/archive/zip.ts";
import type { Dataset } from "../dataset.ts";
import { isPicture, openFolderDataset } from "../images/folder.ts";
import { holdsArrays, openNpzDataset } from "../images/npz.ts";
import type { LatentDataset } from "../latents/dataset.ts";
import { isLatentFile, openLatentFolder } from "../latents/folder.ts";
import type { DataSource, OpenRequest } from "../source.ts";
import { type FileTree, openZipTree } from "./file_tree.ts";

/** Zip archives, called .npz or .zip, and those that unpack themselves. */
export const ZIP: DataSource = {
  endings: ".npz, .zip",
  divided: true,
  isNamed: (path) => /\.(?:npz|zip)$/i.test(path),
  // Those that unpack themselves lie behind a program of Windows, or a script.
  begins: (start) => isZip(start) || /^(MZ|#!)/.test(String.fromCharCode(...start.subarray(0, 2))),
  async openFile(path, request) {
    const tree = await openZipTree(path);
    const isModel = tree.paths.some((name) => /\/data\.pkl$|^model\.weights\.h5$/.test(name));
    if (!isModel && !holdsArrays(tree)) return await openTree(tree, request);
    tree.close();
    return isModel ? null : await openNpzDataset(path, request.split);
  },
};

/** Folders that are of no other kind. */
export const FOLDER: DataSource = {
  openFolder: (tree, request) => openTree(tree, request),
};

/** Takes over the closing of the tree. */
async function openTree(
  tree: FileTree,
  { options, split }: OpenRequest,
): Promise<Dataset | LatentDataset> {
  const isLatent = !tree.paths.some(isPicture) && tree.paths.some(isLatentFile);
  return isLatent ? openLatentFolder(tree, split) : await openFolderDataset(tree, options, split);
}
