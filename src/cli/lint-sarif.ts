import { ADVICE_RULES, type AdviceRule, sarifLog } from '../advice/index.ts';
import { goJson, type SourceFile } from '../base/index.ts';
import { RULES } from '../dockerfile/index.ts';
import { type Advice, costText } from './lint-text.ts';

/** Findings as a SARIF 2.1.0 log. */
export function sarifText(file: SourceFile, advice: readonly Advice[]): string {
  const used = new Set(advice.map(({ finding }) => finding.rule));
  const foreign = RULES.filter(({ name }) => used.has(name)).map(
    ({ name, description }): AdviceRule => ({ id: name, severity: 'warning', title: description }),
  );
  const log = sarifLog(
    file,
    [...ADVICE_RULES, ...foreign],
    advice.map(({ finding, cost }) => ({
      ...{ rule: finding.rule, severity: finding.severity },
      message: finding.fix === '' ? finding.message : `${finding.message}. Fix: ${finding.fix}`,
      ...(finding.span === undefined ? {} : { span: finding.span }),
      ...(finding.other === undefined ? {} : { other: finding.other }),
      properties: {
        cost: costText(finding, cost),
        ...(cost === undefined
          ? {}
          : {
              builds: cost.builds,
              misses: cost.misses,
              milliseconds: Math.round(cost.seconds * 1000),
            }),
        ...(cost?.bytes === undefined ? {} : { bytes: cost.bytes }),
      },
    })),
  );
  return `${goJson(log)}\n`;
}
