/** The long form: all parts, as much of each as the time allows. */
import { chooseBeside, trimBeside } from './beside.ts';
import { jump } from './clock.ts';
import { crowd } from './crowd.ts';
import { spoiltDisk, staleStep } from './disks.ts';
import { flipOnce, kindsOf, makeFlippables } from './flips.ts';
import { fillCheaply, fillFileSystem } from './full-disk.ts';
import { chooseKill, killOnce, type Tally, tally } from './kills.ts';
import { Random } from './random.ts';
import { SCENARIOS } from './scenarios.ts';
import { makeReady, type Ready } from './trial.ts';
import { World } from './world.ts';

/** What is done, and how long. */
export interface TortureOptions {
  readonly seed: number;
  /** How long attempts of a part are begun, in milliseconds; a part whose attempts are counted ends by itself. */
  readonly partMs: number;
  /** Parts by name; all when empty. */
  readonly parts: readonly string[];
  /** Scenarios whose name has this in it. */
  readonly scenario: string;
  /** Attempts at once. */
  readonly parallel: number;
  /** Processes of the crowd. */
  readonly processes: number;
  readonly say: (text: string) => void;
}

/** Counts for people, and what was lost. */
export interface TortureReport {
  readonly lines: readonly string[];
  readonly losses: readonly string[];
}

