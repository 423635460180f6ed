import { hexOf, sha256, withoutCredentials } from '../base/index.ts';
import { type AddCommand, type CopyCommand, quoteGo } from '../dockerfile/index.ts';
import type { FileActionCopy, OpMetadata } from '../llb/index.ts';
import { copyNode, inlineFile, mergeNode, type PlannedCopy } from './file-node.ts';
import { commit } from './history.ts';
import { checkIgnored } from './ignored.ts';
import { CUSTOM_NAME, shownCommand, stepName } from './names.ts';
import { joinPath, normalisePath } from './paths.ts';
import { downloadName, gitNode, httpNode, isHttp, parseGit } from './remote-source.ts';
import type { Lowering, PlannedCommand, StageState } from './stage-state.ts';
import { stop } from './stop.ts';

/** COPY or ADD after expansion. */
export interface CopyTexts {
  readonly sources: readonly string[];
  readonly dest: string;
  readonly chown: string;
  readonly chmod: string;
  readonly checksum: string;
  /** Here-documents with variables replaced. */
  readonly contents: readonly { readonly path: string; readonly data: string }[];
}

type PlannedCopyCommand = PlannedCommand & { readonly command: AddCommand | CopyCommand };

const OCTAL = /^[0-7]+$/;
/** Clauses of chmod(1)'s symbolic modes. */
const SYMBOLIC = /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+$/;

interface Mode {
  readonly mode: number;
  readonly modeStr: string;
}

/** `--chmod`: octal, or symbolic as chmod(1) has it. */
function modeOf(chmod: string): Mode {
  if (chmod === '') return { mode: -1, modeStr: '' };
  if (OCTAL.test(chmod)) {
    const mode = Number.parseInt(chmod, 8);
    if (mode <= 0o7777) return { mode, modeStr: '' };
  } else if (chmod.split(',').every((clause) => SYMBOLIC.test(clause))) {
    return { mode: 0, modeStr: chmod };
  }
  return stop(
    `invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`,
    'DF024',
  );
}

const EXACT = {
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  include_patterns: [],
  alwaysReplaceExistingDestPaths: false,
  required_paths: [],
} as const;

/** COPY and ADD (BuildKit dockerfile2llb/convert.go, `dispatchCopy`). */
export function dispatchCopy(
  lowering: Lowering,
  stage: StageState,
  planned: PlannedCopyCommand,
  texts: CopyTexts,
): void {
  const { command } = planned;
  const dest = destination(stage, texts.dest);
  const mode = modeOf(texts.chmod);
  checkChecksum(command, texts);
  const { env } = stage.state;
  const platform = stage.platform ?? lowering.targetPlatform;
  const shown = `${planned.onBuild ? 'ONBUILD ' : ''}${shownCommand(lowering, command.code, env)}`;
  const name = withoutCredentials(stepName(lowering, stage, shown, { platform, env }));
  const common = { ...EXACT, ...mode, dest, exclude_patterns: command.exclude };
  const copies = [
    ...texts.sources.map((source) => plan(lowering, planned, { source, texts, common, name })),
    ...texts.contents.map(({ path, data }) => ({
      from: inlineFile(path, 0o644, data),
      copy: { ...common, src: `/${path}` },
    })),
  ];
  addCopies(lowering, stage, planned, { copies, texts, shown, name });
  commit(lowering, stage, said(command, texts), { layer: true, step: true });
}

function addCopies(
  lowering: Lowering,
  stage: StageState,
  planned: PlannedCopyCommand,
  what: {
    readonly copies: readonly PlannedCopy[];
    readonly texts: CopyTexts;
    readonly shown: string;
    readonly name: string;
  },
): void {
  const { copies, texts, shown, name } = what;
  const metadata = (title: string, caps: readonly string[]): Partial<OpMetadata> => ({
    description: { [CUSTOM_NAME]: title },
    ignoreCache: stage.ignoreCache,
    caps,
    spans: [planned.at.span],
  });
  const owner = texts.chown;
  if (!planned.command.link || texts.chmod !== '') {
    const options = { owner, metadata: metadata(name, ['file.base']) };
    stage.state = { ...stage.state, output: copyNode(stage.state.output, copies, options) };
    return;
  }
  // The same file gives the same graph: the id is not random, as BuildKit's is.
  const id = hexOf(sha256(`${stage.name} ${planned.at.span.offset} ${name}`));
  const group = (weak: boolean): Partial<OpMetadata> => ({ progressGroup: { id, name, weak } });
  const copied = copyNode(undefined, copies, {
    owner,
    metadata: { ...metadata(name, ['file.base']), ...group(true) },
  });
  stage.stepIndex--;
  const { env } = stage.state;
  const platform = stage.platform ?? lowering.targetPlatform;
  const title = stepName(lowering, stage, `LINK ${shown}`, { platform, env });
  const output = mergeNode([stage.state.output, copied], {
    ...metadata(title, ['mergeop']),
    ...group(false),
  });
  stage.state = { ...stage.state, output };
}

