import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Dependency,
  dependencyText,
  parseDependency,
  type RpmRecord,
  versionOf,
} from '../../src/rpm/index.ts';

/** Option for `test()`: libsolv's own solver is there to compare with. */
export const needsTestsolv: { readonly skip?: string } = existsSync('/usr/bin/testsolv')
  ? {}
  : { skip: 'libsolv-tools is not installed' };

/** A package of made-up repositories; what is left out is empty. */
export type TestRecord = Pick<RpmRecord, 'name'> & Partial<RpmRecord>;

/** A whole record of a made-up package. */
export function record(given: TestRecord): RpmRecord {
  const made: RpmRecord = {
    ...{ epoch: 0, version: '1', release: '1', arch: 'noarch', sha256: '', size: 1, location: 'x' },
    ...{ builtAt: 0, provides: [], requires: [], conflicts: [], obsoletes: [], recommends: [] },
    ...{ supplements: [], suggests: [], enhances: [], files: [] },
    ...given,
  };
  return { ...made, provides: [...made.provides, `${made.name} = ${versionOf(made)}`] };
}

const TAGS = [
  ['Prv', 'provides'],
  ['Req', 'requires'],
  ['Con', 'conflicts'],
  ['Obs', 'obsoletes'],
  ['Rec', 'recommends'],
  ['Sup', 'supplements'],
] as const;

/** What libsolv chooses: packages as rpm names them, sorted; undefined when there is no solution. */
export function libsolvChoice(
  records: readonly RpmRecord[],
  wishes: readonly string[],
  options: { readonly recommends: boolean },
): readonly string[] | undefined {
  const lines = [
    'feature complex_deps',
    'repo available 0 testtags <inline>',
    ...records.flatMap((r) => [
      `#>=Pkg: ${r.name} ${r.epoch === 0 ? '' : `${r.epoch}:`}${r.version} ${r.release} ${r.arch}`,
      ...TAGS.flatMap(([tag, list]) => r[list].map((text) => `#>=${tag}: ${testcaseText(text)}`)),
    ]),
    'repo @System 0 empty',
    'system x86_64 rpm @System',
    ...(options.recommends ? [] : ['solverflags ignorerecommended']),
    ...wishes.map((name) => `job install name ${name}`),
    'result transaction,problems <inline>',
  ];
  const dir = mkdtempSync(join(tmpdir(), 'varve-testsolv-'));
  try {
    writeFileSync(join(dir, 'case.t'), `${lines.join('\n')}\n`);
    const said = execFileSync('testsolv', ['-r', join(dir, 'case.t')], { encoding: 'utf8' });
    if (said.includes('problem ')) return undefined;
    return [...said.matchAll(/^install (\S+)@available$/gm)].map(([, p]) => p ?? '').sort();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function testcaseText(text: string): string {
  const parsed = parseDependency(text);
  if (parsed === undefined) throw new Error(`no dependency: ${text}`);
  return operand(parsed, true);
}

const SIGNS = {
  and: '&',
  or: '|',
  with: '+',
  without: '-',
  if: '<IF>',
  unless: '<UNLESS>',
} as const;

function operand(d: Dependency, top: boolean): string {
  if (d.kind === 'name') return dependencyText(d);
  const right =
    d.otherwise === undefined
      ? operand(d.right, false)
      : `(${operand(d.right, false)} <ELSE> ${operand(d.otherwise, false)})`;
  const text = `${operand(d.left, false)} ${SIGNS[d.kind]} ${right}`;
  return top ? text : `(${text})`;
}
