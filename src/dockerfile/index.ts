export type {
  Ast,
  AstNode,
  Directive,
  DirectiveName,
  DockerfileFailure,
  EscapeToken,
  Heredoc,
  LineRange,
  ParsedDockerfile,
  ParserWarning,
  Word,
} from './ast.ts';
export { cleanPath } from './clean-path.ts';
export type {
  AddCommand,
  ArgCommand,
  ArgDefinition,
  CmdCommand,
  Command,
  CommandBase,
  CommandLine,
  CopyCommand,
  CopyFields,
  Device,
  EntrypointCommand,
  EnvCommand,
  ExposeCommand,
  Health,
  HealthcheckCommand,
  InlineFile,
  Instructions,
  KeyValue,
  LabelCommand,
  MaintainerCommand,
  OnbuildCommand,
  RunCommand,
  ShellCommand,
  SourceContent,
  Stage,
  StopSignalCommand,
  UserCommand,
  VolumeCommand,
  WorkdirCommand,
} from './command.ts';
export { detectSyntax, isOwnSyntax, readDirectives, type SyntaxDirective } from './directives.ts';
export { parseDuration } from './duration.ts';
export {
  type Environment,
  type ExpandedWord,
  type ExpandOptions,
  expandWord,
  expandWords,
  unmatchedVariables,
} from './expand.ts';
export { goString as quoteGo, isSpace, trimSpace } from './go-text.ts';
export { chompTabs, parseHeredocWord } from './heredoc.ts';
export { readIgnoreFile } from './ignore-file.ts';
export { parseInstructions, parseTrigger } from './instructions.ts';
export { lintLines, lintStages } from './lint-file.ts';
export { type LintConfig, Linter, type LintWarning, parseLintOptions } from './linter.ts';
export { type Expander, type Mount, type MountType, parseDevice, parseMount } from './mount.ts';
export { parseDockerfile } from './parse.ts';
export { pathMatch } from './path-match.ts';
export { type IgnorePattern, type MatchState, PatternMatcher } from './pattern-matcher.ts';
export { sourceExcerpt } from './report-text.ts';
export {
  type LintReport,
  lintResult,
  type Outline,
  type OutlineArg,
  type OutlineMount,
  outlineResult,
  type RequestResult,
  targetsResult,
} from './requests.ts';
export { MESSAGES, RULES, type Rule, type RuleName, rule } from './rules.ts';
export { isSecretName } from './secret-names.ts';
export { suggest, withSuggestion } from './suggest.ts';
