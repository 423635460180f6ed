/**
 * Torture of the store: `torture.ts [--seed N] [--minutes N a part] [--only PART,…] [--scenario TEXT] [--processes N]`. Parts:
 * kills, full, small, beside, flips, crowd, clock, disks. Prints counts and every loss; ends with 1 when something was lost.
 */
import { parseArgs } from 'node:util';
import { torture } from '../test/torture/torture.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    scenario: { type: 'string', default: '' },
    parallel: { type: 'string', default: '2' },
    processes: { type: 'string', default: '200' },
  },
});
const report = await torture({
  seed: Number(values.seed),
  partMs: Number(values.minutes) * 60_000,
  parts: values.only.split(',').filter((part) => part !== ''),
  scenario: values.scenario,
  parallel: Number(values.parallel),
  processes: Number(values.processes),
  say: (text) => console.error(text),
});
for (const loss of report.losses) console.log(`LOSS ${loss}`);
for (const line of report.lines) console.log(line);
console.log(`${report.losses.length} losses, seed ${values.seed}`);
process.exitCode = report.losses.length === 0 ? 0 : 1;
