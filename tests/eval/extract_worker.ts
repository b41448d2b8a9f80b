/** Extracts features in a Worker, which has a runtime of its own: { model, images, threads }. */

import { OnnxExtractor } from "../../lib/eval/extractors/onnx_extractor.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent) => void;
  postMessage: (message: unknown) => void;
};

scope.onmessage = async ({ data: { model, images, threads } }) => {
  await using extractor = await OnnxExtractor.load(model, { threads });
  scope.postMessage((await extractor.extract(images)).features);
};
