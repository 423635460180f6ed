import { coveredCredentials, type GoJson, type SourceFile } from '../base/index.ts';
import type { LineRange } from './ast.ts';
import type { Instructions } from './command.ts';
import type { LintWarning } from './linter.ts';
import { columns, goLocation, indentedJson, sourceExcerpt } from './report-text.ts';

/** The answer to a `--call` request in both forms that BuildKit returns. */
export interface RequestResult {
  /** `result.json`. */
  readonly json: string;
  /** `result.txt`. */
  readonly text: string;
}

const base64 = (file: SourceFile): string =>
  Buffer.from(coveredCredentials(file.text)).toString('base64');

const orLeaveOut = (text: string): string | undefined => (text === '' ? undefined : text);

/** `--call=targets` (BuildKit `frontend.targets`): the stages of a file; the last one is the default. */
export function targetsResult(file: SourceFile, { stages }: Instructions): RequestResult {
  const targets = stages.map((stage, i) => ({ stage, isDefault: i === stages.length - 1 }));
  const json = {
    targets:
      targets.length === 0
        ? null
        : targets.map(({ stage, isDefault }) => ({
            name: orLeaveOut(stage.stageName),
            default: isDefault ? true : undefined,
            description: orLeaveOut(stage.docComment),
            base: orLeaveOut(stage.base.value),
            platform: orLeaveOut(stage.platform),
            location: goLocation(stage.lines),
          })),
    sources: [base64(file)],
  };
  const rows = targets.map(({ stage, isDefault }) => {
    const name = [stage.stageName, isDefault ? '(default)' : ''].filter((part) => part !== '');
    return [name.join(' '), stage.docComment];
  });
  return {
    json: indentedJson(json),
    text: columns([['TARGET', 'DESCRIPTION'], ...rows], 1),
  };
}

/** What a lint run found; `failure` is set when the file does not convert. */
export interface LintReport {
  readonly warnings: readonly LintWarning[];
  readonly failure?: { readonly message: string; readonly lines: readonly LineRange[] };
}

/** `--call=check` (BuildKit `frontend.lint`); `failed` is its status code 1. */
export function lintResult(
  file: SourceFile,
  report: LintReport,
): RequestResult & { readonly failed: boolean } {
  const { warnings, failure } = report;
  const json: GoJson = {
    warnings: warnings.length === 0 ? null : warnings.map(goWarning),
    sources: [{ filename: file.path, data: base64(file), language: 'Dockerfile' }],
    buildError:
      failure === undefined
        ? undefined
        : {
            message: failure.message,
            location:
              failure.lines.length === 0
                ? {}
                : {
                    ranges: failure.lines.map(([a, b]) => ({
                      start: { line: a },
                      end: { line: b },
                    })),
                  },
          },
  };
  return {
    json: indentedJson(json),
    text: sortedByLine(warnings)
      .map((warning) => lintText(file, warning))
      .join(''),
    failed: warnings.length > 0 || failure !== undefined,
  };
}

const goWarning = ({ rule, description, url, message, lines }: LintWarning): GoJson => ({
  ruleName: rule,
  description,
  url: orLeaveOut(url),
  detail: message,
  location: goLocation(lines),
});

const sortedByLine = (warnings: readonly LintWarning[]): LintWarning[] =>
  warnings.toSorted((a, b) => a.lines[0] - b.lines[0]);

function lintText(file: SourceFile, warning: LintWarning): string {
  const page = warning.url === '' ? '' : ` - ${warning.url}`;
  const title = `\nWARNING: ${warning.rule}${page}\n${warning.message}\n`;
  return title + sourceExcerpt(file, [warning.lines]);
}

/** Parameters that a target takes; what is used is known after lowering. */
export interface Outline {
  readonly name: string;
  readonly description: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

/** A build argument that a target uses. */
export interface OutlineArg {
  readonly name: string;
  readonly description: string;
  readonly value: string;
  readonly lines: LineRange;
}

/** A secret or SSH socket that a target uses. */
export interface OutlineMount {
  readonly name: string;
  readonly required: boolean;
  readonly lines: LineRange;
}

/** `--call=outline` (BuildKit `frontend.outline`). Lists are sorted by line. */
export function outlineResult(file: SourceFile, outline: Outline): RequestResult {
  const args = byLine(outline.args);
  const secrets = byLine(outline.secrets);
  const ssh = byLine(outline.ssh);
  const json = {
    name: orLeaveOut(outline.name),
    description: orLeaveOut(outline.description),
    args: orNothing(
      args.map((arg) => ({
        name: arg.name,
        description: orLeaveOut(arg.description),
        value: orLeaveOut(arg.value),
        location: goLocation(arg.lines),
      })),
    ),
    secrets: orNothing(secrets.map(goMount)),
    ssh: orNothing(ssh.map(goMount)),
    sources: [base64(file)],
  };
  const argRows = args.map(({ name, value, description }) => [name, value, description]);
  return {
    json: indentedJson(json),
    text:
      outlineTitle(outline) +
      table(['BUILD ARG', 'VALUE', 'DESCRIPTION'], argRows) +
      table(['SECRET', 'REQUIRED'], secrets.map(mountRow)) +
      table(['SSH', 'REQUIRED'], ssh.map(mountRow)),
  };
}

const byLine = <T extends { readonly lines: LineRange }>(list: readonly T[]): T[] =>
  list.toSorted((a, b) => a.lines[0] - b.lines[0]);

const orNothing = <T>(list: readonly T[]): readonly T[] | undefined =>
  list.length === 0 ? undefined : list;

const goMount = ({ name, required, lines }: OutlineMount): GoJson => ({
  name,
  required: required ? true : undefined,
  location: goLocation(lines),
});

const mountRow = ({ name, required }: OutlineMount): string[] => [name, required ? 'true' : ''];

function outlineTitle({ name, description }: Outline): string {
  if (name === '' && description === '') return '';
  const rows = [['TARGET:', name === '' ? '(default)' : name]];
  if (description !== '') rows.push(['DESCRIPTION:', description]);
  return `${columns(rows, 1)}\n`;
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  rows.length === 0 ? '' : `${columns([head, ...rows], 3)}\n`;
