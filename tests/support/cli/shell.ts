/** Reading commands out of documentation, as a shell would. */

/**
 * A command: its words, less variables that are set for it and whatever follows it, and the file
 * that its output goes to.
 */
export type Command = readonly string[] & { readonly stdout?: string };

/** The commands of the `sh` code blocks of a Markdown text, in order. */
export function commandsOf(markdown: string): Command[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) =>
    block.replaceAll("\\\n", " ").split("\n").flatMap(commands)
  );
}

/** The commands of one line: those of a pipe or a list are separate. */
export function commands(line: string): Command[] {
  const found: (string[] & { stdout?: string })[] = [[]];
  let rest = line.trimStart();
  while (rest !== "" && !rest.startsWith("#")) {
    const end = /^(\|\|?|&&?|;)\s*/.exec(rest);
    const redirection = /^(\d*[<>]+&?)\s*([^\s;|&]+)\s*/.exec(rest);
    if (end) found.push([]);
    if (redirection?.[1] === ">") found.at(-1)!.stdout = redirection[2];
    const skipped = end ?? redirection;
    if (skipped) {
      rest = rest.slice(skipped[0].length);
      continue;
    }
    const [token] = /^(?:'[^']*'|"(?:\\.|[^"])*"|\\.|[^\s'"\\|&;<>])+/.exec(rest) ?? [];
    if (token === undefined) throw new Error(`cannot read the command line: ${rest}`);
    found.at(-1)!.push(unquoted(token));
    rest = rest.slice(token.length).trimStart();
  }
  return found.map((words) => {
    const { stdout } = words;
    const own = words.slice(words.findIndex((word) => !/^\w+=/.test(word)));
    return stdout === undefined ? own : Object.assign(own, { stdout });
  })
    .filter((words) => words.length > 0);
}

function unquoted(token: string): string {
  return token.replace(
    /'([^']*)'|"((?:\\.|[^"])*)"|\\(.)/g,
    (_, single, double, escaped) => single ?? double?.replace(/\\(.)/g, "$1") ?? escaped,
  );
}
