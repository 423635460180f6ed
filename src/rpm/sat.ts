/** One thing that must hold: at least one of the literals. */
export interface Clause {
  /** A package's number: it is installed; negative: it is not. Never empty. */
  readonly literals: readonly number[];
  /** The two watched literals; of a clause of one literal only the first counts. */
  first: number;
  second: number;
  /** Clauses that a learnt clause follows from. */
  readonly from: readonly number[] | undefined;
}

/** Numbers of the clauses that cannot all hold. */
export type Contradiction = ReadonlySet<number>;

/**
 * Decides which packages are installed so that all clauses hold: unit propagation with two watched literals, and learning of
 * the first unique implication point from each conflict (Marques-Silva, Lynce, Malik: "Conflict-Driven Clause Learning SAT
 * Solvers", 2009). What is chosen where the clauses leave a choice is the caller's matter.
 */
export class Sat {
  readonly clauses: Clause[] = [];
  /** Literals decided, in order. */
  readonly trail: number[] = [];
  /** Set when the clauses contradict each other. */
  contradiction: Contradiction | undefined;
  readonly #levels: Int32Array;
  /** For each literal of the trail the clause that implied it, or -1 where it was chosen. */
  readonly #reasons: number[] = [];
  readonly #watches: number[][];
  #propagated = 0;

  constructor(packages: number) {
    this.#levels = new Int32Array(packages + 1);
    this.#watches = Array.from({ length: 2 * packages + 2 }, () => []);
  }

  /** Adds a clause before the search. */
  add(literals: readonly number[]): void {
    const [first = 0, second = 0] = literals;
    this.clauses.push({ literals, first, second, from: undefined });
  }

  /** The level at which a package was decided, negative when against it; 0: not decided. */
  level(id: number): number {
    return this.#levels[id] ?? 0;
  }

  /** Whether a literal holds. */
  isTrue(literal: number): boolean {
    return literal > 0 ? this.level(literal) > 0 : this.level(-literal) < 0;
  }

  /** Whether the negation of a literal holds. */
  isFalse(literal: number): boolean {
    return this.isTrue(-literal);
  }

  /** Decides what clauses of one literal say, and what follows. False: there is no solution. */
  start(): boolean {
    for (let i = this.clauses.length - 1; i >= 0; i--) this.#watch(i);
    for (const [i, { literals }] of this.clauses.entries()) {
      const [literal = 0] = literals;
      if (literals.length > 1 || this.isTrue(literal)) continue;
      if (this.isFalse(literal)) return this.#contradict(i);
      this.#decide(literal, 1, i);
    }
    const conflict = this.#propagate(1);
    return conflict < 0 || this.#contradict(conflict);
  }

  /** Chooses a literal above `level`; the level reached afterwards, lower when conflicts led back; -1: there is no solution. */
  choose(level: number, literal: number): number {
    this.#decide(literal, level + 1, -1);
    let at = level + 1;
    for (;;) {
      const conflict = this.#propagate(at);
      if (conflict < 0) return at;
      if (at === 1) {
        this.#contradict(conflict);
        return -1;
      }
      at = this.#learn(conflict, at);
    }
  }

  /** Takes back everything decided above a level. */
  revert(level: number): void {
    for (let last = this.trail.at(-1); last !== undefined; last = this.trail.at(-1)) {
      if (Math.abs(this.level(Math.abs(last))) <= level) break;
      this.#levels[Math.abs(last)] = 0;
      this.trail.pop();
      this.#reasons.pop();
    }
    this.#propagated = Math.min(this.#propagated, this.trail.length);
  }

