/** An ar archive as deb(5) says. */
export function arOf(members: readonly (readonly [name: string, data: Uint8Array])[]): Buffer {
  const parts = members.flatMap(([name, data]) => [
    Buffer.from(
      `${name.padEnd(16)}${'1700000000'.padEnd(12)}0     0     100644  ${String(data.length).padEnd(10)}\`\n`,
    ),
    data,
    Buffer.alloc(data.length % 2, '\n'),
  ]);
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}
