/**
 * Data sets and the stream of training images.
 *
 * @module
 */

export * from "./dataset.ts";
export * from "./open.ts";
export * from "./loader.ts";
export type { FolderOptions } from "./folder_dataset.ts";
export * from "./describe.ts";
export { type Prepared, prepareDataset, type PrepareOptions } from "./prepare.ts";
export type { Crop } from "./fit.ts";
export type { ResizeFilter } from "../format/resize.ts";
