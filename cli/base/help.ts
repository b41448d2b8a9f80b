/**
 * The text of `imm --help` and `imm VERB --help`.
 *
 * @module
 */

import { flagName, type Option } from "./options.ts";
import { commonOptions, type Verb } from "./verb.ts";

const WIDTH = 80;

/**
 * The help of one verb.
 *
 * @param under the verbs of two words that begin with this one
 */
export function verbHelp(verb: Verb, under: readonly Summary[] = []): string {
  const own = Object.entries(verb.options).map(optionRow);
  if (verb.positionals) own.unshift([verb.positionals.value, verb.positionals.help]);
  const common = Object.entries(commonOptions).map(optionRow);
  const left = Math.max(...[...own, ...common].map(([name]) => name.length));
  const sections = [
    `${verb.name}: ${verb.summary}`,
    `Usage: ${verb.usage}`,
    ...(own.length ? [`Options:\n${table(own, left)}`] : []),
    `Common options:\n${table(common, left)}`,
    ...(under.length ? [`Also:\n${table(under.map(verbRow))}`] : []),
    `Examples:\n${
      verb.examples.map(({ command, does }) => `  ${command}\n      ${does}`).join("\n")
    }`,
  ];
  return sections.join("\n\n");
}

/** A verb as the lists show it. */
export interface Summary {
  readonly name: string;
  readonly summary: string;
}

/** The help of a word that is no verb by itself, as `dataset`: the verbs that begin with it. */
export function groupHelp(word: string, under: readonly Summary[]): string {
  const [{ name }] = under;
  return [
    `Usage: imm ${word} ${
      under.map(({ name }) => name.slice(word.length + 1)).join("|")
    } [options]`,
    `Verbs:\n${table(under.map(verbRow))}`,
    `"imm ${name} --help" shows the options.`,
  ].join("\n\n");
}

/** The help of the program: the verbs with their summaries. */
export function programHelp(verbs: readonly Summary[]): string {
  return [
    "imm: train, sample and evaluate Inductive Moment Matching models",
    "Usage: imm VERB [options]",
    `Verbs:\n${table(verbs.map(verbRow))}`,
    `Options:\n${
      table([
        ["-h, --help", 'show this help; "imm VERB --help" shows that of a verb'],
        ["-V, --version", "show the version"],
      ])
    }`,
    "Environment:\n" + table([
      ["NO_COLOR", "no colours, also on a terminal"],
      ["IMM_DEBUG", "1, 2, 3: print plans, generated shaders, times of dispatches"],
      ["IMM_TUNE", "off, cached, first-use or again: when to measure which WebGPU kernels suit"],
    ]),
    "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 a threshold was not met,\n" +
    "75 stopped by the system (run it again), 130 interrupted.",
  ].join("\n\n");
}

type Row = readonly [name: string, description: string];

function verbRow({ name, summary }: Summary): Row {
  return [name, summary];
}

function optionRow([name, option]: [string, Option<unknown>]): Row {
  const { spec } = option;
  const long = flagName(name);
  const negated = option.kind === "flag" && spec.default === true;
  const names = `${spec.short ? `-${spec.short}, ` : "    "}${
    negated ? long.replace("--", "--[no-]") : long
  }${option.kind === "value" ? ` ${spec.value}` : ""}`;
  const notes = [
    ...(spec.required ? ["required"] : []),
    ...(spec.repeat ? ["may be repeated"] : []),
    ...(option.kind === "value" && spec.default !== undefined
      ? [`default ${(option.format ?? String)(spec.default)}`]
      : []),
  ];
  return [names, spec.help + (notes.length ? ` (${notes.join(", ")})` : "")];
}

/** Two columns; descriptions are wrapped, names that are too long get a line of their own. */
function table(rows: readonly Row[], left = Math.max(...rows.map(([name]) => name.length))) {
  const column = Math.min(left, 30) + 4;
  return rows.map(([name, description]) => {
    const lines = wrap(description, WIDTH - column);
    const first = name.length + 4 > column ? `  ${name}\n${" ".repeat(column)}` : "";
    return (first || `  ${name}`.padEnd(column)) + lines.join(`\n${" ".repeat(column)}`);
  }).join("\n");
}

/** Breaks text into lines of at most `width` characters, between words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
