import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';

/** Why machines with networks of their own cannot be had here; false when they can. */
export const needsNetworks: string | false =
  process.getuid?.() !== 0
    ? 'needs root (network namespaces)'
    : existsSync('/usr/sbin/ip') || existsSync('/sbin/ip')
      ? false
      : 'needs iproute2';

const PREFIX = 'varvet';

/**
 * A network of machines: each a network namespace with one link to a bridge of this host, where `address` is. Nothing else
 * can be reached from them. What a killed test left is removed by the next one.
 */
export class MachineNetwork implements Disposable {
  readonly address: string;
  readonly #id = randomBytes(3).toString('hex');
  readonly #subnet: string;
  readonly #bridge: string;
  readonly #spaces: string[] = [];

  constructor() {
    removeLeftovers();
    const bytes = randomBytes(2);
    this.#subnet = `10.${200 + ((bytes[0] ?? 0) % 50)}.${bytes[1] ?? 0}`;
    this.address = `${this.#subnet}.1`;
    this.#bridge = `vb${this.#id}`;
    ip('link', 'add', this.#bridge, 'type', 'bridge');
    try {
      ip('address', 'add', `${this.address}/24`, 'dev', this.#bridge);
      ip('link', 'set', this.#bridge, 'up');
    } catch (e) {
      this[Symbol.dispose]();
      throw e;
    }
  }

  /** Adds a machine; the answer is the file of its namespace. */
  machine(): string {
    const number = this.#spaces.length + 2;
    const name = `${PREFIX}-${process.pid}-${this.#id}-${number}`;
    const [outside, inside] = [`vh${this.#id}${number}`, `vm${this.#id}${number}`];
    ip('netns', 'add', name);
    this.#spaces.push(name);
    ip('link', 'add', outside, 'master', this.#bridge, 'type', 'veth', 'peer', 'name', inside);
    ip('link', 'set', outside, 'up');
    ip('link', 'set', inside, 'netns', name);
    ip('-n', name, 'address', 'add', `${this.#subnet}.${number}/24`, 'dev', inside);
    ip('-n', name, 'link', 'set', inside, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    return `/run/netns/${name}`;
  }

  /** An address that a machine can send to and that nobody has: packets are lost, nothing is refused. */
  lost(machine: string): string {
    const name = machine.replace('/run/netns/', '');
    const inside = `vm${this.#id}${name.split('-').at(-1) ?? ''}`;
    const address = `${this.#subnet}.250`;
    ip('-n', name, 'neighbour', 'add', address, 'lladdr', '02:00:00:00:02:50', 'dev', inside);
    return address;
  }

  [Symbol.dispose](): void {
    for (const name of this.#spaces.splice(0)) ip('netns', 'delete', name);
    ip('link', 'delete', this.#bridge);
  }
}

/** Namespaces and bridges of tests whose process is gone. */
function removeLeftovers(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const [, name = '', pid = '', id = ''] =
      new RegExp(`^(${PREFIX}-(\\d+)-([0-9a-f]+)-\\d+)`).exec(line) ?? [];
    if (name === '' || existsSync(`/proc/${pid}`)) continue;
    ip('netns', 'delete', name);
    if (ip('-o', 'link', 'show', 'type', 'bridge').includes(`vb${id}:`))
      ip('link', 'delete', `vb${id}`);
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, {
    encoding: 'utf8',
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
}
