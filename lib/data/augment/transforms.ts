/**
 * Random changes of training images that a network is told about (Karras et al. 2022, "Elucidating
 * the Design Space of Diffusion-Based Generative Models", appendix F.2): it learns from more images
 * than there are, and as long as it is told "not changed" it draws none of the changes.
 *
 * Every change is drawn with the same probability p times a factor of its own:
 *
 * | change    | parameters                                      | labels                          |
 * |-----------|-------------------------------------------------|---------------------------------|
 * | xflip     | w in {0, 1}, mirror left to right               | w                               |
 * | yflip     | w in {0, 1}, mirror top to bottom               | w                               |
 * | scale     | w ~ N(0, 1), by 2^(0.2 w)                       | w                               |
 * | rotate    | w ~ U(-pi, pi)                                  | cos w - 1, sin w                |
 * | aniso     | w ~ N(0, 1), r ~ U(-pi, pi) in half of all cases, else 0: by 2^(0.2 w) along r and by the inverse across | w cos r, w sin r |
 * | translate | w0, w1 ~ N(0, 1), by w0/8 widths and w1/8 heights | w0, w1                        |
 *
 * All labels of an image that is not changed are 0.
 *
 * @module
 */

import {
  deriveKey,
  type Key,
  normalFromBits,
  threefry2x32,
  uniformFromBits,
} from "../../random/threefry.ts";

/** How often images are changed. A factor of 0 switches a change off. */
export interface AugmentConfig {
  /** Of each change, before its factor. The paper's CIFAR-10: 0.12. */
  readonly probability: number;
  /** Factor of the mirror image; at 1/p and above half of all images are mirrored. */
  readonly xflip: number;
  /** Factor of the upside-down image. */
  readonly yflip: number;
  /** Factor of scaling. */
  readonly scale: number;
  /** Factor of rotation. */
  readonly rotate: number;
  /** Factor of stretching. */
  readonly aniso: number;
  /** Factor of shifting. */
  readonly translate: number;
}

/** EDM's settings for CIFAR-10, which the paper takes over. */
export const EDM_AUGMENT: AugmentConfig = Object.freeze({
  probability: 0.12,
  xflip: 1e8,
  yflip: 1,
  scale: 1,
  rotate: 1,
  aniso: 1,
  translate: 1,
});

/** Labels of one image. */
export const AUGMENT_LABELS = 9;

/** Standard deviations and shares of EDM's table. */
const SCALE_STD = 0.2;
const ANISO_STD = 0.2;
const ANISO_ROTATED = 0.5;
const TRANSLATE_STD = 0.125;

/** Affine map of the plane: (x, y) to (a x + b y + c, d x + e y + f). */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** What is done to one image. */
export interface Transform {
  /** Mirrored left to right. */
  readonly xflip: boolean;
  /** Mirrored top to bottom. */
  readonly yflip: boolean;
  /**
   * From positions in the new image to positions in the old one, in pixels from the middle, x to the
   * right and y down; null where nothing moves.
   */
  readonly inverse: Affine | null;
  /** {@link AUGMENT_LABELS} numbers. */
  readonly labels: readonly number[];
}

/** Draws of one image, in this order: two words of random bits each. */
const DRAWS = [
  ...["xflip", "yflip", "scale", "rotate", "aniso", "anisoAngle", "anisoRotated"],
  ...["translateX", "translateY"],
] as const;

/** Name of one draw. */
type Draw = typeof DRAWS[number];

/** Chooses what happens to image number `position` of the stream of a key. */
export function drawTransform(
  config: AugmentConfig,
  [k0, k1]: Key,
  position: number,
  [height, width]: readonly [height: number, width: number],
): Transform {
  const words = (draw: number) =>
    threefry2x32(
      k0,
      k1,
      position % 2 ** 32,
      draw + 2 * DRAWS.length * Math.floor(position / 2 ** 32),
    );
  const at = (name: Draw) => DRAWS.indexOf(name);
  // Whether a change happens and how large it is are independent draws.
  const happens = (name: Draw, factor: number) =>
    uniformFromBits(words(DRAWS.length + at(name))[0]) < config.probability * factor;
  const uniform = (name: Draw) => uniformFromBits(words(at(name))[0]);
  const normal = (name: Draw) => normalFromBits(...words(at(name)));
  const angle = (name: Draw) => (2 * uniform(name) - 1) * Math.PI;

  const xflip = happens("xflip", config.xflip) && uniform("xflip") < 0.5;
  const yflip = happens("yflip", config.yflip) && uniform("yflip") < 0.5;
  const scale = happens("scale", config.scale) ? normal("scale") : 0;
  const rotation = happens("rotate", config.rotate) ? angle("rotate") : 0;
  const aniso = happens("aniso", config.aniso) ? normal("aniso") : 0;
  const anisoAngle = aniso !== 0 && uniform("anisoRotated") < ANISO_ROTATED
    ? angle("anisoAngle")
    : 0;
  const moves = happens("translateX", config.translate);
  const [shiftX, shiftY] = moves ? [normal("translateX"), normal("translateY")] : [0, 0];

  return {
    xflip,
    yflip,
    inverse: inverseOf({ scale, rotation, aniso, anisoAngle, shiftX, shiftY }, [height, width]),
    labels: [
      Number(xflip),
      Number(yflip),
      scale,
      Math.cos(rotation) - 1,
      Math.sin(rotation),
      aniso * Math.cos(anisoAngle),
      aniso * Math.sin(anisoAngle),
      shiftX,
      shiftY,
    ],
  };
}

/** Parameters of the geometric changes, as in the table; all 0 for none. */
export interface Geometry {
  /** w of the scale. */
  readonly scale: number;
  /** In radians. */
  readonly rotation: number;
  /** w of the stretch. */
  readonly aniso: number;
  /** Its direction, in radians. */
  readonly anisoAngle: number;
  /** Of the width, in units of 1/8. */
  readonly shiftX: number;
  /** Of the height, in units of 1/8. */
  readonly shiftY: number;
}

/** The map of {@link Transform.inverse}. */
export function inverseOf(
  { scale, rotation, aniso, anisoAngle, shiftX, shiftY }: Geometry,
  [height, width]: readonly [height: number, width: number],
): Affine | null {
  if ([scale, rotation, aniso, shiftX, shiftY].every((value) => value === 0)) return null;
  const s = 2 ** (SCALE_STD * scale);
  const q = 2 ** (ANISO_STD * aniso);
  return [
    scaling(1 / s, 1 / s),
    turn(rotation),
    turn(-anisoAngle),
    scaling(1 / q, q),
    turn(anisoAngle),
    shift(-shiftX * width * TRANSLATE_STD, -shiftY * height * TRANSLATE_STD),
  ].reduce(compose);
}

function scaling(x: number, y: number): Affine {
  return [x, 0, 0, 0, y, 0];
}

function turn(angle: number): Affine {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [cos, -sin, 0, sin, cos, 0];
}

function shift(x: number, y: number): Affine {
  return [1, 0, x, 0, 1, y];
}

/** First `inner`, then `outer`. */
function compose(outer: Affine, inner: Affine): Affine {
  const [a, b, c, d, e, f] = outer;
  const [A, B, C, D, E, F] = inner;
  return [
    a * A + b * D,
    a * B + b * E,
    a * C + b * F + c,
    d * A + e * D,
    d * B + e * E,
    d * C + e * F + f,
  ];
}

/** The key of a run's augmentation. */
export function augmentKey(seed: number): Key {
  return deriveKey(seed, "augment");
}
