/**
 * The one thing in a camera's metadata that matters here: how the picture is to be turned.
 *
 * @module
 */

const ORIENTATION = 0x0112;
const SHORT = 3;

/**
 * The orientation in an EXIF block, 1 to 8, or 1 where it says none.
 *
 * @param tiff the block, from its byte order on
 */
export function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 14) return 1;
  const little = tiff[0] === 0x49;
  const at = view.getUint32(4, little);
  if (at + 2 > tiff.length) return 1;
  const count = view.getUint16(at, little);
  for (let i = 0, entry = at + 2; i < count && entry + 12 <= tiff.length; i++, entry += 12) {
    if (view.getUint16(entry, little) !== ORIENTATION) continue;
    return view.getUint16(entry + 2, little) === SHORT ? view.getUint16(entry + 8, little) : 1;
  }
  return 1;
}
