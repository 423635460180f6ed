import { err, failure, ok, type Result } from '../../base/index.ts';
import type { LimitsByName } from '../../build/index.ts';
import type { SandboxGroup, SandboxLimits } from '../../ports/index.ts';
import { usage } from './csv.ts';
import { byteSize } from './values.ts';

/** What was written on the command line, by option name. */
type Texts = (name: string) => string | undefined;

/** `--memory`, `--memory-swap`, `--cpus`, `--cpuset-cpus`, `--pids-limit` and `--step-timeout`: what each step may use. */
export function stepLimits(text: Texts): Result<SandboxLimits> {
  return limitsOf({
    memory: ['--memory', text('memory')],
    'memory-swap': ['--memory-swap', text('memorySwap')],
    cpus: ['--cpus', text('cpus')],
    'cpuset-cpus': ['--cpuset-cpus', text('cpusetCpus')],
    pids: ['--pids-limit', text('pidsLimit')],
    timeout: ['--step-timeout', text('stepTimeout')],
  });
}

/** `--build-memory`, `--build-cpus` and `--build-pids-limit`: what all steps together may use; undefined: as much as there is. */
export function buildLimits(text: Texts): Result<SandboxGroup['limits'] | undefined> {
  const limits = limitsOf({
    memory: ['--build-memory', text('buildMemory')],
    cpus: ['--build-cpus', text('buildCpus')],
    pids: ['--build-pids-limit', text('buildPidsLimit')],
  });
  return limits.ok && Object.keys(limits.value).length === 0 ? ok(undefined) : limits;
}

/** `--step-limit PATTERN:memory=…,cpus=…`: limits of the steps whose name, as progress shows it, has the pattern in it. */
export function limitsByName(value: string): Result<LimitsByName> {
  const flag = '--step-limit';
  const help =
    'write PATTERN:memory=2g,cpus=1.5,timeout=60; keys: memory, memory-swap, cpus, cpuset-cpus, pids, timeout';
  // Lists of processors have commas too.
  const match = /^(.+):((?:[a-z-]+=[^=:]*)(?:,[a-z-]+=[^=:]*)*)$/s.exec(value);
  if (match === null) return usage(flag, value, 'not a pattern and limits', help);
  const [, pattern = '', list = ''] = match;
  const given: Partial<Record<LimitName, readonly [string, string]>> = {};
  for (const part of list.split(/,(?=[a-z])/)) {
    const [key = '', text = ''] = part.split('=');
    const name = LIMIT_NAMES.find((each) => each === key);
    if (name === undefined) return usage(flag, value, `unknown limit "${key}"`, help);
    given[name] = [`${flag} ${key}`, text];
  }
  const limits = limitsOf(given);
  return limits.ok ? ok({ pattern, limits: limits.value }) : limits;
}

const LIMIT_NAMES = ['memory', 'memory-swap', 'cpus', 'cpuset-cpus', 'pids', 'timeout'] as const;
type LimitName = (typeof LIMIT_NAMES)[number];

/** Limits as they are written: what each is called in messages, and its text. */
function limitsOf(
  given: Partial<Record<LimitName, readonly [flag: string, text: string | undefined]>>,
): Result<SandboxLimits> {
  const none = ['', undefined] as const;
  const memory = size(...(given.memory ?? none));
  if (!memory.ok) return memory;
  const [swapFlag, swapText] = given['memory-swap'] ?? none;
  const swap = swapText === '-1' ? ok(-1) : size(swapFlag, swapText);
  if (!swap.ok) return swap;
  const fits = checkSwap(swapFlag, memory.value, swap.value);
  if (!fits.ok) return fits;
  const cpus = positive(...(given.cpus ?? none));
  if (!cpus.ok) return cpus;
  const set = cpuList(...(given['cpuset-cpus'] ?? none));
  if (!set.ok) return set;
  const pids = positive(...(given.pids ?? none));
  if (!pids.ok) return pids;
  if (pids.value !== undefined && !Number.isInteger(pids.value)) {
    const [flag, text = ''] = given.pids ?? none;
    return usage(flag, text, 'not a whole number');
  }
  const seconds = positive(...(given.timeout ?? none));
  if (!seconds.ok) return seconds;
  return ok({
    ...(memory.value === undefined ? {} : { memoryBytes: memory.value }),
    ...(swap.value === undefined ? {} : { memorySwapBytes: swap.value }),
    ...(cpus.value === undefined ? {} : { cpus: cpus.value }),
    ...(set.value === undefined ? {} : { cpusetCpus: set.value }),
    ...(pids.value === undefined ? {} : { pids: pids.value }),
    ...(seconds.value === undefined ? {} : { timeoutMs: seconds.value * 1000 }),
  });
}

/** A number above zero. */
export function positive(flag: string, text: string | undefined): Result<number | undefined> {
  if (text === undefined) return ok(undefined);
  const value = Number(text);
  return value > 0 && Number.isFinite(value)
    ? ok(value)
    : usage(flag, text, 'not a positive number');
}

/** The least memory in which a container can be started (Docker's minimum). */
const LEAST_MEMORY = 6 * 2 ** 20;

function size(flag: string, text: string | undefined): Result<number | undefined> {
  if (text === undefined) return ok(undefined);
  const bytes = byteSize(flag, text);
  if (bytes.ok && bytes.value < LEAST_MEMORY)
    return usage(flag, text, 'the least that works is 6m');
  return bytes;
}

function checkSwap(
  flag: string,
  memory: number | undefined,
  swap: number | undefined,
): Result<void> {
  if (swap === undefined) return ok(undefined);
  if (memory === undefined)
    return err(
      failure(
        'CL002',
        2,
        `${flag}: it needs ${
          flag
            .split(' ')
            .at(-1)
            ?.replace(/-swap$/, '') ?? ''
        } beside it`,
      ),
    );
  if (swap !== -1 && swap < memory)
    return err(
      failure(
        'CL002',
        2,
        `${flag}: it is memory and swap together, and below ${
          flag
            .split(' ')
            .at(-1)
            ?.replace(/-swap$/, '') ?? ''
        }`,
      ),
    );
  return ok(undefined);
}

/** A list of processors as cpuset(7) has it: numbers and ranges with commas. */
function cpuList(flag: string, text: string | undefined): Result<string | undefined> {
  if (text === undefined) return ok(undefined);
  if (/^\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*$/.test(text)) return ok(text);
  return usage(flag, text, 'not a list of processors', 'write numbers and ranges, e.g. 0-2,4');
}
