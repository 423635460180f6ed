import { err, ok, type Result, type SourceFile, type Span, spanOf } from '../base/index.ts';
import type {
  AstNode,
  DockerfileFailure,
  EscapeToken,
  Heredoc,
  LineRange,
  ParsedDockerfile,
  ParserWarning,
} from './ast.ts';
import { DirectiveReader, readDirectives } from './directives.ts';
import { allFailures, dockerfileFailure, type Problem } from './fail.ts';
import { trimSpace } from './go-text.ts';
import { canHoldHeredocs, type HeredocStart, heredocsOfLine } from './heredoc.ts';
import { MappedText, type Piece } from './mapped-text.ts';
import { parseNode } from './node.ts';
import { rule } from './rules.ts';
import {
  contentStart,
  isComment,
  MAX_LINE_BYTES,
  type SourceLine,
  SourceLines,
} from './source-lines.ts';

/** Parses a Dockerfile into instructions (BuildKit `parser.Parse`). Error texts are BuildKit's. */
export function parseDockerfile(file: SourceFile): Result<ParsedDockerfile, DockerfileFailure> {
  return new Parser(file).parse();
}

interface LogicalLine {
  readonly text: MappedText;
  readonly firstLine: number;
}

/** Reads logical lines and the here-documents behind them. */
class Parser {
  readonly #file: SourceFile;
  readonly #lines: SourceLines;
  readonly #directives = new DirectiveReader();
  readonly #nodes: AstNode[] = [];
  readonly #warnings: ParserWarning[] = [];
  #escapeToken: EscapeToken = '\\';
  #comments: string[] = [];

  constructor(file: SourceFile) {
    this.#file = file;
    this.#lines = new SourceLines(file.text);
  }

  parse(): Result<ParsedDockerfile, DockerfileFailure> {
    const failures: DockerfileFailure[] = [];
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      const failed = this.#line(line);
      if (failed !== undefined) failures.push(failed);
    }
    const [failed, ...others] = failures;
    if (failed !== undefined) return err(allFailures([failed, ...others]));
    const [first] = this.#nodes;
    if (first === undefined) return err(this.#atEnd('DF002', 'file with no instructions'));
    if (this.#lines.tooLongAt !== undefined) {
      const text = `dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`;
      return err(this.#atEnd('DF003', text));
    }
    return ok({
      file: this.#file,
      ast: { children: this.#nodes, lines: [first.lines[0], this.#nodes.at(-1)?.lines[1] ?? 0] },
      escapeToken: this.#escapeToken,
      directives: readDirectives(this.#file.text),
      warnings: this.#warnings,
    });
  }

  #atEnd(code: string, message: string): DockerfileFailure {
    const offset = this.#lines.tooLongAt ?? 0;
    const line = this.#lines.count;
    return dockerfileFailure(this.#file, { code, message, span: { offset, length: 0 } }, [
      line,
      line,
    ]);
  }

  /** One physical line at the start of a logical one. */
  #line(line: SourceLine): DockerfileFailure | undefined {
    const { text } = this.#file;
    const start = contentStart(text, line);
    const comment = start < line.end && text.charAt(start) === '#';
    // Like BuildKit the first character is dropped, even when the `#` is indented.
    if (comment) this.#comment(trimSpace(text.slice(line.start + 1, line.end)));
    const failed = this.#directive(text.slice(start, line.end), spanOf(start, line.end));
    if (failed !== undefined || comment) return failed;
    const content = { ...line, start };
    if (start === line.end) return undefined;
    return this.#instruction(this.#join(content));
  }

