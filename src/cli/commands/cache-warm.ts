import { failure } from '../../base/index.ts';
import { type Warmed, warmStore } from '../../build/index.ts';
import { withCacheWorld } from '../cache-world.ts';
import { fail, type Io, printJson } from '../io.ts';
import { planJson, planText } from '../plan-text.ts';
import { formatBytes } from '../progress/text.ts';

/** `varve cache warm`: 0 when the next build is all cached, 1 when not. */
export function cacheWarm(
  io: Io,
  context: string | undefined,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  return withCacheWorld(
    io,
    values,
    async ({ deps, request }) => {
      const asked = await request(context ?? '.');
      return asked.ok ? await warmStore(asked.value, deps, io.signal) : asked;
    },
    (warmed) => {
      if (values['json'] === true) printJson(io, warmJson(warmed));
      else io.out(warmText(warmed));
      return warmed.ready ? 0 : fail(io, notReady(warmed));
    },
  );
}

function warmText({ steps, layers, fetched, images, ready }: Warmed): string {
  if (!ready) return planText(steps);
  const bases = images.length === 0 ? [] : [`base images: ${images.join(', ')}`];
  return [
    `${steps.length} of ${steps.length} steps are CACHED`,
    `layers: ${layers} extracted, ${formatBytes(fetched)} fetched`,
    ...bases,
    'ready: no network is needed\n',
  ].join('\n');
}

function warmJson(warmed: Warmed): Parameters<typeof printJson>[1] {
  const { ready, layers, fetched, images, online } = warmed;
  return { v: 1, ready, layers, fetched, images, online, plan: planJson(warmed.steps) };
}

function notReady({ steps, online }: Warmed): ReturnType<typeof failure> {
  if (online !== undefined)
    return failure('RC041', 1, `not ready: the next build needs the network: ${online}`);
  const run = steps.filter((step) => step.state === 'run');
  const why = run[0]?.decision.reason ?? '';
  return failure(
    'RC040',
    1,
    `not ready: ${run.length} of ${steps.length} steps would run: ${why}`,
    {
      help: 'build it here, or name a cache that has it with --cache-from',
    },
  );
}
