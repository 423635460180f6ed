/** The long form: all parts, as much of each as the time allows. */
import { besideAt, isOutside, trimBeside } from './beside.ts';
import { jump } from './clock.ts';
import type { Coverage } from './coverage.ts';
import { crowd } from './crowd.ts';
import { spoiltDisk, staleStep } from './disks.ts';
import { flipOnce, kindOf, kindsOf, makeFlippables } from './flips.ts';
import { fillCheaply, fillFileSystem } from './full-disk.ts';
import { killAt, killOnce, killSometime, type Tally, tally } from './kills.ts';
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
  /** Where attempts were, in earlier runs too. */
  readonly coverage: Coverage;
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
  for (const [name, part] of run.parts()) {
    if (options.parts.length > 0 && !options.parts.includes(name)) continue;
    const into = tally();
    const started = performance.now();
    let line = `${name} was not finished`;
    try {
      line = await part(into);
    } catch (e) {
      into.losses.push(`${name}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
    }
    const minutes = ((performance.now() - started) / 60_000).toFixed(1);
    report.lines.push(`${line}, in ${minutes} minutes: ${into.losses.length} losses`);
    report.losses.push(...into.losses);
    options.say(report.lines.at(-1) ?? '');
    for (const loss of into.losses) options.say(`LOSS ${loss}`);
  }
  report.lines.push(...run.without());
  return report;
}

type PointsOf = (ready: Ready) => Iterable<string>;

/** Parts whose attempts are at transitions, and at which. */
const AT_TRANSITIONS = {
  kills: (ready) => ready.points.keys(),
  full: (ready) => ready.writes.keys(),
  beside: ({ points, scenario }) =>
    scenario.damaged === true ? [] : [...points.keys()].filter(isOutside),
} satisfies Readonly<Record<string, PointsOf>>;

class Torture {
  readonly #world: World;
  readonly #options: TortureOptions;
  readonly #random: Random;
  readonly #ready = new Map<string, Promise<Ready>>();
  /** Transitions of each part that began. */
  readonly #points = new Map<string, Map<string, Ready[]>>();

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

  /** Which transitions had no fault yet, a line for each part that was run. */
  without(): string[] {
    return [...this.#points].map(([part, points]) => {
      const left = [...points.keys()].filter((name) => !this.#options.coverage.has(part, name));
      return `${part}: ${points.size - left.length} of ${points.size} named transitions had a fault; without one: ${left.sort().join(', ') || 'none'}`;
    });
  }

  async #kills(into: Tally): Promise<string> {
    await this.#atTransitions('kills', into, async (ready, point, each) => {
      // One in eight at any time: what happens outside of named transitions.
      const kill =
        this.#random.below(8) === 0
          ? killSometime(ready, this.#random)
          : killAt(ready, point, this.#random);
      await killOnce(this.#world, ready, kill, { trim: this.#random.below(4) === 0, into: each });
    });
    return `${into.done} kills at ${into.points.size} named transitions and at random times (${into.missed} not reached)`;
  }

  async #beside(into: Tally): Promise<string> {
    await this.#atTransitions('beside', into, async (ready, point, each) => {
      await trimBeside(this.#world, ready, besideAt(ready, point, this.#random), each);
    });
    return `${into.done} trims of everything at ${into.points.size} named transitions of other commands (${into.missed} locked out)`;
  }

  async #full(into: Tally): Promise<string> {
    await this.#atTransitions('full', into, async (ready, point, each) => {
      const nth = 1 + this.#random.below(ready.writes.get(point) ?? 1);
      const full = { point, nth, once: this.#random.below(3) === 0 };
      await fillCheaply(this.#world, ready, full, each);
    });
    return `${into.done} full disks at ${into.points.size} named transitions (${into.missed} not reached)`;
  }

  async #small(into: Tally): Promise<string> {
    const all = await this.#all(into);
    // What was enough, of each scenario on each kind of file system: less than that is tried.
    const enough = new Map(
      all.flatMap((ready) =>
        (['tmpfs', 'ext4'] as const).map((on) => [
          `${ready.scenario.name} on ${on}`,
          { ready, on, bytes: Math.max(ready.grown, 1 << 18) },
        ]),
      ),
    );
    await this.#asLongAs(into, async () => {
      const name = this.#options.coverage.next('small', [...enough.keys()], this.#random);
      const chosen = enough.get(name);
      if (chosen === undefined) return;
      // Half of what is needed at most, or nearly all of it.
      const share = this.#random.of([0.5, 1]);
      const left = { on: chosen.on, bytes: this.#random.below(Math.ceil(chosen.bytes * share)) };
      const isFull = await fillFileSystem(this.#world, chosen.ready, left, into);
      if (isFull) this.#options.coverage.hit('small', name);
      else chosen.bytes = Math.max(1, Math.min(chosen.bytes, left.bytes));
    });
    const never = all.map(({ scenario }) => scenario.name).filter((name) => !into.points.has(name));
    return `${into.done} small file systems that were full (${into.missed} were large enough), not in: ${never.join(', ') || 'none'}`;
  }

  async #flips(into: Tally): Promise<string> {
    const { coverage } = this.#options;
    // Kinds in turn: of some there are many files.
    const kinds = kindsOf(await makeFlippables(this.#world));
    await this.#asLongAs(into, async () => {
      const kind = coverage.next('flips', [...kinds.keys()], this.#random);
      const file = this.#random.of(kinds.get(kind) ?? []);
      await flipOnce(this.#world, file, this.#random, into);
      coverage.hit('flips', kindOf(file));
    });
    return `${into.done} flipped bits in ${into.points.size} of ${kinds.size} kinds of files`;
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

  /**
   * Attempts at transitions: those that had no fault yet first, each in the shortest scenario that has it; later in any that
   * has it.
   */
  async #atTransitions(
    part: keyof typeof AT_TRANSITIONS,
    into: Tally,
    attempt: (ready: Ready, point: string, into: Tally) => Promise<void>,
  ): Promise<void> {
    const { coverage } = this.#options;
    const points = new Map<string, Ready[]>();
    const all = await this.#all(into);
    for (const ready of all.toSorted((a, b) => a.ms - b.ms))
      for (const point of AT_TRANSITIONS[part](ready))
        points.set(point, [...(points.get(point) ?? []), ready]);
    this.#points.set(part, points);
    await this.#asLongAs(into, async () => {
      const point = coverage.next(part, [...points.keys()], this.#random);
      const having = points.get(point) ?? [];
      const ready = coverage.has(part, point) ? this.#random.of(having) : having[0];
      if (ready === undefined) return;
      const each = tally();
      await attempt(ready, point, each);
      into.done += each.done;
      into.missed += each.missed;
      into.losses.push(...each.losses);
      for (const hit of each.points) {
        into.points.add(hit);
        coverage.hit(part, hit);
      }
    });
  }

  /** All scenarios that are asked for; one that does not become ready is a loss. */
  async #all(into: Tally): Promise<readonly Ready[]> {
    const { scenario, parallel } = this.#options;
    const names = SCENARIOS.filter(
      ({ name, lacks = false }) => lacks === false && name.includes(scenario),
    ).map(({ name }) => name);
    const all: Ready[] = [];
    const one = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift())
        try {
          all.push(await this.#scenario(name));
        } catch (e) {
          into.losses.push(e instanceof Error ? e.message : String(e));
        }
    };
    await Promise.all(Array.from({ length: parallel }, one));
    return all;
  }

  /** A build with archives: what stores are looked at with in the end. */
  async #first(): Promise<Ready> {
    return await this.#scenario(SCENARIOS[0]?.name ?? '');
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

  /** Begins attempts until the time is over; says how far it is. */
  async #asLongAs(into: Tally, attempt: () => Promise<void>): Promise<void> {
    const end = Date.now() + this.#options.partMs;
    let [said, counted] = [0, 0];
    const one = async (): Promise<void> => {
      while (Date.now() < end) {
        await attempt();
        for (const loss of into.losses.slice(said)) this.#options.say(`LOSS ${loss}`);
        said = into.losses.length;
        if (into.done < counted + 20) continue;
        counted = into.done;
        this.#options.say(`${into.done} done at ${into.points.size} names, ${said} losses`);
      }
    };
    await Promise.all(Array.from({ length: this.#options.parallel }, one));
  }
}
