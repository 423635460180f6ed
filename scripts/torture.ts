/**
 * Torture of the store: `torture.ts [--seed N] [--minutes N a part] [--only PART,…] [--scenario TEXT] [--processes N] [--covered FILE]`.
 * Parts: kills, full, small, beside, flips, crowd, clock, disks. A file of what was covered lets the next run begin where this
 * one ended. Prints counts and every loss; ends with 1 when something was lost.
 */
import { parseArgs } from 'node:util';
import { Coverage } from '../test/torture/coverage.ts';
import { torture } from '../test/torture/torture.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    scenario: { type: 'string', default: '' },
    parallel: { type: 'string', default: '2' },
    processes: { type: 'string', default: '200' },
    covered: { type: 'string' },
  },
});
const report = await torture({
  seed: Number(values.seed),
  partMs: Number(values.minutes) * 60_000,
  parts: values.only.split(',').filter((part) => part !== ''),
  scenario: values.scenario,
  parallel: Number(values.parallel),
  processes: Number(values.processes),
  coverage: new Coverage(values.covered),
  say: (text) => console.error(text),
});
for (const loss of report.losses) console.log(`LOSS ${loss}`);
for (const line of report.lines) console.log(line);
console.log(`${report.losses.length} losses, seed ${values.seed}`);
process.exitCode = report.losses.length === 0 ? 0 : 1;
