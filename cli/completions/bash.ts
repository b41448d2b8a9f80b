/** Completions for bash. @module */

import {
  type CompletedOption,
  type CompletedVerb,
  firstWords,
  secondWords,
  twoWordNames,
} from "./commands.ts";

/** The script; `-o default` completes names of files where the function finds nothing. */
export function bashCompletions(verbs: readonly CompletedVerb[]): string {
  const pairs = twoWordNames(verbs).map(quote);
  return `# Completions of imm for bash. To use them: source <(imm completions bash)
_imm() {
  local cur=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD - 1]}
  # In --name=value the sign is a word of its own.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $option == = ]]; then
    option=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  local verb=\${COMP_WORDS[1]} words= files= keys=
  if ((COMP_CWORD == 1)); then
    words='${[...firstWords(verbs).keys(), "help", "--help", "--version"].join(" ")}'
    verb=
  fi
${
    pairs.length === 0 ? "" : `  if ((COMP_CWORD > 2)); then
    case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
      ${pairs.join(" | ")}) verb="\${COMP_WORDS[1]} \${COMP_WORDS[2]}" ;;
    esac
  fi
`
  }  case $verb in
    help) words='${[...firstWords(verbs).keys()].join(" ")}' ;;
${verbs.map((verb) => verbCase(verb, secondWords(verbs, verb.name))).join("\n")}
  esac
  [[ $files ]] || compopt +o default 2>/dev/null
  # The value comes right behind the sign.
  [[ ! $keys ]] || compopt -o nospace 2>/dev/null
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _imm imm
`;
}

function verbCase({ name, options, positionals }: CompletedVerb, second: string[]): string {
  const values = options.filter(({ value }) => value !== undefined).map((option) =>
    `        ${flags(option).join(" | ")}) ${
      option.words
        ? `words=${quote(option.words.join(" "))}`
        : option.keys
        ? `keys=1 words=${quote(option.keys.map((key) => `${key}=`).join(" "))}`
        : option.files
        ? "files=1"
        : ":"
    } ;;`
  );
  const words = [...second, ...positionals?.words ?? []];
  return `    ${quote(name)})
      case $option in
${values.join("\n")}
        *)
          ${positionals?.files ? "files=1" : ":"}
          if [[ $cur == -* ]]; then
            words='${options.flatMap(flags).join(" ")}'
${words.length ? `          else\n            words=${quote(words.join(" "))}\n` : ""}          fi
          ;;
      esac
      ;;`;
}

function flags({ long, short }: CompletedOption): string[] {
  return short ? [long, `-${short}`] : [long];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
