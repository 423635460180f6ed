import { type GoJson, positionAt, type SourceFile, type Span } from '../base/index.ts';
import type { AdviceRule, AdviceSeverity } from './finding.ts';

/** One result of a SARIF log. */
export interface SarifResult {
  readonly rule: string;
  readonly severity: AdviceSeverity;
  readonly message: string;
  readonly span?: Span;
  readonly other?: { readonly span: Span; readonly note: string };
  /** Figures that belong to it. */
  readonly properties: Readonly<Record<string, GoJson>>;
}

const LEVELS: Readonly<Record<AdviceSeverity, string>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
};

/** A SARIF 2.1.0 log with one run (OASIS, "Static Analysis Results Interchange Format", section 3.13). */
export function sarifLog(
  file: SourceFile,
  rules: readonly AdviceRule[],
  results: readonly SarifResult[],
): GoJson {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'varve',
            rules: rules.map(({ id, title, severity }) => ({
              id,
              shortDescription: { text: title },
              defaultConfiguration: { level: LEVELS[severity] },
            })),
          },
        },
        columnKind: 'unicodeCodePoints',
        results: results.map((result) => resultJson(file, rules, result)),
      },
    ],
  };
}

function resultJson(
  file: SourceFile,
  rules: readonly AdviceRule[],
  { rule, severity, message, span, other, properties }: SarifResult,
): GoJson {
  return {
    ruleId: rule,
    ruleIndex: rules.findIndex(({ id }) => id === rule),
    level: LEVELS[severity],
    message: { text: message },
    locations: [location(file, span ?? { offset: 0, length: 0 })],
    ...(other === undefined
      ? {}
      : {
          relatedLocations: [
            { id: 1, ...location(file, other.span), message: { text: other.note } },
          ],
        }),
    properties,
  };
}

function location(file: SourceFile, span: Span): Readonly<Record<string, GoJson>> {
  const start = positionAt(file.text, span.offset);
  const end = positionAt(file.text, span.offset + span.length);
  return {
    physicalLocation: {
      artifactLocation: { uri: encodeURI(file.path) },
      region: {
        startLine: start.line,
        startColumn: start.column,
        endLine: end.line,
        endColumn: end.column,
      },
    },
  };
}
