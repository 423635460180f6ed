/**
 * Bundles the program into a directory. `varve.cjs` starts it; `program-*.cjs` is the program itself, one script, so that nothing
 * is looked up or linked when it starts, and `program-*.code` what V8 compiled of it while it ran a few commands here; `lib/`
 * has the libraries that few commands load; worker threads and native libraries are files of their own.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { COMMON, NATIVE, NODE_FLAGS } from './bundle-options.ts';

const ROOT = join(import.meta.dirname, '..');

/** Packages that every command loads are part of the program; these are not. */
const LIBRARIES =
  /^(?:zod|yaml|undici|openpgp|sax|diff|@aws-sdk\/client-s3|echarts\/(?:charts|core|components|renderers))$/;

/** Modules of Node that it has loaded before any program starts. */
const LOADED = new Set(['node:path', 'node:fs', 'node:url', 'node:buffer', 'node:events']);

/** What stands in place of a module of Node until a member of it is used. */
const LAZY_MODULE = `const lazyModule = (id, names) => {
  const lazy = {};
  for (const name of names)
    Object.defineProperty(lazy, name, {
      configurable: true,
      get() {
        const all = process.getBuiltinModule(id);
        const value = name === 'default' ? all : all[name];
        Object.defineProperty(lazy, name, { value });
        return value;
      },
    });
  return lazy;
};`.replaceAll('\n', ' ');

/**
 * Bundles the program into `dir`; what is compiled ahead needs a Node.js of the version that runs it. The answer is the name of the program's
 * files. `entry` is another start that exports what `program-entry.ts` does.
 */
export async function bundle(dir: string, entry = 'src/cli/program-entry.ts'): Promise<string> {
  mkdirSync(join(dir, 'lib'), { recursive: true });
  const used = new Map<string, Set<string>>();
  const program = await build({
    ...COMMON,
    entryPoints: [join(ROOT, entry)],
    outfile: join(dir, 'program.cjs'),
    format: 'cjs',
    write: false,
    sourcemap: 'external',
    external: [...NATIVE],
    define: { 'import.meta.url': 'programUrl', 'import.meta.dirname': 'programDir' },
    banner: { js: `(function (require, module, programUrl, programDir) {${LAZY_MODULE}` },
    footer: { js: '})' },
    // `import()` of a library is a `require()` in a promise.
    supported: { 'dynamic-import': false },
    plugins: [libraries(used)],
  });
  const text = lazyModules(textOf(program.outputFiles, '.cjs'));
  const name = `program-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  writeFileSync(join(dir, `${name}.cjs`), text);
  writeFileSync(join(dir, `${name}.cjs.map`), textOf(program.outputFiles, '.map'));
  await Promise.all([
    ...[...Map.groupBy(used, ([id]) => fileOf(id))].map(([file, parts]) =>
      bundleLibrary(join(dir, file), parts),
    ),
    build({
      ...COMMON,
      entryPoints: [join(ROOT, 'src/cli/boot.ts')],
      outfile: join(dir, 'varve.cjs'),
      format: 'cjs',
      define: { PROGRAM: JSON.stringify(name) },
    }),
    build({
      ...COMMON,
      entryPoints: [join(ROOT, 'src/context/hash-worker.ts')],
      outfile: join(dir, 'hash-worker.mjs'),
      format: 'esm',
      external: [...NATIVE],
    }),
  ]);
  const train = join(import.meta.dirname, 'compile-ahead.ts');
  // Without it the program starts slower, and does the same.
  spawnSync(process.execPath, [...NODE_FLAGS, train, dir, name], { stdio: 'ignore' });
  return name;
}

function textOf(files: readonly { path: string; text: string }[], ending: string): string {
  const file = files.find(({ path }) => path.endsWith(ending));
  if (file === undefined) throw new Error(`esbuild made no file *${ending}`);
  return file.text;
}

/** Parts of one package share their state: they lie in one file. */
const fileOf = (id: string): string =>
  `lib/${id.replace(/^(echarts)\/.*/, '$1').replaceAll(/[^\w-]/g, '_')}.cjs`;

/** Leaves libraries outside and notes which of their members the program names. */
function libraries(used: Map<string, Set<string>>): Plugin {
  return {
    name: 'libraries',
    setup: (bundler) => {
      bundler.onResolve({ filter: LIBRARIES }, ({ path, importer }) => {
        const names = used.get(path) ?? new Set<string>();
        used.set(path, names);
        for (const name of namesFrom(readFileSync(importer, 'utf8'), path)) names.add(name);
        return path.startsWith('echarts/')
          ? { path, namespace: 'part' }
          : { path: `./${fileOf(path)}`, external: true };
      });
      bundler.onResolve({ filter: /^\.\/lib\//, namespace: 'part' }, ({ path }) => ({
        path,
        external: true,
      }));
      bundler.onLoad({ filter: /./, namespace: 'part' }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(`./${fileOf(path)}`)})[${JSON.stringify(path)}];`,
      }));
    },
  };
}

/** What one module imports from a package, without types. */
function namesFrom(source: string, id: string): string[] {
  const clauses = [
    ...source.matchAll(/^(?:import|export)\s+(?!type\b)([^;'/]+?)\s+from\s+'([^']+)'/gm),
    ...source.matchAll(/(\{[^{}]*\})\s*=\s*await import\('([^']+)'\)/g),
  ].filter((match) => match[2] === id);
  return clauses.flatMap(([, clause = '']) => {
    const braces = /\{([^}]*)\}/.exec(clause)?.[1] ?? '';
    const named = braces.split(',').map((one) => one.trim().replace(/\s+as\s.*/, ''));
    const whole = /^\w+/.test(clause) ? ['default'] : [];
    return [...whole, ...named.filter((one) => one !== '' && !one.startsWith('type '))];
  });
}

async function bundleLibrary(
  outfile: string,
  parts: readonly (readonly [string, ReadonlySet<string>])[],
): Promise<void> {
  const [first] = parts;
  if (first === undefined) return;
  const [id, names] = first;
  const list = (wanted: ReadonlySet<string>): string => [...wanted].join(', ');
  const one = names.has('default')
    ? `module.exports = require('${id}');`
    : `export { ${list(names)} } from '${id}';`;
  const several = parts.map(([part, of], i) => {
    const members = [...of].map((name) => `${name} as p${i}_${name}`).join(', ');
    return `import { ${members} } from '${part}';\nexport const p${i} = { ${[...of].map((name) => `${name}: p${i}_${name}`).join(', ')} };\nexport { p${i} as ${JSON.stringify(part)} };\n`;
  });
  await build({
    ...COMMON,
    stdin: { contents: parts.length === 1 ? one : several.join(''), resolveDir: ROOT },
    outfile,
    format: 'cjs',
    define: { 'import.meta.url': 'libraryUrl' },
    banner: { js: "const libraryUrl = require('node:url').pathToFileURL(__filename).href;" },
    external: [...NATIVE],
  });
}

/** A module of Node is loaded when a member of it is first used, where the program uses nothing but its members. */
function lazyModules(text: string): string {
  return text.replaceAll(
    /\b(import_\w+) = (?:__toESM\()?require\("(node:[\w/]+)"\)(?:, 1\))?/g,
    (whole, variable: string, id: string) => {
      if (LOADED.has(id)) return whole;
      const uses = text.matchAll(new RegExp(`\\b${variable}\\b(?:\\.(\\w+)|(?!,| =|;))`, 'g'));
      const names = [...new Set([...uses].map(([, name = '']) => name))];
      if (names.includes('')) return whole;
      return `${variable} = lazyModule("${id}", ${JSON.stringify(names)})`;
    },
  );
}
