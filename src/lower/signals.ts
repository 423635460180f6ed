const NAMES: ReadonlySet<string> = new Set(
  [
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT',
    'STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX',
  ]
    .join(' ')
    .split(' '),
);

/** Whether a text names a signal of Linux: a number but 0, or a name with or without `SIG` (moby/sys/signal). */
export function isSignal(text: string): boolean {
  if (text.charCodeAt(0) < 0x3a && /^[+-]?\d+$/.test(text)) return Number(text) !== 0;
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper.slice(3) : upper;
  if (NAMES.has(name)) return true;
  const realTime = /^RT(MIN\+|MAX-)(\d+)$/.exec(name);
  if (realTime === null) return false;
  return Number(realTime[2]) >= 1 && Number(realTime[2]) <= (realTime[1] === 'MIN+' ? 15 : 14);
}
