/** Safetensors files as other programs write them. */

import { CHECKSUMS_KEY } from "../../../lib/formats/safetensors/checksums.ts";

/** The same file without checksums, which would tell of any damage before anything else is read. */
export function withoutChecksums(bytes: Uint8Array): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  delete header.__metadata__[CHECKSUMS_KEY];
  const json = new TextEncoder().encode(JSON.stringify(header));
  const result = new Uint8Array(8 + json.length + bytes.length - 8 - length);
  new DataView(result.buffer).setBigUint64(0, BigInt(json.length), true);
  result.set(json, 8);
  result.set(bytes.subarray(8 + length), 8 + json.length);
  return result;
}
