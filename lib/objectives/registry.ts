/** The training objectives, one row each. @module */

import { UsageError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import type { ImmConfig } from "../imm/config.ts";
import { FLOW, type FlowConfig } from "./flow.ts";
import { IMM, type ImmObjectiveConfig } from "./imm.ts";
import type { Objective, ObjectiveKind, ObjectiveSettings } from "./objective.ts";

/** Settings of any objective. */
export type ObjectiveConfig = ImmObjectiveConfig | FlowConfig;

const KINDS = [IMM, FLOW] as const;

/** Names of the objectives. */
export const OBJECTIVE_TYPES: readonly string[] = KINDS.map(({ type }) => type);

/** Names of all settings: `imm.k`, `objective.type`. */
export const OBJECTIVE_SETTINGS: readonly string[] = [
  ...new Set([
    "objective.type",
    ...KINDS.flatMap(({ section, settings }) => settings.map((name) => `${section}.${name}`)),
  ]),
];

/** Names of all samplers, those of the first objective first. */
export const SAMPLER_NAMES: readonly string[] = [
  ...new Set(KINDS.flatMap(({ samplers }) => samplers)),
];

/** Objectives whose settings are in the section `objective`. */
export type OtherObjective = Exclude<ObjectiveConfig, ImmObjectiveConfig>;

/**
 * The sections of a configuration, or of a model's description, that say what is trained for: one of
 * the two.
 */
export interface ObjectiveSections {
  /** Settings of IMM. */
  readonly imm?: ImmConfig;
  /** Another objective. */
  readonly objective?: OtherObjective;
}

/** The same sections as people write them. */
export interface ObjectiveInput {
  /** Settings of IMM; those that another objective has as well are shared with it. */
  readonly imm?: object;
  /** `type` and settings of the objective, if it is another than IMM. */
  readonly objective?: object;
}

/**
 * The objective that a configuration asks for, its settings checked and complete.
 *
 * @throws {UsageError} naming the key
 */
export function parseObjective({ imm = {}, objective = {} }: ObjectiveInput): ObjectiveConfig {
  const { type = IMM.type, ...settings } = objective as { readonly type?: unknown };
  if (type === IMM.type) {
    const [stray] = Object.keys(settings);
    if (stray !== undefined) {
      throw new UsageError(
        `objective.${stray} is no setting of the objective imm, whose settings are imm.*`,
      );
    }
    return IMM.parse({ ...imm }, {});
  }
  return kindOf(type).parse({ ...objective }, { ...imm }) as ObjectiveConfig;
}

/** The sections that {@linkcode parseObjective} reads back: how files hold an objective. */
export function objectiveSections(config: ObjectiveConfig): ObjectiveSections {
  if (config.type !== "imm") return { objective: config };
  const { type: _, ...imm } = config;
  return { imm };
}

/** The sections alone of something that has them among others. */
export function sectionsOf({ imm, objective }: ObjectiveSections): ObjectiveSections {
  return imm ? { imm } : { objective };
}

/** The objective that the sections of a complete configuration name. */
export function objectiveOf(sections: ObjectiveInput): Objective {
  return createObjective(parseObjective(sections));
}

/** What an objective is called. */
export function objectiveTitle({ type }: ObjectiveSettings): string {
  return kindOf(type).title;
}

/** The objective of checked settings. */
export function createObjective(config: ObjectiveConfig): Objective {
  return kindOf(config.type).create(config);
}

/** A row; their own types are met because rows are found by the type of the settings. */
type AnyKind = ObjectiveKind<ObjectiveSettings>;

function kindOf(type: unknown): AnyKind {
  const kind = KINDS.find((kind) => kind.type === type);
  if (kind) return kind as unknown as AnyKind;
  const hint = didYouMean(String(type), OBJECTIVE_TYPES);
  throw new UsageError(
    `objective.type must be one of ${OBJECTIVE_TYPES.join(", ")}, but it is ${
      JSON.stringify(type)
    }${hint}`,
  );
}
