import { byCodeUnit, type Digest, sha256 } from '../base/index.ts';
import {
  type FoundFs,
  type FoundPartition,
  findFs,
  type OpenDisk,
  partOf,
  readEfiProgram,
  readPartitions,
  type VolumeEntry,
} from '../diskread/index.ts';
import { RPM_DATABASES } from './database.ts';
import { type InstalledPackage, installedPackages } from './installed.ts';
import { osRelease } from './os-release.ts';

/** A file of a disk, or what else a name stands for. */
export interface ReportedFile {
  /** The name of its partition, `:` and its path; of the root the path alone. */
  readonly path: string;
  readonly type: VolumeEntry['type'];
  readonly mode?: string;
  readonly owner?: string;
  readonly size: number;
  readonly digest?: Digest;
  readonly link?: string;
}

/** A program in an EFI system partition; of a unified kernel image with its arguments and its system. */
export interface ReportedProgram {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  readonly signed: boolean;
  readonly sections: readonly {
    readonly name: string;
    readonly size: number;
    readonly digest: Digest;
  }[];
  readonly commandLine?: string;
  readonly system?: Readonly<Record<string, string>>;
}

/** An account of the root. */
export interface ReportedUser {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly shell: string;
  /** No password opens it. */
  readonly locked: boolean;
}

/** What a disk holds, read without mounting it. */
export interface DiskReport {
  readonly format: OpenDisk['format'];
  readonly size: number;
  readonly fileSize: number;
  readonly table?: { readonly kind: string; readonly id: string };
  readonly partitions: readonly (FoundPartition & { readonly fs?: Omit<FoundFs, 'volume'> })[];
  readonly programs: readonly ReportedProgram[];
  readonly system: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly users: readonly ReportedUser[];
  readonly packages: readonly InstalledPackage[];
  readonly files: readonly ReportedFile[];
}

/** Reads a disk. `files`: whether every file is listed, for which all of them are read. */
export function reportDisk(
  disk: OpenDisk,
  options: {
    readonly files: boolean;
    /** Reads rpm's database. */
    readonly rpm: (database: Buffer) => readonly InstalledPackage[];
  },
): DiskReport {
  const table = readPartitions(disk.bytes);
  const partitions = (table?.partitions ?? []).map((p) => ({
    ...p,
    found: findFs(partOf(disk.bytes, p.start, p.size)),
  }));
  const files: ReportedFile[] = [];
  const programs: ReportedProgram[] = [];
  let root: ReadonlyMap<string, VolumeEntry> = new Map();
  for (const { name, found } of partitions) {
    if (found?.volume === undefined) continue;
    const entries = [...found.volume.entries()];
    const byPath = new Map(entries.map((e) => [e.path, e]));
    const isRoot = byPath.has('/etc/passwd') || byPath.has('/usr/lib/os-release');
    if (isRoot) root = byPath;
    const at = (path: string): string => (isRoot ? path : `${name}:${path}`);
    if (found.kind === 'fat')
      programs.push(...entries.flatMap((e) => programOf(e, at(e.path)) ?? []));
    if (options.files) files.push(...entries.map((e) => described(e, at(e.path))));
  }
  return {
    ...{ format: disk.format, size: disk.bytes.size, fileSize: disk.fileSize },
    ...(table === undefined ? {} : { table: { kind: table.kind, id: table.id } }),
    partitions: partitions.map(({ found, ...p }) => {
      if (found === undefined) return p;
      const { volume: _, ...fs } = found;
      return { ...p, fs };
    }),
    programs,
    ...systemOf(root),
    packages: packagesOf(root, options.rpm),
    files: files.sort((a, b) => byCodeUnit(a.path, b.path)),
  };
}

function described(e: VolumeEntry, path: string): ReportedFile {
  return {
    ...{ path, type: e.type, size: e.size },
    ...(e.mode === undefined ? {} : { mode: e.mode.toString(8).padStart(4, '0') }),
    ...(e.uid === undefined || e.gid === undefined ? {} : { owner: `${e.uid}:${e.gid}` }),
    ...(e.type === 'file' ? { digest: sha256(e.read()) } : {}),
    ...(e.link === undefined ? {} : { link: e.link }),
  };
}

function programOf(e: VolumeEntry, path: string): ReportedProgram | undefined {
  if (e.type !== 'file' || !/\.efi$/i.test(e.path)) return undefined;
  const bytes = e.read();
  const program = readEfiProgram(bytes);
  if (program === undefined) return undefined;
  const section = (name: string): string | undefined =>
    program.sections
      .find((s) => s.name === name)
      ?.data.toString('utf8')
      .replace(/\0.*$/s, '');
  const [commandLine, system] = [section('.cmdline'), section('.osrel')];
  return {
    ...{ path, size: e.size, digest: sha256(bytes), signed: program.signed },
    sections: program.sections.map(({ name, data }) => ({
      ...{ name, size: data.length, digest: sha256(data) },
    })),
    ...(commandLine === undefined ? {} : { commandLine }),
    ...(system === undefined ? {} : { system: osRelease(system) }),
  };
}

function systemOf(
  root: ReadonlyMap<string, VolumeEntry>,
): Pick<DiskReport, 'system' | 'hostname' | 'users'> {
  const text = (path: string): string => root.get(path)?.read().toString('utf8') ?? '';
  const passwords = new Map(
    text('/etc/shadow')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name = '', hash = '']) => [name, hash]),
  );
  return {
    system: osRelease(text('/usr/lib/os-release')),
    hostname: text('/etc/hostname').trim(),
    users: text('/etc/passwd')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(':'))
      .map(([name = '', , uid = '', , , home = '', shell = '']) => ({
        ...{ name, uid: Number(uid), home, shell },
        locked: /^[!*]/.test(passwords.get(name) ?? '!'),
      })),
  };
}

function packagesOf(
  root: ReadonlyMap<string, VolumeEntry>,
  rpm: (database: Buffer) => readonly InstalledPackage[],
): readonly InstalledPackage[] {
  const status = root.get('/var/lib/dpkg/status');
  if (status !== undefined) return installedPackages(status.read().toString('utf8'));
  const database = RPM_DATABASES.find((path) => root.has(path));
  return database === undefined ? [] : rpm(root.get(database)?.read() ?? Buffer.alloc(0));
}
