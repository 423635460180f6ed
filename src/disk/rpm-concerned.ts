import type { Provider } from '../template/index.ts';
import { CONTEXTS } from './plan.ts';
import { quoted, run, script } from './shell.ts';

/** What a step sees that is no part of its root, or is its own. */
const NOT_OF_THE_ROOT = '/proc /sys /dev /in /out /tmp /etc/hosts /etc/resolv.conf'.split(' ');

/** A command that lists everything in a root that is no directory. */
export const pathsOf = (file: string): string =>
  `find / -xdev \\( ${NOT_OF_THE_ROOT.map((path) => `-path ${path}`).join(' -o ')} \\) -prune -o ! -type d -print > ${file}`;

/**
 * The stage `concerned` of a root of rpm packages, whose lists of files are in a database that the root need not be able to
 * read: what the whole root has beside the root of the kernel is found by its paths. `/out` has all of it if one of them takes
 * part in the initramfs, and else nothing.
 */
export function rpmConcerned(provider: Provider): string {
  const concerns = (provider.initramfs?.concerns ?? []).map((path) => `-e ${quoted(path)}`);
  const known = [
    `FROM ${CONTEXTS.kernel} AS kernel-paths`,
    run([], script('mkdir /out', pathsOf('/tmp/paths'), 'mv /tmp/paths /out/paths')),
  ].join('\n');
  const concerned = [
    `FROM ${CONTEXTS.root} AS concerned`,
    run(
      ['--mount=type=bind,from=kernel-paths,source=/out,target=/in'],
      script(
        'mkdir /out',
        pathsOf('/tmp/all'),
        "awk 'NR == FNR { known[$0]; next } !($0 in known)' /in/paths /tmp/all > /tmp/more",
        `if grep -E ${concerns.join(' ')} /tmp/more > /tmp/found; then`,
        'echo "$(head -n 1 /tmp/found) takes part in the initramfs"',
        'while read -r name; do mkdir -p "/out${name%/*}"; cp -dp "$name" "/out$name"; done < /tmp/more',
        'fi',
        'rm /tmp/all /tmp/more /tmp/found',
      ),
    ),
  ].join('\n');
  return [known, concerned].join('\n\n');
}
