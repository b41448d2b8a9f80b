/** Completions for PowerShell. @module */

import { type CompletedVerb, firstWords, secondWords } from "./commands.ts";

/** The script, to be run in a profile. */
export function powershellCompletions(verbs: readonly CompletedVerb[]): string {
  const tables = verbs.map(({ name, options, positionals }) => {
    const flags = options.flatMap(({ long, short, help, value, words, keys }) => {
      const listed = words ?? keys?.map((key) => `${key}=`) ?? [];
      const values = value === undefined ? "$null" : list(listed);
      return [long, ...(short ? [`-${short}`] : [])].map((flag) =>
        `      ${quote(flag)} = @{ Help = ${quote(help)}; Values = ${values} }`
      );
    });
    const words = [...secondWords(verbs, name), ...positionals?.words ?? []];
    return `    ${quote(name)} = @{ Words = ${list(words)}; Options = [ordered]@{\n${
      flags.join("\n")
    }\n    } }`;
  });
  return `# Completions of imm for PowerShell. To use them:
# imm completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName imm -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $verbs = [ordered]@{
${[...firstWords(verbs)].map(([word, text]) => `    ${quote(word)} = ${quote(text)}`).join("\n")}
  }
  $tables = @{
${tables.join("\n")}
  }
  # The words before the one that is being completed.
  $before = @($commandAst.CommandElements |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  $found = @()
  if ($before.Count -le 1) {
    $found = @($verbs.Keys | ForEach-Object { , @($_, $verbs[$_]) })
  } else {
    $verb = $before[1]
    if ($before.Count -gt 2 -and $tables.ContainsKey("$($before[1]) $($before[2])")) {
      $verb = "$($before[1]) $($before[2])"
    }
    $table = $tables[$verb]
    if ($table) {
      $option = $table.Options[$before[-1]]
      if ($option -and $null -ne $option.Values) {
        $found = @($option.Values | ForEach-Object { , @($_, $_) })
      } elseif ($wordToComplete.StartsWith('-')) {
        $found = @($table.Options.Keys | ForEach-Object { , @($_, $table.Options[$_].Help) })
      } else {
        $found = @($table.Words | ForEach-Object { , @($_, $_) })
      }
    }
  }
  $found | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
  }
}
`;
}

function list(words: readonly string[]): string {
  return `@(${words.map(quote).join(", ")})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
