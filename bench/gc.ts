/** `node bench/gc.ts [ENTRIES]`: how long planning a trim takes over a made-up store, 100,000 entries when not said. */
import { PRESETS, planGc } from '../src/gc/index.ts';
import { NOW, syntheticStore } from '../test/rig/synthetic-store.ts';
import { spread } from './measure.ts';

const RUNS = 11;

const count = Number(process.argv[2] ?? 100_000);
const entries = syntheticStore(count);
const used = entries.reduce((sum, entry) => sum + entry.bytes, 0);
const policy = { ...PRESETS['ci'], maxUsedSpace: { bytes: Math.floor(used / 4) } };
const state = { now: NOW, disk: { size: 4 * used, free: 2 * used } };
const [times, work]: [number[], number[]] = [[], []];
let removals = 0;
for (let i = 0; i < RUNS; i++) {
  const [from, cpu] = [performance.now(), process.cpuUsage()];
  removals = planGc(entries, policy, state).removals.length;
  times.push((performance.now() - from) / 1000);
  const { user, system } = process.cpuUsage(cpu);
  work.push((user + system) / 1e6);
}
console.log(
  `plan of ${count} entries (${removals} removed): ${spread(times)} s, ${spread(work)} s of processor time`,
);
