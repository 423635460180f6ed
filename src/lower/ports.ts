import type { Linter } from '../dockerfile/index.ts';
import { MESSAGES, rule } from '../dockerfile/index.ts';
import { type At, stop } from './stop.ts';

const HIGHEST = 65_535;

/** The `port/protocol` names of EXPOSE (docker/go-connections nat, `ParsePortSpecs`), in order. */
export function exposedPorts(words: readonly string[], linter: Linter, at: At): readonly string[] {
  for (const word of words) {
    const slash = word.indexOf('/');
    const protocol = slash === -1 ? '' : word.slice(slash + 1);
    if (protocol !== protocol.toLowerCase())
      linter.warn(rule('ExposeProtoCasing'), MESSAGES.ExposeProtoCasing(word), at);
    if (word.includes(':'))
      linter.warn(rule('ExposeInvalidFormat'), MESSAGES.ExposeInvalidFormat(word), at);
  }
  return words.flatMap(portsOf);
}

function portsOf(word: string): string[] {
  const slash = word.indexOf('/');
  const address = slash === -1 ? word : word.slice(0, slash);
  const protocol =
    slash === -1 || slash === word.length - 1 ? 'tcp' : word.slice(slash + 1).toLowerCase();
  const parts = address.split(':');
  const container = parts.at(-1) ?? '';
  const host = parts.length > 1 ? (parts.at(-2) ?? '') : '';
  if (container === '') stop(`no port specified: ${word}<empty>`, 'DF026');
  const inside = range(container) ?? stop(`invalid containerPort: ${container}`, 'DF026');
  const outside =
    host === '' ? undefined : (range(host) ?? stop(`invalid hostPort: ${host}`, 'DF026'));
  const differs = outside !== undefined && outside[1] - outside[0] !== inside[1] - inside[0];
  if (differs && inside[0] !== inside[1])
    stop(
      `invalid ranges specified for container and host Ports: ${container} and ${host}`,
      'DF026',
    );
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) stop(`invalid proto: ${protocol}`, 'DF026');
  return Array.from(
    { length: inside[1] - inside[0] + 1 },
    (_, i) => `${inside[0] + i}/${protocol}`,
  );
}

function range(text: string): readonly [number, number] | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last && last <= HIGHEST ? [first, last] : undefined;
}
