import { execFileSync } from 'node:child_process';

/** The members of a tar in its order: `drwxr-xr-x 0/0 2024-02-03 04:05:06 a/ 0`. */
export function listTar(path: string): readonly string[] {
  const env = { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' };
  const text = execFileSync('tar', ['--full-time', '-tvf', path], { env, encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [mode = '', owner = '', size = '', date = '', time = '', ...name] = line.split(/\s+/);
      return `${mode} ${owner} ${date} ${time} ${name.join(' ')} ${size}`;
    });
}
