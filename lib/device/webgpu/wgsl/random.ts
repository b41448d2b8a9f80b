/**
 * Counter-based random numbers in WGSL: threefry-2x32 with 20 rounds (Salmon et al., "Parallel
 * random numbers: as easy as 1, 2, 3", 2011), bit for bit as lib/random/threefry.ts has it.
 *
 * @module
 */

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

/** Declares `threefry(key, counter)`. */
export function threefryFunction(): string {
  const lines: string[] = [];
  for (let group = 0; group < 5; group++) {
    for (const rotation of ROTATIONS[group % 2]) {
      lines.push(
        `x.x += x.y; x.y = ((x.y << ${rotation}u) | (x.y >> ${32 - rotation}u)) ^ x.x;`,
      );
    }
    const first = `k${(group + 1) % 3}`;
    const second = `k${(group + 2) % 3}`;
    lines.push(`x.x += ${first}; x.y += ${second} + ${group + 1}u;`);
  }
  return `fn threefry(k0: u32, k1: u32, counter: vec2<u32>) -> vec2<u32> {
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var x = counter + vec2<u32>(k0, k1);
  ${lines.join("\n  ")}
  return x;
}
`;
}

/** Declares `randomUniform(words)`, in [0, 1). */
export const UNIFORM_FUNCTION = `fn randomUniform(words: vec2<u32>) -> f32 {
  return f32(words.x >> 8u) * 5.9604645e-8;
}
`;

/**
 * Declares `randomNormal(words)` by Box and Muller. The angle 2 pi u is reduced exactly in turns
 * before it becomes radians.
 */
export function normalFunction(log: string, quadrant: string): string {
  return `fn randomNormal(words: vec2<u32>) -> f32 {
  let radius = sqrt(-2.0 * ${log}(f32((words.x >> 8u) + 1u) * 5.9604645e-8));
  let quarters = f32(words.y >> 8u) * 2.3841858e-7;
  let k = round(quarters);
  return radius * ${quadrant}((quarters - k) * 1.5707964, i32(k));
}
`;
}
