/** A cache mount that a package manager can use. */
export interface ManagerCache {
  readonly target: string;
  readonly sharing?: 'locked';
}

/** What one program that installs packages needs and keeps. */
export interface Manager {
  readonly name: string;
  /** `system`: of the distribution, `language`: of a project's manifest. */
  readonly kind: 'system' | 'language';
  /** Files of a project that say what is installed; shell patterns of names. */
  readonly manifests: readonly string[];
  readonly caches: readonly ManagerCache[];
}

/** A command that installs packages. */
export interface Install {
  readonly manager: Manager;
  /**
   * `manifest`: what files of the project name; `packages`: what the command names; `build`: compiles, and fetches what is
   * missing on the way.
   */
  readonly what: 'manifest' | 'packages' | 'build';
  /** Packages named by the command. */
  readonly packages: readonly string[];
  /** Files named by the command (`-r requirements.txt`). */
  readonly files: readonly string[];
}

const manager = (
  name: string,
  kind: Manager['kind'],
  manifests: readonly string[],
  caches: readonly ManagerCache[],
): Manager => ({ name, kind, manifests, caches });

const one = (target: string): readonly ManagerCache[] => [{ target }];
const locked = (...targets: readonly string[]): readonly ManagerCache[] =>
  targets.map((target) => ({ target, sharing: 'locked' }));

const NODE = ['package.json', '.npmrc'];

const APT = manager('apt', 'system', [], locked('/var/cache/apt', '/var/lib/apt/lists'));
const PIP = manager(
  'pip',
  'language',
  ['requirements*.txt', 'constraints*.txt', 'pyproject.toml', 'setup.py', 'setup.cfg'],
  one('/root/.cache/pip'),
);
const UV = manager(
  'uv',
  'language',
  ['pyproject.toml', 'uv.lock', 'requirements*.txt'],
  one('/root/.cache/uv'),
);
const POETRY = manager(
  'poetry',
  'language',
  ['pyproject.toml', 'poetry.lock'],
  one('/root/.cache/pypoetry'),
);
const NPM = manager(
  'npm',
  'language',
  [...NODE, 'package-lock.json', 'npm-shrinkwrap.json'],
  one('/root/.npm'),
);
const YARN = manager(
  'yarn',
  'language',
  [...NODE, 'yarn.lock', '.yarnrc*'],
  one('/usr/local/share/.cache/yarn'),
);
const PNPM = manager(
  'pnpm',
  'language',
  [...NODE, 'pnpm-lock.yaml', 'pnpm-workspace.yaml'],
  one('/root/.local/share/pnpm/store'),
);
const BUN = manager(
  'bun',
  'language',
  [...NODE, 'bun.lock*', 'bunfig.toml'],
  one('/root/.bun/install/cache'),
);
const GO = manager(
  'go',
  'language',
  ['go.mod', 'go.sum', 'go.work*'],
  [{ target: '/go/pkg/mod' }, { target: '/root/.cache/go-build' }],
);
const CARGO = manager(
  'cargo',
  'language',
  ['Cargo.toml', 'Cargo.lock'],
  [{ target: '/usr/local/cargo/registry' }],
);
const MAVEN = manager('maven', 'language', ['pom.xml', '.mvn', 'mvnw'], one('/root/.m2'));
const GRADLE = manager(
  'gradle',
  'language',
  ['*.gradle', '*.gradle.kts', 'gradle.properties', 'gradlew', 'gradle'],
  one('/root/.gradle'),
);
const BUNDLER = manager(
  'bundler',
  'language',
  ['Gemfile', 'Gemfile.lock'],
  one('/root/.bundle/cache'),
);
const COMPOSER = manager(
  'composer',
  'language',
  ['composer.json', 'composer.lock'],
  one('/root/.composer/cache'),
);
const DOTNET = manager(
  'dotnet',
  'language',
  ['*.csproj', '*.sln', '*.props', 'nuget.config'],
  one('/root/.nuget/packages'),
);
const APK = manager('apk', 'system', [], locked('/var/cache/apk'));
const DNF = manager('dnf', 'system', [], locked('/var/cache/dnf'));
const YUM = manager('yum', 'system', [], locked('/var/cache/yum'));
const ZYPPER = manager('zypper', 'system', [], locked('/var/cache/zypp'));
const CONDA = manager('conda', 'language', ['environment*.y*ml'], one('/opt/conda/pkgs'));

