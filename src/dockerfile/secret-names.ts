const WORDS = 'apikey|auth|credential|credentials|key|password|pword|passwd|secret|token';
const SECRET = new RegExp(`(?:_|^)(?:${WORDS})(?:_|$)`, 'i');
const HARMLESS = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/**
 * Whether a variable's name says that its value is a secret (rule SecretsUsedInArgOrEnv): a word such as `TOKEN` between
 * underscores, unless another such as `FILE` says otherwise.
 */
export function isSecretName(name: string): boolean {
  return SECRET.test(name) && !HARMLESS.test(name);
}
