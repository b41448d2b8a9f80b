/** Completions for zsh. @module */

import {
  type CompletedOption,
  type CompletedVerb,
  firstWords,
  secondWords,
  twoWordNames,
} from "./commands.ts";

/** The script: to be sourced, or put into a folder of `$fpath` as `_imm`. */
export function zshCompletions(verbs: readonly CompletedVerb[]): string {
  const pairs = twoWordNames(verbs).map(quote);
  const described = [...firstWords(verbs)].map(([word, summary]) => item(word, summary));
  return `#compdef imm
# Completions of imm for zsh. To use them: source <(imm completions zsh)
# Keys, with the sign that a value comes behind.
_imm_keys() {
  compadd -S = "$@"
}
_imm() {
  local -a verbs second
  verbs=(
${described.map((text) => `    ${text}`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe -t verbs verb verbs
    _arguments '(- *)--help[show the help]' '(- *)--version[show the version]'
    return
  fi
  local verb=$words[2] skip=1
  case "$words[2] $words[3]" in
${
    pairs.length === 0
      ? ""
      : `    ${pairs.join(" | ")}) (( CURRENT > 3 )) && verb="$words[2] $words[3]" skip=2 ;;
`
  }    *) ;;
  esac
  shift $skip words
  (( CURRENT -= skip ))
  case $verb in
    help) _describe -t verbs verb verbs ;;
${verbs.map((verb) => verbCase(verb, verbs)).join("\n")}
  esac
}
if [[ $funcstack[1] == _imm ]]; then
  _imm "$@"
else
  compdef _imm imm
fi
`;
}

function verbCase(
  { name, options, positionals }: CompletedVerb,
  verbs: readonly CompletedVerb[],
): string {
  const second = secondWords(verbs, name).map((word) =>
    item(word, verbs.find((verb) => verb.name === `${name} ${word}`)!.summary)
  );
  const specs = options.flatMap(optionSpecs);
  if (positionals) {
    const action = positionals.words ? `(${positionals.words.join(" ")})` : "_files";
    specs.push(quote(`*:${escape(positionals.value)}:${action}`));
  }
  return `    ${quote(name)})
${
    second.length === 0
      ? ""
      : `      second=(${
        second.join(" ")
      })\n      (( CURRENT == 2 )) && _describe -t verbs verb second\n`
  }      _arguments -s \\
${specs.map((spec) => `        ${spec}`).join(" \\\n")}
      ;;`;
}

function optionSpecs({ long, short, help, value, words, keys, files, repeat }: CompletedOption) {
  const action = words
    ? `(${words.join(" ")})`
    : keys
    ? `_imm_keys ${keys.join(" ")}`
    : files
    ? "_files"
    : " ";
  const argument = value === undefined ? "" : `:${escape(value)}:${action}`;
  const again = repeat ? "*" : "";
  const names = short ? [`${long}${value ? "=" : ""}`, `-${short}${value ? "+" : ""}`] : [
    `${long}${value ? "=" : ""}`,
  ];
  return names.map((name) => quote(`${again}${name}[${escape(help)}]${argument}`));
}

function item(word: string, summary: string): string {
  return quote(`${word}:${summary}`);
}

function escape(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
