/** Completions for fish. @module */

import { type CompletedVerb, firstWords, secondWords, twoWordNames } from "./commands.ts";

/** The script: to be sourced, or put into `~/.config/fish/completions/imm.fish`. */
export function fishCompletions(verbs: readonly CompletedVerb[]): string {
  const pairs = twoWordNames(verbs).map(quote);
  const lines = [
    "# Completions of imm for fish. To use them: imm completions fish | source",
    "# Whether the command line begins with this verb.",
    "function __imm_verb",
    "  set -l words (commandline -opc)",
    "  set -l verb $words[2]",
    ...(pairs.length === 0 ? [] : [
      `  if contains -- "$words[2] $words[3]" ${pairs.join(" ")}`,
      '    set verb "$words[2] $words[3]"',
      "  end",
    ]),
    '  test "$verb" = "$argv[1]"',
    "end",
    "function __imm_length",
    "  test (count (commandline -opc)) -eq $argv[1]",
    "end",
    "complete -c imm -f",
    "complete -c imm -n '__imm_length 1' -s h -l help -d 'show the help'",
    "complete -c imm -n '__imm_length 1' -s V -l version -d 'show the version'",
  ];
  for (const [word, summary] of firstWords(verbs)) {
    lines.push(
      `complete -c imm -n '__imm_length 1; or __imm_verb help' -a ${word} -d ${quote(summary)}`,
    );
  }
  for (const { name, options, positionals } of verbs) {
    const when = `-n ${quote(`__imm_verb ${quote(name)}`)}`;
    for (const word of secondWords(verbs, name)) {
      const { summary } = verbs.find((verb) => verb.name === `${name} ${word}`)!;
      lines.push(
        `complete -c imm -n ${
          quote(`__imm_verb ${quote(name)}; and __imm_length 2`)
        } -a ${word} -d ${quote(summary)}`,
      );
    }
    if (positionals?.files) lines.push(`complete -c imm ${when} -F`);
    if (positionals?.words) {
      lines.push(`complete -c imm ${when} -a ${quote(positionals.words.join(" "))}`);
    }
    for (const { long, short, help, value, words, keys, files } of options) {
      const names = `-l ${long.slice(2)}${short ? ` -s ${short}` : ""}`;
      const listed = words ?? keys?.map((key) => `${key}=`);
      const values = listed
        ? ` -x -a ${quote(listed.join(" "))}`
        : files
        ? " -r -F"
        : value
        ? " -x"
        : "";
      lines.push(`complete -c imm ${when} ${names}${values} -d ${quote(help)}`);
    }
  }
  return lines.join("\n") + "\n";
}

/** In single quotes fish knows two escapes. */
function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
