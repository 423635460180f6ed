import { createHash } from 'node:crypto';
import type { OsTemplate, OsUser } from '../template/index.ts';
import { fstab } from './layout.ts';
import { CONTEXTS, type DiskPlan } from './plan.ts';
import { quoted, run, script, shellFile } from './shell.ts';

/** Files that decide what is in an initramfs: they are there before it is made. */
const FOR_INITRAMFS =
  /^\/etc\/(?:initramfs-tools|dracut\.conf\.d|modprobe\.d|modules-load\.d)\/|^\/etc\/(?:modules|crypttab|dracut\.conf)$/;

/** Name of the secret with a user's hashed password. */
export const passwordSecret = (name: string): string => `varve-password-${name}`;

/**
 * The stages `initramfs` (kernel and initramfs in `/varve`) and `configured` (the root as it will be on the disk). The
 * initramfs depends on packages and on its own files only, so that other configuration leaves it cached.
 */
export function configurationStages(plan: DiskPlan): readonly string[] {
  const { template: t, files } = plan;
  const copies = [...files].map(([final, path]) => [final, copy(path, final)] as const);
  const early = copies.filter(([final]) => FOR_INITRAMFS.test(final)).map(([, line]) => line);
  const late = copies.filter(([final]) => !FOR_INITRAMFS.test(final)).map(([, line]) => line);
  const base = [
    `FROM ${CONTEXTS.root} AS base`,
    run([], script(shellFile('/etc/fstab', fstab(plan.layout)), ...mountPoints(plan))),
    ...early,
  ].join('\n');
  const configured = [
    'FROM base AS configured',
    run([], system(plan)),
    // A step has a file of its own at this path.
    `COPY <<"EOF" /etc/hosts\n127.0.0.1\tlocalhost\n127.0.1.1\t${hostName(t)}\n::1\tlocalhost\nEOF`,
    ...late,
    ...t.users.map(({ value }) => run(passwordMount(value), account(value))),
    ...t.commands.map(({ value }) => `RUN --network=none ${JSON.stringify(['bash', '-c', value])}`),
    run([], seal()),
  ].join('\n');
  return [base, initramfs(plan), configured];
}

const copy = (from: string, to: string): string =>
  `COPY --from=${CONTEXTS.files} ${JSON.stringify([`/${from}`, to])}`;

const mountPoints = ({ layout }: DiskPlan): readonly string[] =>
  layout.partitions.flatMap(({ mountPoint }) =>
    mountPoint === undefined || mountPoint === '/' ? [] : [`mkdir -p ${quoted(mountPoint)}`],
  );

/** What a script sees as the time: that of the newest package, which the database of packages was clamped to. */
const EPOCH = 'export SOURCE_DATE_EPOCH=$(stat -c %Y /var/lib/dpkg/status)';

function initramfs({ provider }: DiskPlan): string {
  return [
    'FROM base AS initramfs',
    run(
      [],
      script(
        EPOCH,
        'kernel=$(basename "$(ls -d /boot/vmlinuz-* | sort -V | tail -n 1)" | sed s/^vmlinuz-//)',
        'rm -f /boot/initrd.img-*',
        provider.initramfs?.command ?? ':',
        'mkdir /varve',
        'cp -p "/boot/vmlinuz-$kernel" /varve/vmlinuz',
        'cp "/boot/initrd.img-$kernel" /varve/initrd',
        'cp -pL /usr/lib/os-release /varve/os-release',
        'touch -d "@$SOURCE_DATE_EPOCH" /varve/initrd',
      ),
    ),
  ].join('\n');
}

const hostName = (t: OsTemplate): string =>
  t.system.hostname ?? t.image.name.toLowerCase().replaceAll('_', '-');

/** Host name, network and identity; the kernel is in the unified kernel image, its initramfs is not needed twice. */
function system({ template: t }: DiskPlan): string {
  const network = '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n';
  return script(
    shellFile('/etc/hostname', hostName(t)),
    shellFile('/etc/image-id', `IMAGE_ID=${t.image.name}\nIMAGE_VERSION=${t.image.version}`),
    'rm -f /boot/initrd.img-* /initrd.img /initrd.img.old',
    'if [ -e /usr/lib/systemd/systemd-networkd ]; then',
    'mkdir -p /etc/systemd/network /etc/systemd/system/multi-user.target.wants',
    shellFile('/etc/systemd/network/80-dhcp.network', network),
    'ln -sf /usr/lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/',
    'fi',
    'passwd -l root >/dev/null 2>&1 || usermod -p "!" root',
  );
}

/** A secret is no part of a key: its mark in the script is. */
function passwordMount(user: OsUser): readonly string[] {
  return user.password === undefined
    ? []
    : [`--mount=type=secret,id=${passwordSecret(user.name)},required=true`];
}

/** An account as useradd(8) makes it; without a password it is locked. */
function account(user: OsUser): string {
  const shell = user.startupScript ?? user.shell ?? '/bin/bash';
  const groups = [...new Set([...(user.groups ?? []), ...(user.sudo === true ? ['sudo'] : [])])];
  const name = quoted(user.name);
  const secret = `/run/secrets/${passwordSecret(user.name)}`;
  return script(
    EPOCH,
    ...groups.map((g) => `getent group ${quoted(g)} >/dev/null || groupadd ${quoted(g)}`),
    `if id ${name} >/dev/null 2>&1; then`,
    `usermod -s ${quoted(shell)}${groups.length === 0 ? '' : ` -aG ${quoted(groups.join(','))}`} ${name}`,
    'else',
    [
      `useradd -m -s ${quoted(shell)}`,
      ...(user.home === undefined ? [] : [`-d ${quoted(user.home)}`]),
      ...(groups.length === 0 ? [] : [`-G ${quoted(groups.join(','))}`]),
      name,
    ].join(' '),
    'fi',
    ...(user.password === undefined
      ? []
      : [`# ${passwordMark(user.password)}`, `usermod -p "$(cat ${secret})" ${name}`]),
    ...(user.passwordMaxAge === undefined ? [] : [`chage -M ${user.passwordMaxAge} ${name}`]),
  );
}

/** Changes when the password does, and tells nothing of it: the salt of a hash is not to be guessed. */
const passwordMark = (hash: string): string =>
  `password ${createHash('sha256').update(hash).digest('hex').slice(0, 16)}`;

/** Removes what tools leave; times are set where file systems are made. */
function seal(): string {
  return script(
    'rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /etc/.pwd.lock',
    'rm -f /var/log/lastlog /var/log/faillog /var/log/btmp /var/log/wtmp',
    'if [ -e /etc/machine-id ]; then : > /etc/machine-id; fi',
  );
}
