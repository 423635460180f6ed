import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { type OsTemplate, type OsUser, type Provider, rootOpeners } from '../template/index.ts';
import { databaseFile } from './database.ts';
import { fstab } from './fstab.ts';
import { CONTEXTS, type DiskPlan } from './plan.ts';
import { pathsOf, rpmConcerned } from './rpm-concerned.ts';
import { quoted, run, script, shellFile } from './shell.ts';

/** Files that decide what is in an initramfs: they are there before it is made. */
const FOR_INITRAMFS =
  /^\/etc\/(?:initramfs-tools|dracut\.conf\.d|modprobe\.d|modules-load\.d)\/|^\/etc\/(?:modules|crypttab|dracut\.conf)$/;

/** Name of the secret with a user's hashed password. */
export const passwordSecret = (name: string): string => `varve-password-${name}`;

/**
 * The stages `initramfs` (kernel and initramfs in `/varve`) and `configured` (the root as it will be on the disk). The
 * initramfs is made in a root of the packages that it needs: other packages and other configuration leave it cached,
 * unless the stage `concerned` finds that they take part in it.
 */
export function configurationStages(plan: DiskPlan): readonly string[] {
  const { files } = plan;
  const copies = [...files].map(([final, path]) => [final, copy(path, final)] as const);
  const early = copies.filter(([final]) => FOR_INITRAMFS.test(final)).map(([, line]) => line);
  const late = copies.filter(([final]) => !FOR_INITRAMFS.test(final)).map(([, line]) => line);
  const kernel = [`FROM ${CONTEXTS.kernel} AS kernel`, run([], beginning(plan)), ...early].join(
    '\n',
  );
  return [kernel, concerned(plan), initramfs(plan), configured(plan, [...early, ...late])];
}

/** What the root and that of the initramfs begin with. */
const beginning = (plan: DiskPlan): string =>
  script(
    shellFile('/etc/fstab', fstab(plan.template, plan.layout)),
    ...openers(plan),
    ...extraModules(plan),
    ...mountPoints(plan),
  );

/**
 * The root as it will be on the disk. Nothing of it takes long but what the template itself executes: whatever is not
 * parted by a file or a command is one step, since a step costs more than its work.
 */
function configured({ template: t, ...plan }: DiskPlan, files: readonly string[]): string {
  const whole = { ...plan, template: t };
  const first = [beginning(whole), system(whole)];
  const accounts = t.users.map(({ value }) => account(value, plan.provider));
  const mounts = t.users.flatMap(({ value }) => passwordMount(value));
  const commands = t.commands.map(
    ({ value }) => `RUN --network=none ${JSON.stringify(['bash', '-c', value])}`,
  );
  const steps =
    files.length === 0
      ? [run(mounts, together(...first, ...accounts, ...(commands.length === 0 ? [seal()] : [])))]
      : [
          run([], together(...first)),
          ...files,
          ...(accounts.length === 0 && commands.length > 0
            ? []
            : [run(mounts, together(...accounts, ...(commands.length === 0 ? [seal()] : [])))]),
        ];
  return [
    `FROM ${CONTEXTS.root} AS configured`,
    // A step has a file of its own at this path.
    `COPY <<"EOF" /etc/hosts\n127.0.0.1\tlocalhost\n127.0.1.1\t${hostName(t)}\n::1\tlocalhost\nEOF`,
    ...steps,
    ...commands,
    ...(commands.length === 0 ? [] : [run([], seal())]),
  ].join('\n');
}

/** Scripts as one; each says for itself that it stops at a failure. */
const together = (...scripts: readonly string[]): string => scripts.join('');

/** Modules that the initramfs has beside its own, in the words of what makes it. */
function extraModules({ template }: DiskPlan): readonly string[] {
  const names = (template.system.kernel?.enableExtraModules ?? '')
    .split(/[\s,]+/)
    .filter((n) => n !== '');
  if (names.length === 0) return [];
  return [
    `if [ -d /etc/dracut.conf.d ]; then echo ${quoted(`add_drivers+=" ${names.join(' ')} "`)} > /etc/dracut.conf.d/extra-modules.conf`,
    'else',
    'mkdir -p /etc/initramfs-tools',
    `printf '%s\\n' ${names.map(quoted).join(' ')} >> /etc/initramfs-tools/modules`,
    'fi',
  ];
}

/** What the initramfs finds a root with that nothing writes to. */
const openers = ({ template, provider }: DiskPlan): readonly string[] =>
  rootOpeners(template, provider).flatMap(({ files }) =>
    Object.entries(files).flatMap(([path, text]) => [
      `mkdir -p ${quoted(dirname(path))}`,
      shellFile(path, text),
      `chmod 0755 ${quoted(path)}`,
    ]),
  );

