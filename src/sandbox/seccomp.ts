import type { SeccompArg, SeccompProfile, SeccompRule } from './runtime-spec-types.ts';
import { ALWAYS_ALLOWED, BY_ARCHITECTURE, BY_CAPABILITY } from './seccomp-names.ts';

const EPERM = 1;
const ENOSYS = 38;
/** Address families of socket(2) that stay closed (linux/socket.h): kernel crypto, and the host behind a virtual machine. */
const AF_ALG = 38;
const AF_VSOCK = 40;
/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET (linux/sched.h). */
const CLONE_NEW_NAMESPACES = 0x7e020000;
/** Values personality(2) may take: default, UNAME26, PER_LINUX32 alone and with UNAME26, and the query. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/**
 * Further instruction sets the same kernel runs, by OCI architecture, the native one first. Without x32, whose calls then end the
 * process: distributions do not switch it on, and the runtime takes a fifth of its time to compile rules for it (docs/adr/0099).
 */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  ppc64le: ['SCMP_ARCH_PPC64LE'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
};

/**
 * Docker's default seccomp profile for a process with these capabilities: what is not named fails with EPERM. Making
 * namespaces needs CAP_SYS_ADMIN; clone3(2), whose flags a filter cannot see, fails with ENOSYS so that libc falls back
 * to clone(2).
 */
export function seccompProfile(
  architecture: string,
  capabilities: readonly string[],
): SeccompProfile {
  const admin = capabilities.includes('CAP_SYS_ADMIN');
  const allowed = [
    ...ALWAYS_ALLOWED,
    ...(BY_ARCHITECTURE[architecture] ?? []),
    ...capabilities.flatMap((capability) => BY_CAPABILITY[capability] ?? []),
  ];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[architecture] ?? [],
    syscalls: [
      { names: [...new Set(allowed)].sort(), action: 'SCMP_ACT_ALLOW' },
      allow('socket', { index: 0, value: AF_ALG, op: 'SCMP_CMP_LT' }),
      allow('socket', { index: 0, value: AF_ALG + 1, op: 'SCMP_CMP_EQ' }),
      allow('socket', { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_GT' }),
      ...PERSONALITIES.map((value) => allow('personality', { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(admin ? [] : cloneRules(architecture)),
    ],
  };
}

function cloneRules(architecture: string): SeccompRule[] {
  // clone(2): the order of the arguments differs on s390.
  const index = architecture === 's390x' ? 1 : 0;
  return [
    allow('clone', {
      index,
      value: CLONE_NEW_NAMESPACES,
      valueTwo: 0,
      op: 'SCMP_CMP_MASKED_EQ',
    }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ];
}

function allow(name: string, arg: SeccompArg): SeccompRule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args: [arg] };
}
