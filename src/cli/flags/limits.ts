import { err, failure, ok, type Result } from '../../base/index.ts';
import type { SandboxLimits } from '../../ports/index.ts';
import { usage } from './csv.ts';
import { byteSize } from './values.ts';

/** What was written on the command line, by option name. */
type Texts = (name: string) => string | undefined;

/** `--memory`, `--memory-swap`, `--cpus`, `--cpuset-cpus`, `--pids-limit` and `--step-timeout`: what each step may use. */
export function stepLimits(text: Texts): Result<SandboxLimits> {
  const memory = size('--memory', text('memory'));
  if (!memory.ok) return memory;
  const swap = text('memorySwap') === '-1' ? ok(-1) : size('--memory-swap', text('memorySwap'));
  if (!swap.ok) return swap;
  const fits = checkSwap(memory.value, swap.value);
  if (!fits.ok) return fits;
  const cpus = positive('--cpus', text('cpus'));
  if (!cpus.ok) return cpus;
  const set = cpuList('--cpuset-cpus', text('cpusetCpus'));
  if (!set.ok) return set;
  const pids = positive('--pids-limit', text('pidsLimit'));
  if (!pids.ok) return pids;
  if (pids.value !== undefined && !Number.isInteger(pids.value))
    return usage('--pids-limit', text('pidsLimit') ?? '', 'not a whole number');
  const seconds = positive('--step-timeout', text('stepTimeout'));
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

function checkSwap(memory: number | undefined, swap: number | undefined): Result<void> {
  if (swap === undefined) return ok(undefined);
  if (memory === undefined)
    return err(failure('CL002', 2, '--memory-swap: it needs --memory beside it'));
  if (swap !== -1 && swap < memory)
    return err(
      failure('CL002', 2, '--memory-swap: it is memory and swap together, and below --memory'),
    );
  return ok(undefined);
}

/** A list of processors as cpuset(7) has it: numbers and ranges with commas. */
function cpuList(flag: string, text: string | undefined): Result<string | undefined> {
  if (text === undefined) return ok(undefined);
  if (/^\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*$/.test(text)) return ok(text);
  return usage(flag, text, 'not a list of processors', 'write numbers and ranges, e.g. 0-2,4');
}
