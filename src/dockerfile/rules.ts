import { goString } from './go-text.ts';

/** A lint rule of BuildKit's Dockerfile frontend. */
export interface Rule {
  readonly name: RuleName;
  readonly description: string;
  readonly url: string;
  readonly experimental: boolean;
}

const PAGES = 'https://docs.docker.com/go/dockerfile/rule/';

const DESCRIPTIONS = {
  StageNameCasing: 'Stage names should be lowercase',
  FromAsCasing: "The 'as' keyword should match the case of the 'from' keyword",
  NoEmptyContinuation: 'Empty continuation lines will become errors in a future release',
  ConsistentInstructionCasing:
    'All commands within the Dockerfile should use the same casing (either upper or lower)',
  DuplicateStageName: 'Stage names should be unique',
  ReservedStageName: 'Reserved words should not be used as stage names',
  JSONArgsRecommended:
    'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  MaintainerDeprecated:
    'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
  UndefinedArgInFrom: 'FROM command must use declared ARGs',
  WorkdirRelativePath:
    'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
  UndefinedVar: 'Variables should be defined before their use',
  MultipleInstructionsDisallowed:
    'Multiple instructions of the same type should not be used in the same stage',
  LegacyKeyValueFormat: 'Legacy key/value format with whitespace separator should not be used',
  InvalidBaseImagePlatform: 'Base image platform does not match expected target platform',
  RedundantTargetPlatform:
    'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  SecretsUsedInArgOrEnv: 'Sensitive data should not be used in the ARG or ENV commands',
  InvalidDefaultArgInFrom:
    'Default value for global ARG results in an empty or invalid base image name',
  FromPlatformFlagConstDisallowed: 'FROM --platform flag should not use a constant value',
  CopyIgnoredFile: 'Attempting to Copy file that is excluded by .dockerignore',
  InvalidDefinitionDescription:
    'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
  ExposeProtoCasing: 'Protocol in EXPOSE instruction should be lowercase',
  ExposeInvalidFormat:
    'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
} as const;

/** Names are API: users write them in `# check=skip=...`. */
export type RuleName = keyof typeof DESCRIPTIONS;

/** Page name of a rule: words of the name in lower case with dashes. */
const page = (name: string): string =>
  `${PAGES}${name
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1-$2')
    .toLowerCase()}/`;

/** The rule of a name, with what BuildKit prints about it. */
export function rule(name: RuleName): Rule {
  return {
    name,
    description: DESCRIPTIONS[name],
    // BuildKit has no page for this one.
    url: name === 'InvalidBaseImagePlatform' ? '' : page(name),
    experimental: name === 'InvalidDefinitionDescription',
  };
}

// The keys of the literal above are the rule names.
const NAMES = Object.keys(DESCRIPTIONS) as RuleName[];

/** All rules in BuildKit's order. */
export const RULES: readonly Rule[] = NAMES.map(rule);

const maybe = (prefix: string, suggestion: string | undefined): string =>
  suggestion === undefined ? '' : ` (did you mean ${prefix}${suggestion}?)`;

/** The message of each rule; the arguments are what the rule is about. */
export const MESSAGES = {
  StageNameCasing: (name: string) => `Stage name '${name}' should be lowercase`,
  FromAsCasing: (from: string, as: string) => `'${as}' and '${from}' keywords' casing do not match`,
  NoEmptyContinuation: () => 'Empty continuation line',
  ConsistentInstructionCasing: (command: string, casing: 'lowercase' | 'uppercase') =>
    `Command '${command}' should match the case of the command majority (${casing})`,
  DuplicateStageName: (name: string) =>
    `Duplicate stage name ${goString(name)}, stage names should be unique`,
  ReservedStageName: (name: string) =>
    `Stage name should not use the same name as reserved stage ${goString(name)}`,
  JSONArgsRecommended: (command: string) =>
    `JSON arguments recommended for ${command} to prevent unintended behavior related to OS signals`,
  MaintainerDeprecated: () => 'Maintainer instruction is deprecated in favor of using label',
  UndefinedArgInFrom: (arg: string, suggestion?: string) =>
    `FROM argument '${arg}' is not declared${maybe('', suggestion)}`,
  WorkdirRelativePath: (path: string) =>
    `Relative workdir ${goString(path)} can have unexpected results if the base image changes`,
  UndefinedVar: (name: string, suggestion?: string) =>
    `Usage of undefined variable '$${name}'${maybe('$', suggestion)}`,
  MultipleInstructionsDisallowed: (command: string) =>
    `Multiple ${command} instructions should not be used in the same stage because only the last one will be used`,
  LegacyKeyValueFormat: (command: string) =>
    `"${command} key=value" should be used instead of legacy "${command} key value" format`,
  InvalidBaseImagePlatform: (image: string, expected: string, actual: string) =>
    `Base image ${image} was pulled with platform ${goString(actual)}, expected ${goString(expected)} for current build`,
  RedundantTargetPlatform: (variable: string) =>
    `Setting platform to predefined ${variable} in FROM is redundant as this is the default behavior`,
  SecretsUsedInArgOrEnv: (instruction: string, key: string) =>
    `Do not use ARG or ENV instructions for sensitive data (${instruction} ${goString(key)})`,
  InvalidDefaultArgInFrom: (base: string) =>
    `Default value for ARG ${base} results in empty or invalid base image name`,
  FromPlatformFlagConstDisallowed: (platform: string) =>
    `FROM --platform flag should not use constant value ${goString(platform)}`,
  CopyIgnoredFile: (command: 'Copy' | 'Add', file: string) =>
    `Attempting to ${command} file ${goString(file)} that is excluded by .dockerignore`,
  InvalidDefinitionDescription: (instruction: 'ARG' | 'FROM', name: string) =>
    `Comment for ${instruction} should follow the format: \`# ${name} <description>\``,
  ExposeProtoCasing: (port: string) =>
    `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  ExposeInvalidFormat: (port: string) =>
    `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
} as const satisfies Readonly<Record<RuleName, (...args: never[]) => string>>;
