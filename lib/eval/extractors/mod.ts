/**
 * Feature extractors: images in, one vector for each out. The networks themselves are elsewhere:
 * Inception in lib/eval/inception, others in ONNX files. To be read in this order:
 *
 * 1. extractor.ts, what an extractor is;
 * 2. open.ts, all of them by name;
 * 3. pixels.ts and digit_classifier.ts, the small ones (digit_classifier_data.ts has its weights);
 * 4. inception.ts, the features of the FID;
 * 5. onnx_extractor.ts, any network, as its file describes itself (onnx_description.ts), in threads
 *    (onnx_sessions.ts, onnx_worker.ts).
 *
 * @module
 */

export * from "./extractor.ts";
export * from "./open.ts";
export * from "./pixels.ts";
export * from "./digit_classifier.ts";
export * from "./inception.ts";
export * from "./onnx_extractor.ts";
export * from "./onnx_description.ts";
