/**
 * Pixels and the numbers a network sees, as the public code converts them.
 *
 * @module
 */

/** Bytes 0..255 as x / 127.5 - 1, so from -1 to 1. */
export function encodeRgb(pixels: ArrayLike<number>): Float32Array {
  return Float32Array.from(pixels, (byte) => byte / 127.5 - 1);
}

/** {@link encodeRgb} of every byte. */
export const SCALED: Float32Array = encodeRgb(Array.from({ length: 256 }, (_, byte) => byte));

/** Samples as bytes: clip(x * 127.5 + 128, 0, 255), truncated. */
export function decodeRgb(samples: ArrayLike<number>): Uint8Array {
  // The + 128 in place of 127.5 turns the truncation into rounding to the nearest byte.
  return Uint8Array.from(
    samples,
    (x) => Math.min(255, Math.max(0, Math.fround(Math.fround(x * 127.5) + 128))),
  );
}
