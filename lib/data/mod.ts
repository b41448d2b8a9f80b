/**
 * Data sets and the stream of training images.
 *
 * @module
 */

export * from "./dataset.ts";
export * from "./open.ts";
export * from "./loader.ts";
export type { FolderOptions } from "./folder_dataset.ts";