/** Lists of files of packages with the paths that a merged /usr gives them (dpkg keeps those of the archives). */
const MERGED = "sed -E 's#^/(s?bin|lib[0-9x]*)/#/usr/&#; s#^/usr//#/usr/#'";

/**
 * `/out` has what is in the whole root and comes from no package of the kernel's, if another package takes part in the
 * initramfs, and else nothing. It stands on the whole root, whose content no key needs then; of the other root only the
 * names of packages matter.
 */
function concerned({ provider }: DiskPlan): string {
  if (provider.format === 'rpm') return rpmConcerned(provider);
  const paths = (provider.initramfs?.concerns ?? []).map((path) => `-e ${quoted(path)}`);
  return [
    `FROM ${CONTEXTS.root} AS concerned`,
    run(
      [`--mount=type=bind,from=${CONTEXTS.kernel},source=/var/lib/dpkg/info,target=/in`],
      script(
        'mkdir /out',
        'set --',
        'for list in /var/lib/dpkg/info/*.list; do [ -e "/in/${list##*/}" ] || set -- "$@" "$list"; done',
        // Without a list it would wait for its input.
        `found=$(grep -lE ${paths.join(' ')} -- /dev/null "$@" | head -n 1)`,
        'if [ -n "$found" ]; then',
        'echo "${found##*/} takes part in the initramfs"',
        `${MERGED} /in/*.list > /tmp/known`,
        pathsOf('/tmp/all'),
        "awk 'NR == FNR { known[$0]; next } !($0 in known)' /tmp/known /tmp/all > /tmp/more",
        'while read -r name; do mkdir -p "/out${name%/*}"; cp -dp "$name" "/out$name"; done < /tmp/more',
        'rm /tmp/known /tmp/all /tmp/more',
        'fi',
      ),
    ),
  ].join('\n');
}

const copy = (from: string, to: string): string =>
  `COPY --from=${CONTEXTS.files} ${JSON.stringify([`/${from}`, to])}`;

const mountPoints = ({ layout }: DiskPlan): readonly string[] =>
  layout.partitions.flatMap(({ mountPoint }) =>
    mountPoint === undefined || mountPoint === '/' ? [] : [`mkdir -p ${quoted(mountPoint)}`],
  );

/** What a script sees as the time: that of the newest package, which the database of packages was clamped to. */
const epochOf = (provider: Provider): string =>
  `export SOURCE_DATE_EPOCH=$(stat -c %Y ${databaseFile(provider)})`;

function initramfs({ provider }: DiskPlan): string {
  return [
    'FROM kernel AS initramfs',
    run(
      ['--mount=type=bind,from=concerned,source=/out,target=/in'],
      script(
        epochOf(provider),
        'cp -a --remove-destination /in/. /',
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

const HOST_KEYS = `[Unit]
Description=Keys of this host for ssh
Before=ssh.service sshd.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`;

/** Host name, network and identity; the kernel is in the unified kernel image, its initramfs is not needed twice. */
function system({ template: t }: DiskPlan): string {
  const network = '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n';
  return script(
    shellFile('/etc/hostname', hostName(t)),
    shellFile('/etc/image-id', `IMAGE_ID=${t.image.name}\nIMAGE_VERSION=${t.image.version}`),
    'rm -f /boot/initrd.img-* /boot/initramfs-* /initrd.img /initrd.img.old',
    'if [ -e /usr/lib/systemd/systemd-networkd ]; then',
    'mkdir -p /etc/systemd/network /etc/systemd/system/multi-user.target.wants',
    shellFile('/etc/systemd/network/80-dhcp.network', network),
    'ln -sf /usr/lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/',
    'fi',
    // Keys of a host are no part of an image: the first boot makes them.
    'if [ -e /usr/bin/ssh-keygen ] && [ -d /etc/systemd/system ]; then',
    shellFile('/etc/systemd/system/ssh-host-keys.service', HOST_KEYS),
    'mkdir -p /etc/systemd/system/multi-user.target.wants',
    'ln -sf ../ssh-host-keys.service /etc/systemd/system/multi-user.target.wants/',
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
function account(user: OsUser, provider: Provider): string {
  const shell = user.startupScript ?? user.shell ?? '/bin/bash';
  const groups = [
    ...new Set([...(user.groups ?? []), ...(user.sudo === true ? [provider.adminGroup] : [])]),
  ];
  const name = quoted(user.name);
  const secret = `/run/secrets/${passwordSecret(user.name)}`;
  return script(
    epochOf(provider),
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
