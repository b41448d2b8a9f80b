/**
 * A small convolutional classifier of the embedded digits, as a feature extractor. It was trained
 * with this project's own engine (tools/digit_classifier.ts) and is part of the program.
 *
 * @module
 */

import { gunzip } from "../../formats/archive/inflate.ts";
import { threefry2x32 } from "../../random/threefry.ts";
import { DIGIT_CLASSIFIER } from "./digit_classifier_data.ts";
import { OnnxExtractor } from "./onnx_extractor.ts";

/** What the model may unpack to, in bytes. */
const LIMIT = 1 << 20;

/** Opens the classifier: 8 x 8 grey images to 64 features and the logits of the digits 0 to 9. */
export async function openDigitClassifier(): Promise<OnnxExtractor> {
  const name = "the digit classifier";
  const model = gunzip(Uint8Array.fromBase64(DIGIT_CLASSIFIER), LIMIT, name);
  // Threads would take longer to start than this network to run.
  return await OnnxExtractor.load(model, { threads: 1, classNames: [..."0123456789"] });
}

/** Whether the classifier did not see image `index` of the digits in training: about half. */
export function isHeldOut(index: number): boolean {
  return (threefry2x32(0, 0, index, 0)[0] & 1) === 1;
}