  #decide(literal: number, level: number, reason: number): void {
    this.#levels[Math.abs(literal)] = literal > 0 ? level : -level;
    this.trail.push(literal);
    this.#reasons.push(reason);
  }

  #watch(number: number): void {
    const clause = this.clauses[number];
    if (clause === undefined || clause.literals.length < 2) return;
    this.#watchers(clause.first).push(number);
    this.#watchers(clause.second).push(number);
  }

  /** Clauses that watch a literal; the one to look at first stands last. */
  #watchers(literal: number): number[] {
    return this.#watches[literal > 0 ? 2 * literal : 1 - 2 * literal] ?? [];
  }

  /** Decides what follows from the trail; the number of a clause that cannot hold, or -1. */
  #propagate(level: number): number {
    while (this.#propagated < this.trail.length) {
      const failed = -(this.trail[this.#propagated++] ?? 0);
      const watchers = this.#watchers(failed);
      let kept = watchers.length;
      let conflict = -1;
      for (let i = watchers.length - 1; i >= 0; i--) {
        const number = watchers[i] ?? 0;
        if (conflict < 0 && this.#moveWatch(number, failed)) continue;
        watchers[--kept] = number;
        if (conflict >= 0) continue;
        const other = this.#otherWatch(number, failed);
        if (this.isTrue(other)) continue;
        if (this.isFalse(other)) conflict = number;
        else this.#decide(other, level, number);
      }
      watchers.splice(0, kept);
      if (conflict >= 0) return conflict;
    }
    return -1;
  }

  #otherWatch(number: number, failed: number): number {
    const clause = this.clauses[number];
    if (clause === undefined) return 0;
    return clause.first === failed ? clause.second : clause.first;
  }

  /** Lets a clause watch another literal that may still hold; false when its watches stay. */
  #moveWatch(number: number, failed: number): boolean {
    const clause = this.clauses[number];
    if (clause === undefined || clause.literals.length === 2) return false;
    const other = clause.first === failed ? clause.second : clause.first;
    if (this.isTrue(other)) return false;
    const next = clause.literals.find((l) => l !== other && !this.isFalse(l));
    if (next === undefined) return false;
    if (clause.first === failed) clause.first = next;
    else clause.second = next;
    this.#watchers(next).push(number);
    return true;
  }

  /** Learns from a conflict, goes back to where the new clause decides something, and decides it; the level there. */
  #learn(conflict: number, level: number): number {
    const seen = new Set<number>();
    const literals: number[] = [];
    const from = new Set([conflict]);
    let open = 0;
    let back = 1;
    let clause = conflict;
    let at = this.trail.length;
    let point = 0;
    for (;;) {
      for (const literal of this.clauses[clause]?.literals ?? []) {
        const id = Math.abs(literal);
        if (this.isTrue(literal) || seen.has(id)) continue;
        seen.add(id);
        const of = Math.abs(this.level(id));
        if (of === level) open++;
        else if (of > 1) {
          literals.push(literal);
          back = Math.max(back, of);
        } else this.#explainFirstLevel(id, from);
      }
      do point = this.trail[--at] ?? 0;
      while (!seen.has(Math.abs(point)) || Math.abs(this.level(Math.abs(point))) !== level);
      if (--open === 0) break;
      clause = this.#reasons[at] ?? -1;
      from.add(clause);
    }
    this.revert(back);
    this.#addLearnt([-point, ...literals], [...from]);
    this.#decide(-point, back, this.clauses.length - 1);
    return back;
  }

  #addLearnt(literals: readonly number[], from: readonly number[]): void {
    const [first = 0, ...rest] = literals;
    let [second = 0] = rest;
    for (const literal of rest)
      if (Math.abs(this.level(Math.abs(literal))) > Math.abs(this.level(Math.abs(second))))
        second = literal;
    this.clauses.push({ literals, first, second, from });
    this.#watch(this.clauses.length - 1);
  }

  /** Adds the clauses by which a package was decided before anything was chosen. */
  #explainFirstLevel(id: number, into: Set<number>): void {
    const wanted = new Set([id]);
    for (let at = this.trail.length - 1; at >= 0; at--) {
      const decided = Math.abs(this.trail[at] ?? 0);
      if (!wanted.has(decided) || Math.abs(this.level(decided)) !== 1) continue;
      const reason = this.#reasons[at] ?? -1;
      into.add(reason);
      for (const literal of this.clauses[reason]?.literals ?? []) wanted.add(Math.abs(literal));
    }
  }

  /** Records the clauses, of those given at the start, that contradict each other. */
  #contradict(conflict: number): false {
    const all = new Set([conflict]);
    for (const literal of this.clauses[conflict]?.literals ?? [])
      this.#explainFirstLevel(Math.abs(literal), all);
    const given = new Set<number>();
    // The set grows while it is walked: a Set's iterator visits what is added behind it.
    for (const number of all) {
      const { from } = this.clauses[number] ?? {};
      if (from === undefined) given.add(number);
      else for (const premise of from) all.add(premise);
    }
    this.contradiction = given;
    return false;
  }
}
