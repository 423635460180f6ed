import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execFormatHelp } from '../../../src/ops/exec-format.ts';

function elf(machine: number, bigEndian = false): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write('\x7fELF', 'latin1');
  bytes[4] = 2;
  bytes[5] = bigEndian ? 2 : 1;
  if (bigEndian) bytes.writeUInt16BE(machine, 18);
  else bytes.writeUInt16LE(machine, 18);
  return bytes;
}

const missing = (name: string, emulator: string): string =>
  `/bin/sh is a program for ${name}, and this machine has no emulator for it (/proc/sys/fs/binfmt_misc/qemu-${emulator}): install one with "apt-get install qemu-user-static binfmt-support", or "docker run --privileged --rm tonistiigi/binfmt --install ${name}"`;

test('the last line that tells of a format names the program, whose header names the processor', () => {
  const files: Readonly<Record<string, Uint8Array>> = {
    '/bin/sh': elf(183),
    '/be': elf(22, true),
    '/text': Buffer.from('echo hello, this has no first line that says what reads it\n'),
    '/short': Buffer.from('x'),
    '/odd': elf(4711),
  };
  const asked: string[] = [];
  const help = (...lines: readonly string[]): string | undefined =>
    execFormatHelp(lines, (path) => {
      asked.push(path);
      return files[path];
    });
  assert.deepEqual(
    [
      help('exec /bin/sh: exec format error'),
      help('sh: line 1: /be: Exec format error')?.split(':')[0],
      help('exec /gone: exec format error', 'exec /text: exec format error'),
      help('exec /short: exec format error'),
      help('exec /odd: exec format error')?.split(',')[0],
      help('exec /gone: exec format error'),
      help('exec format error', 'exec ./here: exec format error'),
      help('all is well'),
      help(),
    ],
    [
      missing('arm64', 'aarch64'),
      '/be is a program for s390x, and this machine has no emulator for it (/proc/sys/fs/binfmt_misc/qemu-s390x)',
      '/text is neither a program nor a script whose first line starts with "#!"',
      '/short is neither a program nor a script whose first line starts with "#!"',
      '/odd is a program for machine 4711',
      undefined,
      undefined,
      undefined,
      undefined,
    ],
  );
  assert.deepEqual(asked, ['/bin/sh', '/be', '/text', '/short', '/odd', '/gone']);
});
