/**
 * The compression of GIF and TIFF (Welch 1984), which differ in the order of bits and in when codes
 * become longer.
 *
 * @module
 */

const MAX_BITS = 12;

/** Which of the two it is. */
export interface LzwKind {
  /** Bits of a value: codes start with one more. */
  readonly bits: number;
  /** Whether codes begin at the highest bit of a byte (TIFF) or at the lowest (GIF). */
  readonly highFirst: boolean;
  /** Codes that are left when they become longer: TIFF's writers are one early. */
  readonly early: 0 | 1;
}

/**
 * Decompresses up to `size` values.
 *
 * @returns fewer where the data ends, or makes no sense from there on
 */
export function lzwDecode(
  bytes: Uint8Array,
  { bits, highFirst, early }: LzwKind,
  size: number,
): Uint8Array {
  const clear = 1 << bits;
  const end = clear + 1;
  // A string of values is its last value and the string before that.
  const prefix = new Uint16Array(1 << MAX_BITS);
  const last = new Uint8Array(1 << MAX_BITS);
  const length = new Uint16Array(1 << MAX_BITS);
  for (let i = 0; i < clear; i++) {
    last[i] = i;
    length[i] = 1;
  }
  const output = new Uint8Array(size);
  let filled = 0;
  let [next, width, before] = [end + 1, bits + 1, -1];
  let [position, held, heldBits] = [0, 0, 0];
  while (filled < size) {
    while (heldBits < width) {
      if (position === bytes.length) return output.subarray(0, filled);
      held = highFirst ? held << 8 | bytes[position] : held | bytes[position] << heldBits;
      position++;
      heldBits += 8;
    }
    heldBits -= width;
    let code: number;
    if (highFirst) {
      code = held >>> heldBits;
      held &= (1 << heldBits) - 1;
    } else {
      code = held & ((1 << width) - 1);
      held >>>= width;
    }
    if (code === clear) {
      [next, width, before] = [end + 1, bits + 1, -1];
      continue;
    }
    if (code === end || code > next || (code === next && before < 0)) break;
    if (before >= 0 && next < 1 << MAX_BITS) {
      prefix[next] = before;
      length[next] = length[before] + 1;
      let first = code === next ? before : code;
      while (length[first] > 1) first = prefix[first];
      last[next] = last[first];
      next++;
      if (next + early >= 1 << width && width < MAX_BITS) width++;
    } else if (code >= next) break;
    const stop = filled;
    filled += length[code];
    for (let at = filled - 1, of = code; at >= stop; at--, of = prefix[of]) {
      if (at < size) output[at] = last[of];
    }
    before = code;
  }
  return output.subarray(0, Math.min(filled, size));
}