  #comment(text: string): void {
    if (text === '') this.#comments = [];
    else this.#comments.push(text);
  }

  #directive(line: string, span: Problem['span']): DockerfileFailure | undefined {
    const found = this.#directives.read(line);
    if (found.kind === 'none') return undefined;
    // BuildKit counts the line only after looking at it.
    const before: LineRange = [this.#lines.count - 1, this.#lines.count - 1];
    const problem = (message: string): DockerfileFailure =>
      dockerfileFailure(this.#file, { code: 'DF004', message, span }, before);
    if (found.kind === 'repeated')
      return problem(`only one ${found.name} parser directive can be used`);
    if (found.name === 'escape') {
      if (found.value !== '\\' && found.value !== '`')
        return problem(`invalid escape token '${found.value}' does not match \` or \\`);
      this.#escapeToken = found.value;
    }
    this.#comments.pop();
    return undefined;
  }

  /** Joins continued lines: no separator is added and no white space removed. */
  #join(first: SourceLine): LogicalLine {
    const { text } = this.#file;
    const firstLine = this.#lines.count;
    const pieces: Piece[] = [];
    let joined = '';
    let emptyLine: Span | undefined;
    for (let line: SourceLine | undefined = first; line !== undefined; line = this.#lines.next()) {
      if (line !== first) {
        if (isComment(text, line)) continue;
        if (contentStart(text, line) === line.end) {
          emptyLine ??= spanOf(line.start, line.end);
          continue;
        }
      }
      const end = this.#continuedAt(line);
      pieces.push({ at: joined.length, offset: line.start });
      joined += text.slice(line.start, end ?? line.end);
      if (end === undefined) break;
    }
    const logical = { text: new MappedText(joined, pieces), firstLine };
    if (emptyLine !== undefined) this.#warnEmptyContinuation(joined, emptyLine);
    return logical;
  }

  /** Where the text of a line ends when it is continued: one escape character, not two, before trailing blanks. */
  #continuedAt(line: SourceLine): number | undefined {
    const { text } = this.#file;
    let at = line.end;
    while (at > line.start && (text.charAt(at - 1) === ' ' || text.charAt(at - 1) === '\t')) at--;
    if (at === line.start || text.charAt(at - 1) !== this.#escapeToken) return undefined;
    if (at - 1 > line.start && text.charAt(at - 2) === this.#escapeToken) return undefined;
    return at - 1;
  }

  /** BuildKit counts the warning to the last line of the instruction; the span is the empty line. */
  #warnEmptyContinuation(joined: string, span: Span): void {
    const { description, url } = rule('NoEmptyContinuation');
    this.#warnings.push({
      short: `Empty continuation line found in: ${joined}`,
      detail: [description],
      url,
      lines: [this.#lines.count, this.#lines.count],
      span,
    });
  }

  #instruction(line: LogicalLine): DockerfileFailure | undefined {
    const prevComment = this.#comments;
    this.#comments = [];
    const node = parseNode(line.text, this.#escapeToken);
    if (!node.ok) return this.#fail(node.error, line);
    const heredocs = this.#heredocs(node.value, line);
    if (!heredocs.ok) return heredocs.error;
    const lines: LineRange = [line.firstLine, this.#lines.count];
    this.#nodes.push({ ...node.value, heredocs: heredocs.value, lines, prevComment });
    return undefined;
  }

  #fail(problem: Problem, line: LogicalLine): DockerfileFailure {
    return dockerfileFailure(this.#file, problem, [line.firstLine, this.#lines.count]);
  }

  #heredocs(node: AstNode, line: LogicalLine): Result<Heredoc[], DockerfileFailure> {
    if (!canHoldHeredocs(node) || !line.text.text.includes('<<')) return ok([]);
    const starts = heredocsOfLine(line.text.text);
    if (!starts.ok)
      return err(this.#fail({ code: 'DF005', message: starts.error, span: node.span }, line));
    const heredocs: Heredoc[] = [];
    for (const start of starts.value) {
      const heredoc = this.#body(start);
      if (heredoc === undefined) {
        const help = `end it with a line that is exactly ${start.name}`;
        const problem = { code: 'DF005', message: 'unterminated heredoc', span: node.span, help };
        return err(this.#fail(problem, line));
      }
      heredocs.push(heredoc);
    }
    return ok(heredocs);
  }

  /** Reads raw lines up to the terminator. */
  #body(start: HeredocStart): Heredoc | undefined {
    const { text } = this.#file;
    let bodyAt: number | undefined;
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      bodyAt ??= line.start;
      let at = line.start;
      while (start.chomp && text.charAt(at) === '\t' && at < line.end) at++;
      if (text.slice(at, line.end) === start.name) {
        const content = text.slice(bodyAt, line.start);
        return { ...start, content, span: spanOf(bodyAt, line.start) };
      }
    }
    return undefined;
  }
}