/** Runs the parts one after another. */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  await using world = new World();
  const run = new Torture(world, options);
  const report: { lines: string[]; losses: string[] } = { lines: [], losses: [] };
  for (const { name, lacks = false } of SCENARIOS)
    if (lacks !== false) report.lines.push(`left out: ${name}: ${lacks}`);
  const hit = new Set<string>();
  for (const [name, part] of run.parts()) {
    if (options.parts.length > 0 && !options.parts.includes(name)) continue;
    const into = tally();
    let line = `${name} was not finished`;
    try {
      line = await part(into);
    } catch (e) {
      into.losses.push(`${name}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
    }
    report.lines.push(`${line}: ${into.losses.length} losses`);
    report.losses.push(...into.losses);
    options.say(report.lines.at(-1) ?? '');
    for (const loss of into.losses) options.say(`LOSS ${loss}`);
    for (const point of into.points) hit.add(point);
  }
  const all = await run.transitions();
  const never = [...all].filter((name) => !hit.has(name)).sort();
  if (all.size > 0)
    report.lines.push(
      `${all.size - never.length} of ${all.size} named transitions had a fault; without one: ${never.join(', ') || 'none'}`,
    );
  return report;
}

class Torture {
  readonly #world: World;
  readonly #options: TortureOptions;
  readonly #random: Random;
  readonly #ready = new Map<string, Promise<Ready>>();

  constructor(world: World, options: TortureOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  /** Each part does its work and says in a line what it did. */
  parts(): readonly (readonly [string, (into: Tally) => Promise<string>])[] {
    return [
      ['kills', (into) => this.#kills(into)],
      ['full', (into) => this.#full(into)],
      ['small', (into) => this.#small(into)],
      ['beside', (into) => this.#beside(into)],
      ['flips', (into) => this.#flips(into)],
      ['crowd', (into) => this.#crowd(into)],
      ['clock', (into) => this.#clock(into)],
      ['disks', (into) => this.#disks(into)],
    ];
  }

  async #kills(into: Tally): Promise<string> {
    await this.#asLongAs(into, async () => {
      const chosen = await this.#scenario(this.#random.of(this.#names()));
      const kill = chooseKill(chosen, this.#random, into.points);
      await killOnce(this.#world, chosen, kill, { trim: this.#random.below(4) === 0, into });
    });
    return `${into.done} kills at ${into.points.size} named transitions and at random times (${into.missed} not reached)`;
  }

  async #beside(into: Tally): Promise<string> {
    await this.#asLongAs(into, async () => {
      const chosen = await this.#scenario(this.#random.of(this.#names()));
      const beside = chooseBeside(chosen, this.#random);
      if (beside !== undefined) await trimBeside(this.#world, chosen, beside, into);
    });
    return `${into.done} trims of everything at ${into.points.size} named transitions of other commands (${into.missed} locked out)`;
  }

  async #full(into: Tally): Promise<string> {
    const sums = { writes: 0 };
    const all: (readonly [string, number])[] = [];
    for (const name of this.#names()) {
      const { writes } = await this.#scenario(name);
      sums.writes += writes;
      for (let nth = 1; nth <= writes; nth++) all.push([name, nth]);
    }
    await this.#asLongAs(into, async () => {
      const [next] = all.splice(this.#random.below(all.length), 1);
      if (next === undefined) return 'done';
      const full = { nth: next[1], once: this.#random.below(3) === 0 };
      await fillCheaply(this.#world, await this.#scenario(next[0]), full, into);
      return undefined;
    });
    return `${into.done} full disks at ${sums.writes - all.length} of ${sums.writes} writes, at ${into.points.size} named transitions (${into.missed} not reached)`;
  }

  async #small(into: Tally): Promise<string> {
    let bytes = 1 << 18;
    await this.#asLongAs(into, async () => {
      if (bytes > 24 << 20) return 'done';
      const size = bytes;
      bytes = Math.floor(bytes * 1.09);
      const name = this.#random.of(this.#names());
      const on = this.#random.of(['tmpfs', 'ext4'] as const);
      await fillFileSystem(this.#world, await this.#scenario(name), { bytes: size, on }, into);
      return undefined;
    });
    return `${into.done} small file systems that were full (${into.missed} were large enough)`;
  }

  async #flips(into: Tally): Promise<string> {
    const kinds = kindsOf(await makeFlippables(this.#world));
    // Kinds in turn: of some there are many files.
    let turn = 0;
    await this.#asLongAs(into, async () => {
      const files = kinds[turn++ % kinds.length];
      if (files === undefined) return 'done';
      await flipOnce(this.#world, this.#random.of(files), this.#random, into);
      return undefined;
    });
    return `${into.done} flipped bits in ${into.points.size} of ${kinds.length} kinds of files`;
  }

  async #crowd(into: Tally): Promise<string> {
    const { processes } = this.#options;
    await crowd(
      this.#world,
      await this.#first(),
      { processes, atOnce: 12, random: this.#random },
      into,
    );
    return `${into.done} processes on one store`;
  }

  async #clock(into: Tally): Promise<string> {
    await jump(this.#world, await this.#first(), { commands: 40, random: this.#random }, into);
    return `${into.done} commands with a clock that jumps`;
  }

  async #disks(into: Tally): Promise<string> {
    for (const how of ['read-only', 'full'] as const)
      await spoiltDisk(this.#world, await this.#first(), how, into);
    for (const next of [['tidy'], ['image', 'ls'], ['cache', 'df'], ['history', 'ls']])
      await staleStep(this.#world, next, into);
    return `${into.done} commands on read-only and full disks, and after killed steps`;
  }

  /** Names of the transitions of all scenarios that were made ready. */
  async transitions(): Promise<ReadonlySet<string>> {
    const all = await Promise.allSettled(this.#ready.values());
    return new Set(
      all.flatMap((each) => (each.status === 'fulfilled' ? [...each.value.points.keys()] : [])),
    );
  }

  /** A build with archives: what stores are looked at with in the end. */
  async #first(): Promise<Ready> {
    return await this.#scenario(SCENARIOS[0]?.name ?? '');
  }

  #names(): readonly string[] {
    const { scenario } = this.#options;
    return SCENARIOS.filter(
      ({ name, lacks = false }) => lacks === false && name.includes(scenario),
    ).map(({ name }) => name);
  }

  /** A scenario made ready with its first use. */
  #scenario(name: string): Promise<Ready> {
    const known = this.#ready.get(name);
    if (known !== undefined) return known;
    const scenario = SCENARIOS.find((each) => each.name === name);
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    const made = makeReady(this.#world, scenario);
    this.#ready.set(name, made);
    return made;
  }

  /** Begins attempts until the time is over or one says that all are done; says how far it is. */
  async #asLongAs(into: Tally, attempt: () => Promise<unknown>): Promise<void> {
    const end = Date.now() + this.#options.partMs;
    let said = 0;
    const one = async (): Promise<void> => {
      while (Date.now() < end) {
        if ((await attempt()) === 'done') return;
        for (const loss of into.losses.slice(said)) this.#options.say(`LOSS ${loss}`);
        said = into.losses.length;
        if (into.done % 20 === 0) this.#options.say(`${into.done} done, ${said} losses`);
      }
    };
    await Promise.all(Array.from({ length: this.#options.parallel }, one));
  }
}
