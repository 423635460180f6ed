import { resolve } from 'node:path';
import { type GoJson, goJson, writeAtomically } from '../../base/index.ts';
import { cycloneDxDocument, type DiskReport, spdxDocument } from '../../disk/index.ts';
import { isDiskFile, openReport } from '../compose/open-disk.ts';
import { fail, type Io, printJson, table } from '../io.ts';
import { formatBytes } from '../progress/text.ts';
import { composeInspectTemplate } from './compose-check.ts';

type Values = Readonly<Record<string, unknown>>;

/** `varve compose inspect TEMPLATE|DISK`: what a template asks for, or what a disk holds. */
export async function composeInspect(io: Io, file: string, values: Values): Promise<number> {
  if (!isDiskFile(io, file)) return composeInspectTemplate(io, file, values);
  const report = await openReport(io, file, { files: values['files'] === true });
  if (!report.ok) return fail(io, report.error);
  const { packages, files, ...rest } = report.value;
  for (const [option, document] of [
    ['spdx', spdxDocument],
    ['cyclonedx', cycloneDxDocument],
  ] as const) {
    const path = values[option];
    if (typeof path !== 'string') continue;
    const text = `${goJson(document(subjectOf(report.value), packages))}\n`;
    await writeAtomically(resolve(io.cwd, path), Buffer.from(text));
  }
  if (values['json'] === true) {
    // A report holds only JSON values; interfaces have no index signature to say so.
    const all = { ...rest, packages, ...(values['files'] === true ? { files } : {}) };
    printJson(io, all as unknown as GoJson);
  } else io.out(text(report.value));
  return 0;
}

/** What an inventory of a disk is of, in the words of its own os-release; it knows no time. */
function subjectOf({ system }: DiskReport): Parameters<typeof spdxDocument>[0] {
  const distribution = system['ID'] ?? 'linux';
  return {
    ...{ name: system['IMAGE_ID'] ?? distribution, distribution, time: 0 },
    version: system['IMAGE_VERSION'] ?? system['VERSION_ID'] ?? '0',
  };
}

function text(r: DiskReport): string {
  const partitions = r.partitions.map((p) => [
    ...[String(p.index), p.name, p.fs?.kind ?? '-', p.fs?.label || '-'],
    ...[formatBytes(p.start), formatBytes(p.size), p.type, p.uuid],
  ]);
  const head = ['#', 'NAME', 'FS', 'LABEL', 'START', 'SIZE', 'TYPE', 'PARTUUID'];
  const programs = r.programs.flatMap((p) => [
    `${p.path}: ${formatBytes(p.size)}, ${p.signed ? 'signed' : 'not signed'}, ${p.sections.map((s) => s.name).join(' ')}`,
    ...(p.commandLine === undefined ? [] : [`  arguments: ${p.commandLine}`]),
  ]);
  const users = r.users.filter((u) => !u.locked || u.uid === 0 || u.uid >= 1000);
  return [
    `${r.format}, ${formatBytes(r.size)} (${formatBytes(r.fileSize)} as a file), ${r.table === undefined ? 'no partition table' : `${r.table.kind} ${r.table.id}`}`,
    '',
    table([head, ...partitions]).trimEnd(),
    '',
    ...programs,
    `system: ${r.system['PRETTY_NAME'] ?? r.system['ID'] ?? 'unknown'}`,
    ...(r.hostname === '' ? [] : [`host name: ${r.hostname}`]),
    `users: ${users.map((u) => `${u.name} (${u.uid}${u.locked ? ', locked' : ''})`).join(' ') || 'none'}`,
    `packages: ${r.packages.length}`,
    ...r.packages.map((p) => `  ${p.name} ${p.version}`),
    ...(r.files.length === 0 ? [] : [`files: ${r.files.length}`]),
    ...r.files.map(
      (f) =>
        `  ${f.mode ?? '-'} ${f.owner ?? '-'} ${f.size} ${f.path}${f.link === undefined ? '' : ` -> ${f.link}`}`,
    ),
    '',
  ].join('\n');
}
