import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeOp, terminalOp } from '../../../src/llb/index.ts';
import { imageQuestionKey, type LowerRequest, lower } from '../../../src/lower/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface GoldenOp {
  readonly pb: string;
  readonly op: { readonly Op: { readonly source?: { readonly attrs?: Record<string, string> } } };
  readonly metadata: { readonly description?: Readonly<Record<string, string>> };
}

interface Case {
  readonly entries: readonly { readonly path: string; readonly content?: string }[];
  readonly opts?: Readonly<Record<string, string>>;
}

interface Layout {
  readonly manifests: readonly { readonly digest: string }[];
}

const blob = <T>(digest: string): T =>
  goldenJson<T>(`cachekeys/base/blobs/sha256/${digest.slice('sha256:'.length)}`);

function requestOf(name: string, session: string): LowerRequest {
  const { entries, opts = {} } = goldenJson<Case>(`cachekeys/${name}/case.json`);
  const text = entries.find((e) => e.path === 'Dockerfile')?.content ?? '';
  const manifest = goldenJson<Layout>('cachekeys/base/index.json').manifests[0]?.digest ?? '';
  const pick = (prefix: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(opts).flatMap(([k, v]) =>
        k.startsWith(prefix) ? [[k.slice(prefix.length), v] as const] : [],
      ),
    );
  return {
    file: { path: 'Dockerfile', text },
    buildArgs: pick('build-arg:'),
    labels: pick('label:'),
    ...(opts['target'] === undefined ? {} : { target: opts['target'] }),
    buildPlatform: { OS: 'linux', Architecture: 'amd64' },
    contexts: { base: `oci-layout://base@${manifest}` },
    context: { kind: 'local', name: 'context', session },
  };
}

test('builds on a named context have the ops of BuildKit', needsGolden, () => {
  const { manifests } = goldenJson<Layout>('cachekeys/base/index.json');
  const manifest = manifests[0]?.digest ?? '';
  const { config } = blob<{ readonly config: { readonly digest: string } }>(manifest);
  const problems: string[] = [];
  const names = goldenNames('cachekeys').filter((n) =>
    existsSync(join(GOLDEN ?? '', 'cachekeys', n, 'llb.json')),
  );
  for (const name of names) {
    const golden = goldenJson<GoldenOp[]>(`cachekeys/${name}/llb.json`);
    const attrs = golden.map((o): Record<string, string> => o.op.Op.source?.attrs ?? {});
    const session = attrs.map((a) => a['oci.session'] ?? a['local.session']).find(Boolean) ?? '';
    const request = requestOf(name, session);
    const { entries } = goldenJson<Case>(`cachekeys/${name}/case.json`);
    const ignore = entries.find((e) => e.path === '.dockerignore')?.content;
    const ignoreFiles = new Map([['context', ignore]]);
    const first = lower(request, { images: new Map(), ignoreFiles });
    const images = new Map(
      (first.kind === 'needs' ? first.images : []).map((q) => [
        imageQuestionKey(q),
        { ok: true, digest: manifest, config: blob<unknown>(config.digest) } as const,
      ]),
    );
    const outcome = lower(request, { images, ignoreFiles });
    if (outcome.kind !== 'lowered') {
      problems.push(`${name}: ${JSON.stringify(outcome)}`);
      continue;
    }
    const vertices = [...outcome.definition.vertices.values()];
    const got = vertices.map((v) => Buffer.from(v.pb).toString('base64'));
    const { result } = outcome.definition;
    if (result !== undefined)
      got.push(Buffer.from(encodeOp(terminalOp(result))).toString('base64'));
    // That definition was marshalled a second time, which visits inputs in another order: compared as a set.
    golden.forEach(({ pb, metadata }, i) => {
      const at = got.indexOf(pb);
      const mine = vertices[at]?.metadata.description['llb.customname'];
      const theirs = metadata.description?.['llb.customname'];
      if (at === -1)
        problems.push(`${name} op ${i}: ${theirs ?? 'the result'}: no op has these bytes`);
      else if (mine !== theirs) problems.push(`${name} op ${i}: named ${mine}, want ${theirs}`);
    });
    if (got.length !== golden.length) problems.push(`${name}: ${got.length} ops`);
  }
  const failed = new Set(problems.map((p) => p.split(/[ :]/, 1)[0]));
  note(`named contexts: ${names.length - failed.size} of ${names.length} builds equal`);
  assert.deepEqual(problems, []);
});
