/** Machines of ELF files (ELF gABI, `e_machine`) by the names that platforms have. */
const MACHINES: Readonly<Record<number, string>> = {
  3: '386',
  8: 'mips',
  20: 'ppc',
  21: 'ppc64le',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

/** How emulators of binfmt_misc call those that have another name there. */
const EMULATORS: Readonly<Record<string, string>> = {
  386: 'i386',
  amd64: 'x86_64',
  arm64: 'aarch64',
  loong64: 'loongarch64',
};

/**
 * What to do about a step that ended with "exec format error": most often its program is for another processor and
 * nothing here emulates that. Undefined when the output says nothing of the kind.
 */
export function execFormatHelp(
  lines: readonly string[],
  readStart: (path: string) => Uint8Array | undefined,
): string | undefined {
  const path = lines
    .map((line) => /(?:^|[\s:'"])(\/[^\s:'"]+)['"]?: exec format error$/i.exec(line)?.[1])
    .findLast((found) => found !== undefined);
  if (path === undefined) return undefined;
  const start = readStart(path);
  if (start === undefined) return undefined;
  const machine = elfMachine(start);
  if (machine === undefined)
    return `${path} is neither a program nor a script whose first line starts with "#!"`;
  const name = MACHINES[machine] ?? `machine ${machine}`;
  const emulator = EMULATORS[name] ?? name;
  return (
    `${path} is a program for ${name}, and this machine has no emulator for it (/proc/sys/fs/binfmt_misc/qemu-${emulator}): ` +
    `install one with "apt-get install qemu-user-static binfmt-support", or ` +
    `"docker run --privileged --rm tonistiigi/binfmt --install ${name}"`
  );
}

function elfMachine(start: Uint8Array): number | undefined {
  const bytes = Buffer.from(start);
  if (bytes.length < 20 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  // EI_DATA: 2 is the most significant byte first.
  return bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
}
