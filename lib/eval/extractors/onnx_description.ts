/**
 * What an ONNX file is as a feature extractor: its input, its outputs, how images are prepared. It
 * is kept in the metadata of the model, or in a JSON file beside it.
 *
 * @module
 */

import { z } from "npm:zod@4.1.12";
import { FormatError } from "../../base/errors.ts";
import { readFileBytes } from "../../formats/source.ts";
import type { Same } from "../../base/schema.ts";
import { type Resampling, RESAMPLINGS } from "../inception/pipelines.ts";

/** Key of the description in the metadata of a model. */
export const METADATA_KEY = "imm.extractor";
/** Bytes of a description in a file of its own. */
const MAX_DESCRIPTION = 2 ** 20;

/** What a network is given. */
export interface ExtractorInput {
  /** Name of the input in the ONNX graph. */
  readonly name: string;
  /** Height of the images in pixels; null where the network itself resizes. */
  readonly height: number | null;
  /** Width of the images in pixels; null where the network itself resizes. */
  readonly width: number | null;
  /**
   * How images of other sizes are brought to `height` and `width` (see pipelines.ts), for float32
   * inputs: `pil-bicubic` is what DINOv2 and CLIP take. Default: they are refused.
   */
  readonly resize?: Resampling;
  /** 3 for colour, for which grey images are repeated, or 1. */
  readonly channels: 1 | 3;
  /** Order of the axes: images, channels, rows and columns. */
  readonly layout: "NCHW" | "NHWC";
  /** `uint8` is given the bytes, `float32` byte * scale + offset. */
  readonly type: "float32" | "uint8";
  /** Factor on the bytes, or one per channel. Default 1. */
  readonly scale: number | readonly number[];
  /** Added after the factor, or one number per channel. Default 0. */
  readonly offset: number | readonly number[];
}

/** What a network gives: float32. */
export interface ExtractorOutput {
  /** Name of the output in the ONNX graph. */
  readonly name: string;
  /** Numbers per image. */
  readonly size: number;
}

/** An output that classifies. */
export interface ClassifierOutput extends ExtractorOutput {
  /** Names of the classes, one for each number of the output: `class_accuracy` goes by them. */
  readonly classes?: readonly string[];
}

/** How to use a network as an extractor. */
export interface ExtractorDescription {
  /** Version of this format. */
  readonly version: 1;
  /** Short name, of lower-case letters, digits and `.`, `_`, `-`: `inception-2015-tf1`. */
  readonly id: string;
  /** The images. */
  readonly input: ExtractorInput;
  /** The feature vectors. */
  readonly features: ExtractorOutput;
  /** Where the network classifies: what comes before the softmax. */
  readonly logits?: ClassifierOutput;
  /** Other vectors that metrics may ask for, by name: `spatial` is what sFID compares. */
  readonly taps?: Readonly<Record<string, ExtractorOutput>>;
  /**
   * Images per run, always: at the end of a set the last one is repeated, so that a vector does
   * not depend on how images are grouped. Default 32.
   */
  readonly batch: number;
}

/** A description as people write it: what has a default may be left out. */
export interface ExtractorDescriptionInput extends Omit<ExtractorDescription, "input" | "batch"> {
  /** The images. */
  readonly input: Omit<ExtractorInput, "scale" | "offset"> & Partial<ExtractorInput>;
  /** Images per run. Default 32. */
  readonly batch?: number;
}

const perChannel = z.union([z.number(), z.array(z.number()).min(1).max(4)]);
const output = z.strictObject({ name: z.string(), size: z.int().positive() });
const classifier = output.extend({ classes: z.array(z.string()).optional() });

const descriptionSchema = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  input: z.strictObject({
    name: z.string(),
    height: z.int().positive().nullable(),
    width: z.int().positive().nullable(),
    resize: z.enum(RESAMPLINGS).optional(),
    channels: z.union([z.literal(1), z.literal(3)]),
    layout: z.enum(["NCHW", "NHWC"]),
    type: z.enum(["float32", "uint8"]),
    scale: perChannel.default(1),
    offset: perChannel.default(0),
  }),
  features: output,
  logits: classifier.optional(),
  taps: z.record(z.string(), output).optional(),
  batch: z.int().positive().max(1024).default(32),
});

// The interfaces above are the schema's documentation: these lines compile only where both agree.
true satisfies Same<z.output<typeof descriptionSchema>, ExtractorDescription>;
true satisfies Same<z.input<typeof descriptionSchema>, ExtractorDescriptionInput>;

/** The description as the metadata of a model: an entry for `OnnxGraph.metadata`. */
export function descriptionMetadata(description: ExtractorDescriptionInput): [string, string] {
  return [METADATA_KEY, JSON.stringify(descriptionSchema.parse(description))];
}

/** The text of the file beside a model that describes it, where there is one. */
export async function descriptionBeside(model: string): Promise<string | undefined> {
  const path = model.replace(/\.onnx$/i, "") + ".json";
  const info = await Deno.stat(path).catch(() => null);
  if (!info?.isFile) return undefined;
  return new TextDecoder().decode(await readFileBytes(path, MAX_DESCRIPTION));
}

/** Checks a description: JSON, or what it says. @throws {FormatError} when it is not valid */
export function parseDescription(description: unknown, name: string): ExtractorDescription {
  if (description === undefined) {
    throw new FormatError(
      `${name} does not describe itself as an extractor; put a description of its input and ` +
        `outputs beside it, in a file of the same name that ends in .json.`,
    );
  }
  let value = description;
  if (typeof description === "string") {
    try {
      value = JSON.parse(description);
    } catch (error) {
      throw new FormatError(`The description in ${name} is no JSON.`, { cause: error });
    }
  }
  const parsed = descriptionSchema.safeParse(value);
  if (!parsed.success) {
    throw new FormatError(
      `The description of the extractor ${name} is not valid: ${z.prettifyError(parsed.error)}`,
    );
  }
  const { channels, scale, offset, resize, height, width, type } = parsed.data.input;
  if (resize !== undefined && (height === null || width === null || type === "uint8")) {
    throw new FormatError(
      `The description of the extractor ${name} has "resize", which needs height, width and the ` +
        `type float32.`,
    );
  }
  const { logits } = parsed.data;
  if (logits?.classes && new Set(logits.classes).size !== logits.size) {
    throw new FormatError(
      `The description of the extractor ${name} needs a name of its own for each of the ` +
        `${logits.size} classes, found ${logits.classes.length} names.`,
    );
  }
  for (const list of [scale, offset]) {
    if (typeof list !== "number" && list.length !== channels) {
      throw new FormatError(
        `The description of the extractor ${name} needs a number per channel (${channels}), ` +
          `found ${list.length}.`,
      );
    }
  }
  return parsed.data;
}
