const SECRET: ReadonlySet<string> = new Set(
  'apikey auth credential credentials key password pword passwd secret token'.split(' '),
);
const HARMLESS: ReadonlySet<string> = new Set(['public', 'file', 'version']);

/**
 * Whether a variable's name says that its value is a secret (rule SecretsUsedInArgOrEnv): a word such as `TOKEN` between
 * underscores, unless another such as `FILE` says otherwise.
 */
export function isSecretName(name: string): boolean {
  const words = name.toLowerCase().split('_');
  return words.some((word) => SECRET.has(word)) && !words.some((word) => HARMLESS.has(word));
}