/** The destination inside the stage; a trailing slash says that it is a directory. */
function destination(stage: StageState, text: string): string {
  if (text === '') return stage.state.dir;
  if (text.startsWith('/')) return normalisePath('/', text, { keepSlash: true });
  return normalisePath(stage.state.dir, text === '.' ? './' : text, { keepSlash: true });
}

function checkChecksum(command: AddCommand | CopyCommand, { sources, checksum }: CopyTexts): void {
  if (checksum === '') return;
  const [first = ''] = sources;
  if (command.kind === 'copy') stop("checksum can't be specified for COPY", 'DF023');
  if (sources.length !== 1) stop("checksum can't be specified for multiple sources", 'DF023');
  if (!isHttp(first) && parseGit(first) === undefined)
    stop('checksum requires HTTP(S) or Git sources', 'DF023');
}

interface SourcePlan {
  readonly source: string;
  readonly texts: CopyTexts;
  readonly common: Omit<FileActionCopy, 'owner' | 'src'>;
  readonly name: string;
}

function plan(
  lowering: Lowering,
  planned: PlannedCopyCommand,
  { source, texts, common, name }: SourcePlan,
): PlannedCopy {
  const { command } = planned;
  const git = parseGit(source);
  if (git !== undefined) {
    if (command.kind === 'copy') stop("source can't be a git ref for COPY", 'DF025');
    const { keepGitDir: asked } = command;
    if (asked !== undefined && git.keepGitDir !== undefined && asked !== git.keepGitDir)
      stop('inconsistent keep-git-dir configuration', 'DF025');
    if (texts.checksum !== '' && git.checksum !== '' && texts.checksum !== git.checksum)
      stop(`checksum mismatch ${quoteGo(texts.checksum)} != ${quoteGo(git.checksum)}`, 'DF023');
    const keepGitDir = asked ?? false;
    const metadata = { description: { [CUSTOM_NAME]: name } };
    const from = gitNode(git, { keepGitDir, checksum: texts.checksum, metadata });
    return { from, copy: { ...common, src: '/' } };
  }
  const add = command.kind === 'add' ? command : undefined;
  if (isHttp(source)) {
    if (add === undefined) stop("source can't be a URL for COPY", 'DF025');
    const from = httpNode(source, { checksum: texts.checksum, name });
    const attemptUnpackDockerCompatibility = add.unpack ?? false;
    const src = `/${downloadName(source)}`;
    return { from, copy: { ...common, src, attemptUnpackDockerCompatibility } };
  }
  return localCopy(lowering, planned, { source, common });
}

function localCopy(
  lowering: Lowering,
  planned: PlannedCopyCommand,
  { source, common }: Pick<SourcePlan, 'source' | 'common'>,
): PlannedCopy {
  const { command, sources } = planned;
  const stage = sources[0];
  if (stage !== undefined) stage.paths.add(joinPath('/', source));
  else {
    lowering.contextPaths.add(joinPath('/', source));
    checkIgnored(lowering, planned, source);
  }
  const parents = command.kind === 'copy' && command.parents ? withParents(source) : undefined;
  return {
    from: stage === undefined ? lowering.context : stage.state.output,
    copy: {
      ...common,
      followSymlink: true,
      dirCopyContents: true,
      attemptUnpackDockerCompatibility: command.kind === 'add' && command.unpack !== false,
      allowWildcard: true,
      allowEmptyWildcard: true,
      src: normalisePath('/', parents?.base ?? source, { keepSlash: false }),
      include_patterns: parents === undefined ? [] : [parents.pattern],
      required_paths: parents?.required ?? [],
    },
  };
}

/** `--parents`: the part behind the pivot `/./` is kept below the destination. */
function withParents(source: string): {
  readonly base: string;
  readonly pattern: string;
  readonly required: readonly string[];
} {
  const pivot = source.indexOf('/./');
  const base = pivot === -1 ? '/' : source.slice(0, pivot);
  const pattern = normalisePath('/', pivot === -1 ? source : source.slice(pivot + 3), {
    keepSlash: false,
  });
  const literal = !/[*?[\\]/.test(pattern) && !/[*?[\\]/.test(base);
  return {
    base,
    pattern: pattern.replace(/^\//, ''),
    required: literal ? [joinPath('/', base, pattern)] : [],
  };
}

/** The history line; `--from`, `--link` and `--exclude` do not show. */
function said(command: AddCommand | CopyCommand, texts: CopyTexts): string {
  return [
    command.kind === 'add' ? 'ADD' : 'COPY',
    ...(command.kind === 'copy' && command.parents ? ['--parents'] : []),
    ...(texts.chown === '' ? [] : [`--chown=${texts.chown}`]),
    ...(texts.chmod === '' ? [] : [`--chmod=${texts.chmod}`]),
    ...texts.sources.map(withoutCredentials),
    ...texts.contents.map((c) => `<<${c.path}`),
    texts.dest,
  ].join(' ');
}
