/**
 * The hash that fills the weights of fixtures too large to store: FNV-1a of the name, then Chris
 * Wellons' lowbias32 mixer of the element's number. tests/golden/README.md has the definition.
 */

/** FNV-1a, 32 bits, of the UTF-8 bytes. */
export function fnv1a32(text: string): number {
  let hash = 0x811C9DC5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The 32-bit hash of element `index` of the array called `name`. */
export function hash32(name: string, index: number): number {
  return mix(fnv1a32(name), index);
}

/** `size` numbers in [-1, 1), times scale, plus offset, rounded to float32. */
export function hashedValues(
  name: string,
  size: number,
  scale: number,
  offset: number,
): Float32Array<ArrayBuffer> {
  const start = fnv1a32(name);
  return Float32Array.from(
    { length: size },
    (_, i) => offset + scale * (2 * (mix(start, i) / 2 ** 32) - 1),
  );
}

function mix(start: number, index: number): number {
  let x = (start + Math.imul(index, 0x9E3779B9)) | 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7FEB352D);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846CA68B);
  x ^= x >>> 16;
  return x >>> 0;
}