/** The install that a simple command makes; undefined for any other command. */
export function installOf(given: readonly string[]): Install | undefined {
  const words = withoutInterpreter(given);
  const program = (words[0] ?? '').replace(/^.*\//, '');
  const rest = words.slice(1);
  const verb = rest.find((word) => !word.startsWith('-')) ?? '';
  const names = plain(rest, verb);
  switch (program) {
    case 'apt-get':
    case 'apt':
    case 'aptitude':
      return verb === 'install' ? install(APT, 'packages', names) : undefined;
    case 'apk':
      return verb === 'add' ? install(APK, 'packages', names) : undefined;
    case 'dnf':
    case 'microdnf':
    case 'tdnf':
      return /^(?:group)?install$/.test(verb) ? install(DNF, 'packages', names) : undefined;
    case 'yum':
      return /^(?:group)?install$/.test(verb) ? install(YUM, 'packages', names) : undefined;
    case 'zypper':
      return verb === 'install' || verb === 'in' ? install(ZYPPER, 'packages', names) : undefined;
    case 'conda':
    case 'mamba':
    case 'micromamba':
      return conda(rest, verb, names);
    default:
      return languageInstall(program, verb, { rest, names });
  }
}

interface Words {
  readonly rest: readonly string[];
  readonly names: readonly string[];
}

// One case per program: long, but flat.
function languageInstall(program: string, verb: string, words: Words): Install | undefined {
  const { rest, names } = words;
  if (/^pip[0-9.]*$/.test(program)) return verb === 'install' ? pip(PIP, words) : undefined;
  switch (program) {
    case 'uv':
      if (verb === 'sync') return install(UV, 'manifest');
      return verb === 'pip' && rest.includes('install')
        ? pip(UV, { rest, names: names.filter((name) => name !== 'install') })
        : undefined;
    case 'poetry':
      return verb === 'install' ? install(POETRY, 'manifest') : undefined;
    case 'npm':
      if (verb === 'ci' || verb === 'clean-install') return install(NPM, 'manifest');
      return verb === 'install' || verb === 'i' ? named(NPM, names) : undefined;
    case 'yarn':
      if (verb === '' && rest.every((word) => /^--(?:frozen|immutable|prod|non|pure)/.test(word)))
        return install(YARN, 'manifest');
      return verb === 'install' ? install(YARN, 'manifest') : undefined;
    case 'pnpm':
      if (verb === 'fetch') return install(PNPM, 'manifest');
      return verb === 'install' || verb === 'i' ? named(PNPM, names) : undefined;
    case 'bun':
      return verb === 'install' || verb === 'i' ? named(BUN, names) : undefined;
    case 'go':
      if (verb === 'mod') return rest.includes('download') ? install(GO, 'manifest') : undefined;
      if (verb === 'install' && names.some((name) => name.includes('@')))
        return install(GO, 'packages', names);
      return verb === 'build' || verb === 'install' ? install(GO, 'build') : undefined;
    case 'cargo':
      if (verb === 'fetch' || (verb === 'chef' && rest.includes('cook')))
        return install(CARGO, 'manifest');
      if (verb === 'install')
        return rest.includes('--path')
          ? install(CARGO, 'build')
          : install(CARGO, 'packages', names);
      return verb === 'build' ? install(CARGO, 'build') : undefined;
    case 'mvn':
    case 'mvnw':
      if (rest.some((word) => /dependency:(?:go-offline|resolve)/.test(word)))
        return install(MAVEN, 'manifest');
      return rest.some((word) => /^(?:package|install|verify|compile|deploy)$/.test(word))
        ? install(MAVEN, 'build')
        : undefined;
    case 'gradle':
    case 'gradlew':
      if (verb === 'dependencies') return install(GRADLE, 'manifest');
      return rest.some((word) => /(?:build|assemble|[jJ]ar|installDist)$/.test(word))
        ? install(GRADLE, 'build')
        : undefined;
    case 'bundle':
      return verb === 'install' ? install(BUNDLER, 'manifest') : undefined;
    case 'composer':
    case 'composer.phar':
      return verb === 'install' ? install(COMPOSER, 'manifest') : undefined;
    case 'dotnet':
      return verb === 'restore' ? install(DOTNET, 'manifest') : undefined;
    default:
      return undefined;
  }
}

function install(
  of: Manager,
  what: Install['what'],
  packages: readonly string[] = [],
  files: readonly string[] = [],
): Install {
  return { manager: of, what, packages, files };
}

const named = (of: Manager, names: readonly string[]): Install =>
  names.length === 0 ? install(of, 'manifest') : install(of, 'packages', names);

/** Options of pip whose next word is their value. */
const PIP_FILES = /^(?:-r|--requirement|-c|--constraint)$/;

function pip(of: Manager, { rest, names }: Words): Install {
  const files = rest.flatMap((word, i) => {
    if (PIP_FILES.test(word)) return rest[i + 1] ?? [];
    const joined = /^(?:-r|--requirement=|-c|--constraint=)(.+)$/.exec(word)?.[1];
    return joined ?? [];
  });
  const packages = names.filter((name) => !files.includes(name));
  const local = packages.some((name) => /^(?:\.|\/|file:)/.test(name));
  if (local) return install(of, 'build', packages, files);
  return install(of, packages.length > 0 ? 'packages' : 'manifest', packages, files);
}

function conda(
  rest: readonly string[],
  verb: string,
  names: readonly string[],
): Install | undefined {
  if (verb === 'env') return install(CONDA, 'manifest');
  if (verb !== 'install' && verb !== 'create') return undefined;
  const from = rest.findIndex((word) => word === '-f' || word === '--file');
  return from === -1
    ? install(CONDA, 'packages', names)
    : install(CONDA, 'manifest', [], rest.slice(from + 1, from + 2));
}

/** Options that take a word as their value, so that the word is no package. */
const WITH_VALUE =
  /^(?:-t|--target-release|-i|--index-url|--extra-index-url|-f|--find-links|--target|--prefix|--root|--virtual|--repository|-X|-o|-c|-n|--name|--python|--trusted-host|--timeout|--retries|--upgrade-strategy)$/;

function plain(rest: readonly string[], verb: string): readonly string[] {
  const after = rest.slice(rest.indexOf(verb) + 1);
  return after.filter((word, i) => {
    if (word.startsWith('-') || /^[0-9]*[<>]/.test(word) || word.startsWith('$(')) return false;
    return !WITH_VALUE.test(after[i - 1] ?? '');
  });
}

/** `python -m pip install` is pip's. */
function withoutInterpreter(words: readonly string[]): readonly string[] {
  const isPython = /(?:^|\/)python[0-9.]*$/.test(words[0] ?? '');
  const at = isPython ? words.indexOf('-m') : -1;
  return at === -1 ? words : words.slice(at + 1);
}

/** Whether a name of a file is one of a manager's manifests. */
export function isManifest(of: Manager, path: string): boolean {
  const name = path.replace(/^.*\//, '');
  return of.manifests.some((pattern) => patternOf(pattern).test(name));
}

const patternOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
