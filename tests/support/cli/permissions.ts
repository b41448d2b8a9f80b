/** The permissions that docs/permissions.md promises, and those that a process really uses. */

import { fromFileUrl, isAbsolute, join, resolve } from "jsr:@std/path@1.0.8";

const documentation = new URL("../../../docs/permissions.md", import.meta.url);

/** What the placeholders of the documented permissions stand for. */
export interface Places {
  /** Where the program's files are: a folder. */
  readonly PROGRAM: string;
  /** Deno's cache of npm packages. */
  readonly CACHE: string;
  /** The folder with everything that the command names. */
  readonly FILES: string;
}

/**
 * Documented permissions of each verb, as flags of Deno with placeholders; and those that an option
 * needs beside them, under `VERB --OPTION`.
 */
export function documentedPermissions(): Map<string, string[]> {
  const rows = Deno.readTextFileSync(documentation).matchAll(/^\| `([\w -]+)` *\| (.*?) *\|/gm);
  return new Map([...rows].map(([, verb, flags]) => [
    verb,
    [...flags.matchAll(/`(--allow-[^`]+)`/g)].map(([, flag]) => flag),
  ]));
}

/** Fills in the placeholders. */
export function permissionFlags(flags: readonly string[], places: Places): string[] {
  return flags.map((flag) =>
    flag.replace(/\b[A-Z]{4,}\b/g, (name) => places[name as keyof Places])
  );
}

/** An access that a process made or asked for. */
export interface Access {
  readonly permission: string;
  readonly value: string;
}

/**
 * The accesses in a file that Deno wrote for `DENO_AUDIT_PERMISSIONS` for which none of the
 * documented flags is responsible: each would have prompted.
 *
 * @param directory the working directory of the process
 */
export function undocumented(
  auditFile: string,
  flags: readonly string[],
  directory: string,
): string[] {
  const granted = flags.map((flag) => {
    const [, permission, values] = /^--allow-(\w+)(?:=(.*))?$/.exec(flag)!;
    return { permission, values: values?.split(",") };
  });
  const path = (value: string) =>
    value.startsWith("file:") ? fromFileUrl(value) : resolve(directory, value);
  const allows = ({ permission, value }: Access) =>
    granted.some((grant) =>
      grant.permission === permission && (grant.values === undefined ||
        grant.values.some((allowed) =>
          permission === "read" || permission === "write"
            ? isWithin(path(value), path(allowed))
            // A host stands for all of its ports.
            : value === allowed || value.startsWith(`${allowed}:`)
        ))
    );
  const missing = accessesIn(auditFile).filter((access) => !allows(access));
  return [...new Set(missing.map(({ permission, value }) => `${permission} ${value}`))];
}

/** All accesses in a file that Deno wrote for `DENO_AUDIT_PERMISSIONS`. */
export function accessesIn(auditFile: string): Access[] {
  const lines = Deno.readTextFileSync(auditFile).split("\n").filter(Boolean);
  return lines.map((line): Access => JSON.parse(line));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(join(folder, "/"));
}

let npmCache: Promise<string> | undefined;

/** Where Deno keeps the packages of npm. */
export function npmCacheFolder(): Promise<string> {
  return npmCache ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] })
      .output();
    const folder: string = JSON.parse(new TextDecoder().decode(stdout)).npmCache;
    if (!isAbsolute(folder)) throw new Error(`deno info names no folder: ${folder}`);
    return folder;
  })();
}
