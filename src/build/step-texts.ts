import type { SourceFile } from '../base/index.ts';
import { parseDockerfile, parseInstructions } from '../dockerfile/index.ts';
import type { StepTexts } from '../solve/index.ts';
import type { BuildRequest } from './request.ts';

/** The author's words behind the ops of a Dockerfile. */
export function stepTexts(file: SourceFile, request: BuildRequest): StepTexts {
  let names: ReadonlySet<string> | undefined;
  return {
    project: projectOf(request),
    textOf: ({ metadata }) => {
      const [span] = metadata.spans;
      return span && file.text.slice(span.offset, span.offset + span.length);
    },
    isArgument: (name) => (names ??= argumentNames(file)).has(name),
  };
}

/** Names that ARG instructions declare and no ENV instruction sets. */
function argumentNames(file: SourceFile): ReadonlySet<string> {
  const parsed = parseDockerfile(file);
  const instructions = parsed.ok ? parseInstructions(parsed.value) : parsed;
  if (!instructions.ok) return new Set();
  const { stages, metaArgs } = instructions.value;
  const commands = [...metaArgs, ...stages.flatMap((stage) => stage.commands)];
  const set = new Set(
    commands.flatMap((c) => (c.kind === 'env' ? c.pairs.map(({ key }) => key) : [])),
  );
  const declared = commands.flatMap((c) => (c.kind === 'arg' ? c.args.map(({ key }) => key) : []));
  return new Set(declared.filter((name) => !set.has(name)));
}

/** A directory by its path, anything else by how it was named; other Dockerfiles of a directory are other projects. */
export function projectOf({ context, remote, dockerfile }: BuildRequest): string {
  const file =
    dockerfile.kind === 'file' && dockerfile.name !== 'Dockerfile' ? dockerfile.name : '';
  const address = remote?.shown.replace(/#.*$/, '') ?? context.root ?? context.describes;
  return file === '' ? address : `${address}#${file}`;
}
