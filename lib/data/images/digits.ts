/**
 * 1,797 handwritten digits, 8 x 8 pixels, that are part of the program: enough to see a model
 * learn within a minute, without a download.
 *
 * @module
 */

import { parseIdx } from "../../formats/arrays/idx.ts";
import type { Dataset } from "../dataset.ts";
import { DIGIT_IMAGES, DIGIT_LABELS } from "./digits_data.ts";
import { idxDataset } from "./idx.ts";

/** The digits, with the labels 0 to 9. Source and licence: digits_data.ts. */
export async function openDigits(): Promise<Dataset> {
  const name = "digits";
  const images = await parseIdx(Uint8Array.fromBase64(DIGIT_IMAGES), { name });
  const labels = await parseIdx(Uint8Array.fromBase64(DIGIT_LABELS), { name });
  return idxDataset(name, images, labels, name);
}
