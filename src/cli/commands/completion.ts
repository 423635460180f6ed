import { failure } from '../../base/index.ts';
import { fail, type Io } from '../io.ts';
import type { Outline } from '../program.ts';

/** `varve completion bash|zsh|fish`: a script made from the command line's own definition. */
export function completionCommand(io: Io, shell: string, program: Outline): Promise<number> {
  switch (shell) {
    case 'bash':
      io.out(bash(program));
      break;
    case 'zsh':
      io.out(`#compdef varve\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`);
      break;
    case 'fish':
      io.out(fish(program));
      break;
    default:
      return Promise.resolve(
        fail(
          io,
          failure('CL003', 2, `no completion for the shell "${shell}"`, {
            help: 'known shells: bash, zsh, fish',
          }),
        ),
      );
  }
  return Promise.resolve(0);
}

/** Each command path (`image ls`) with the words that may follow. */
function paths(
  command: Outline,
  prefix: readonly string[] = [],
): readonly (readonly [string, readonly string[]])[] {
  const words = [
    ...command.commands.map((c) => c.name),
    ...command.options.flatMap((o) => o.flags.filter((f) => f.startsWith('--'))),
  ];
  return [
    [prefix.join(' '), words] as const,
    ...command.commands.flatMap((c) => paths(c, [...prefix, c.name])),
  ];
}

function bash(program: Outline): string {
  const cases = paths(program)
    .map(([path, words]) => `    "${path}") words="${words.join(' ')}" ;;\n`)
    .join('');
  const names = paths(program)
    .map(([path]) => path)
    .filter((path) => path !== '');
  return `_varve() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word words="" next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "|${names.join('|')}|" in *"|$next|"*) path="$next" ;; esac
  done
  case "$path" in
${cases}  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _varve varve
`;
}

function fish(program: Outline): string {
  const quote = (text: string): string =>
    `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines: string[] = [];
  const visit = (command: Outline, path: readonly string[]): void => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const condition = path.length === 0 ? '__fish_use_subcommand' : seen;
    for (const child of command.commands)
      lines.push(
        `complete -c varve -n ${quote(condition)} -f -a ${child.name} -d ${quote(child.description)}`,
      );
    for (const option of command.options) {
      const flags = option.flags.map((f) =>
        f.startsWith('--') ? `-l ${f.slice(2)}` : `-s ${f.slice(1)}`,
      );
      lines.push(
        `complete -c varve -n ${quote(condition)} ${flags.join(' ')} -d ${quote(option.description)}`,
      );
    }
    for (const child of command.commands) visit(child, [...path, child.name]);
  };
  visit(program, []);
  return `${lines.join('\n')}\n`;
}
