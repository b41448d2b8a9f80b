/**
 * Embeddings of times and positions, computed on the host in float64 and uploaded as float32:
 * at c_noise near 1000 the argument of a float32 sine would already be off by 3e-5.
 *
 * @module
 */

/** Sinusoids of times: cosines of all frequencies, then sines (or the reverse). */
export interface SinusoidOptions {
  /** Columns; an odd one gets a column of zeros at the end. */
  readonly channels: number;
  /** Whether the lowest frequency is exactly 1/10000; else it is one step above. */
  readonly endpoint: boolean;
  /** Sines first, as SongUNet swaps them. */
  readonly sineFirst: boolean;
}

const MAX_PERIOD = 10000;

/**
 * Transformer-style positional embedding of `times` -> [times.length, channels].
 *
 * `endpoint: false` is the form of ADM and DiT, `endpoint: true` that of DDPM++.
 */
export function positionalEmbedding(
  times: ArrayLike<number>,
  { channels, endpoint, sineFirst }: SinusoidOptions,
): Float32Array {
  const half = Math.floor(channels / 2);
  const steps = half - (endpoint ? 1 : 0);
  const frequencies = Array.from({ length: half }, (_, i) => Math.pow(MAX_PERIOD, -i / steps));
  return sinusoids(times, channels, frequencies, sineFirst, (t, f) => t * f);
}

/**
 * Random Fourier features of `times` -> [times.length, 2 * frequencies.length].
 *
 * Frequencies times c_noise reach 1e5 turns, so what trained networks saw is the argument rounded
 * to float32; it is rounded the same way here.
 */
export function fourierEmbedding(
  times: ArrayLike<number>,
  frequencies: Float32Array,
  sineFirst: boolean,
): Float32Array {
  const turn = Math.fround(2 * Math.PI);
  return sinusoids(
    times,
    2 * frequencies.length,
    Array.from(frequencies, (f) => Math.fround(turn * f)),
    sineFirst,
    (t, f) => Math.fround(Math.fround(t) * f),
  );
}

function sinusoids(
  times: ArrayLike<number>,
  channels: number,
  frequencies: readonly number[],
  sineFirst: boolean,
  argument: (time: number, frequency: number) => number,
): Float32Array {
  const out = new Float32Array(times.length * channels);
  const half = frequencies.length;
  const [cosine, sine] = sineFirst ? [half, 0] : [0, half];
  for (let n = 0; n < times.length; n++) {
    for (let i = 0; i < half; i++) {
      const angle = argument(times[n], frequencies[i]);
      out[n * channels + cosine + i] = Math.cos(angle);
      out[n * channels + sine + i] = Math.sin(angle);
    }
  }
  return out;
}

/**
 * DiT's table of 2-D positions -> [side², channels], rows in row-major order of the grid: first half
 * of the columns for the horizontal coordinate, second half for the vertical one, each sines then
 * cosines.
 */
export function gridEmbedding(channels: number, side: number): Float32Array {
  const half = channels / 2;
  const coordinates = Array.from({ length: side }, (_, i) => i);
  const line = positionalEmbedding(coordinates, {
    channels: half,
    endpoint: false,
    sineFirst: true,
  });
  const out = new Float32Array(side * side * channels);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = (row * side + column) * channels;
      out.set(line.subarray(column * half, (column + 1) * half), at);
      out.set(line.subarray(row * half, (row + 1) * half), at + half);
    }
  }
  return out;
}
