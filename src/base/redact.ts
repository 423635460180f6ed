// As URLs are read, a password may have an @ in it: the last one before the path ends it.
const USER_INFO = /(https?:\/\/)([^/?#\s"']*)@/g;

/** A text with the users and passwords of its HTTP addresses made unreadable (BuildKit util/urlutil, `RedactCredentials`). */
export function withoutCredentials(text: string): string {
  return text.replace(
    USER_INFO,
    (_, scheme: string, user: string) => `${scheme}xxxxx${user.includes(':') ? ':xxxxx' : ''}@`,
  );
}

/** The same with as many letters as there were, for texts that places point into. */
export function coveredCredentials(text: string): string {
  return text.replace(
    USER_INFO,
    (_, scheme: string, user: string) => `${scheme}${user.replace(/[^:]/g, 'x')}@`,
  );
}

/** A proxy for messages: these are written with any scheme, and without one. */
export function proxyWithoutCredentials(text: string): string {
  return text.replace(/^([a-z0-9+.-]+:\/\/)?[^/]*@/i, '$1xxxxx:xxxxx@');
}

/** A URL for messages: without user, password, query and fragment. */
export function redact(url: string | URL): string {
  const text = String(url);
  if (!URL.canParse(text)) return text.replace(/\/\/[^/@]*@/, '//').replace(/[?#].*$/, '');
  const parsed = new URL(text);
  parsed.username = '';
  parsed.password = '';
  parsed.search = '';
  parsed.hash = '';
  return parsed.href;
}
