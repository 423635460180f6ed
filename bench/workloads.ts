/** The inputs of the benchmarks: generated from a seed, so that every run and every machine measures the same bytes. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One build to measure: a context, and the edit that "one file changed" means. */
export interface Workload {
  readonly name: string;
  readonly what: string;
  readonly context: string;
  /** Steps that run something (for the per-step figure). */
  readonly runSteps: number;
  /** Changes one file so that its content differs from every earlier one. */
  readonly change: ((round: number) => void) | undefined;
  /** Gives every file a new time and its old content, as a fresh checkout does. */
  readonly touch?: (round: number) => void;
}

/** Makes a workload below `root`. */
export type MakeWorkload = (root: string) => Workload;

/** xorshift32: repeatable bytes that do not compress. */
export function randomBytes(length: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = seed | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return Buffer.from(words.buffer, 0, length);
}

function context(root: string, name: string, dockerfile: string): string {
  const dir = join(root, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'Dockerfile'), dockerfile);
  return dir;
}

/** Eight independent stages merged by COPY --from. */
export const stages: MakeWorkload = (root) => {
  const names = Array.from({ length: 8 }, (_, i) => `s${i}`);
  const dir = context(
    root,
    'stages',
    [
      ...names.map(
        (n) =>
          `FROM base AS ${n}\nCOPY ${n}.txt /in\nRUN mkdir /out && seq 1 20000 > /out/${n} && cat /in >> /out/${n}`,
      ),
      'FROM base',
      ...names.map((n) => `COPY --from=${n} /out/${n} /all/${n}`),
      '',
    ].join('\n'),
  );
  for (const n of names) writeFileSync(join(dir, `${n}.txt`), n);
  return {
    name: 'C stages',
    what: '8 independent stages, 8 COPY --from',
    context: dir,
    runSteps: 8,
    change: (round) => writeFileSync(join(dir, 's3.txt'), `changed ${round}`),
  };
};

/** Sixty tiny RUN steps. */
export const steps: MakeWorkload = (root) => {
  const lines = Array.from({ length: 60 }, (_, i) => `RUN echo ${i} > /f${i}`);
  return {
    name: 'D steps',
    what: '60 RUN steps',
    context: context(root, 'steps', `FROM base\n${lines.join('\n')}\n`),
    runSteps: 60,
    change: undefined,
  };
};

/** A service ordered well: dependencies above code. */
export const service: MakeWorkload = (root) => {
  const dir = context(
    root,
    'service',
    [
      'FROM base AS deps',
      'COPY deps.txt /deps.txt',
      'RUN i=0; mkdir /deps; while [ $i -lt 400 ]; do seq 1 2000 > /deps/$i; i=$((i+1)); done',
      'FROM base',
      'COPY --from=deps /deps /deps',
      'COPY models /models',
      'COPY src /app',
      'CMD ["/app/main"]',
      '',
    ].join('\n'),
  );
  for (const sub of ['models', 'src']) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, 'deps.txt'), 'one==1\n');
  writeFileSync(join(dir, 'models/a.bin'), randomBytes(64 << 20, 7));
  for (let i = 0; i < 300; i++) writeFileSync(join(dir, `src/f${i}.txt`), `file ${i}\n`.repeat(50));
  return {
    name: 'B service',
    what: 'dependencies, 64 MiB of models, 300 source files',
    context: dir,
    runSteps: 1,
    change: (round) => writeFileSync(join(dir, 'src/f7.txt'), `changed ${round}\n`),
  };
};

/** A service ordered badly: all of the code above the install step, and everything changed owner at the end. */
export const unordered =
  (mib: number): MakeWorkload =>
  (root) => {
    const dir = context(
      root,
      'unordered',
      [
        'FROM base',
        'COPY app /app',
        'RUN cat /app/deps.txt; i=0; mkdir /deps; while [ $i -lt 2000 ]; do seq 1 3000 > /deps/$i; i=$((i+1)); done',
        'COPY models /models',
        'RUN chown -R 1000:1000 /app /models',
        '',
      ].join('\n'),
    );
    for (const sub of ['app', 'models']) mkdirSync(join(dir, sub));
    writeFileSync(join(dir, 'app/deps.txt'), 'one==1\n');
    for (let i = 0; i < 300; i++)
      writeFileSync(join(dir, `app/f${i}.txt`), `file ${i}\n`.repeat(50));
    const chunk = randomBytes(16 << 20, 11);
    for (let i = 0; i < mib; i += 16) {
      chunk.writeUInt32LE(i, 0);
      writeFileSync(join(dir, `models/m${i}.bin`), chunk);
    }
    return {
      name: 'A unordered',
      what: `code above an install step of 2,000 files, ${mib} MiB of models, chown -R`,
      context: dir,
      runSteps: 2,
      change: (round) => writeFileSync(join(dir, 'app/f7.txt'), `changed ${round}\n`),
    };
  };

/** COPY of many small files. */
export const files =
  (count: number): MakeWorkload =>
  (root) => {
    const dir = context(root, 'files', 'FROM base\nCOPY tree /tree\n');
    for (let d = 0; d < count / 100; d++) {
      const sub = join(dir, 'tree', `d${d % 40}`, `e${d}`);
      mkdirSync(sub, { recursive: true });
      for (let i = 0; i < 100; i++)
        writeFileSync(join(sub, `f${i}`), `${d}/${i}\n`.repeat(1 + (i % 60)));
    }
    return {
      name: 'E files',
      what: `COPY of ${count} small files`,
      context: dir,
      runSteps: 0,
      change: (round) => writeFileSync(join(dir, 'tree/d0/e0/f0'), `changed ${round}\n`),
      touch: (round) => {
        for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }))
          utimesSync(join(dir, name), 1_600_000_000 + round, 1_600_000_000 + round);
      },
    };
  };

/** COPY of large files, half of them incompressible. */
export const large =
  (mib: number): MakeWorkload =>
  (root) => {
    const dir = context(root, 'large', 'FROM base\nCOPY a.bin b.bin /data/\n');
    const chunk = randomBytes(16 << 20, 3);
    writeFileSync(join(dir, 'a.bin'), '');
    for (let i = 0; i < mib / 2; i += 16) {
      chunk.writeUInt32LE(i, 0);
      writeFileSync(join(dir, 'a.bin'), chunk, { flag: 'a' });
      writeFileSync(join(dir, 'b.bin'), Buffer.alloc(16 << 20, `line ${i}\n`), { flag: 'a' });
    }
    return {
      name: 'F large',
      what: `COPY of ${mib} MiB in two files`,
      context: dir,
      runSteps: 0,
      change: undefined,
    };
  };
