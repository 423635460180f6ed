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
