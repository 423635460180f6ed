/** The assignments of os-release(5). */
export function osRelease(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...text.matchAll(/^([A-Z0-9_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))$/gm)].map(
      ([, name = '', a, b, c]) => [name, a ?? b ?? c ?? ''],
    ),
  );
}

/** Where a system says what it is, the first that is there counting alone (os-release(5)). */
export const OS_RELEASE = ['/etc/os-release', '/usr/lib/os-release'] as const;
