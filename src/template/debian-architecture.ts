/** Debian's architecture name of an OCI platform, and back (`dpkg-architecture`, Go's GOARCH). */
const ARCHITECTURES: readonly (readonly [debian: string, oci: string, variant?: string])[] = [
  ['amd64', 'amd64'],
  ['arm64', 'arm64'],
  ['armhf', 'arm', 'v7'],
  ['armel', 'arm', 'v5'],
  ['i386', '386'],
  ['ppc64el', 'ppc64le'],
  ['riscv64', 'riscv64'],
  ['s390x', 's390x'],
  ['mips64el', 'mips64le'],
  ['loong64', 'loong64'],
];

/** The platform's Debian architecture, or undefined where Debian has none. */
export function debianArchitecture(platform: {
  readonly architecture: string;
  readonly variant?: string;
}): string | undefined {
  const rows = ARCHITECTURES.filter(([, oci]) => oci === platform.architecture);
  return (rows.find(([, , variant]) => variant === platform.variant) ?? rows[0])?.[0];
}
