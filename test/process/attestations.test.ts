import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { note } from '../rig/golden.ts';
import { startRegistry } from '../rig/registry.ts';
import { GitServer } from '../rig/remote.ts';
import { json, readFiles } from '../rig/results.ts';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

interface Named {
  readonly digest: string;
  readonly mediaType: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string };
}

interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { sha256: string } }[];
  readonly predicate: unknown;
}

/** Documents of an OCI layout. */
function layout(dir: string): {
  readonly entry: Named;
  readonly read: (digest: string) => unknown;
} {
  const read = (digest: string): unknown =>
    json(readFileSync(join(dir, 'blobs', digest.replace(':', '/')), 'utf8'));
  const index = json(readFileSync(join(dir, 'index.json'), 'utf8')) as {
    readonly manifests: readonly Named[];
  };
  const [entry] = index.manifests;
  if (entry === undefined) throw new Error('the layout is empty');
  return { entry, read };
}

/** What an index says of its images: platform to statements. */
function statements(dir: string): Record<string, readonly Statement[]> {
  const { entry, read } = layout(dir);
  const { manifests } = read(entry.digest) as { readonly manifests: readonly Named[] };
  const said: Record<string, readonly Statement[]> = {};
  for (const attestation of manifests) {
    const about = attestation.annotations?.['vnd.docker.reference.digest'];
    if (about === undefined) continue;
    const image = manifests.find(({ digest }) => digest === about);
    const { layers } = read(attestation.digest) as { readonly layers: readonly Named[] };
    said[image?.platform?.architecture ?? ''] = layers.map(
      ({ digest }) => read(digest) as Statement,
    );
  }
  return said;
}

/** A document with what differs in each build replaced: times and the build's own name. */
function steady(document: unknown): unknown {
  return json(
    JSON.stringify(document)
      .replace(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
      .replace(/("(?:invocationId|buildInvocationID)":)"[0-9a-f]{24}"/g, '$1"BUILD"')
      .replace(/"urn:uuid:[0-9a-f-]{36}"/g, '"UUID"'),
  );
}

const DPKG = [
  ['Package: bash', 'Status: install ok installed', 'Version: 5.2-1', 'Architecture: amd64'],
  ['Maintainer: Someone <a@example.org>', 'Description: a shell', ''],
]
  .flat()
  .join('\n');

describe('what is attached to results', { skip: needsSteps, concurrency: 2 }, () => {
  test('an image, how it was made and its packages are one index, with every field of the provenance', async () => {
    await using rig = new Rig();
    const Dockerfile = [
      ...[BUSYBOX.trimEnd(), 'ARG V=0'],
      'RUN --network=none --mount=type=secret,id=s busybox test -s /run/secrets/s',
      'COPY status /var/lib/dpkg/status',
    ].join('\n');
    rig.context('app', { Dockerfile, status: DPKG });
    const run = await rig.varve(
      [
        ...['build', '--progress=plain', '--provenance', 'builder-id=https://ci.example/1'],
        ...['--sbom', 'true', '--build-arg', 'V=7', '--secret', 'id=s,env=S', '-t', 'me/app:1'],
        ...['-o', 'type=oci,dest=oci,tar=false', '--iidfile', 'id', '--metadata-file', 'md', 'app'],
      ],
      { env: { S: 'what-nobody-may-read' } },
    );
    assert.equal(run.status, 0, run.stderr);
    const { entry, read } = layout(join(rig.work, 'oci'));
    const index = read(entry.digest) as { readonly manifests: readonly Named[] };
    const [image, attestation] = index.manifests;
    assert.ok(image !== undefined && attestation !== undefined);
    const manifest = read(image.digest) as {
      readonly config: Named;
      readonly layers: readonly Named[];
    };
    const said = read(attestation.digest) as {
      readonly config: Named;
      readonly layers: readonly Named[];
    };
    assert.deepEqual(
      {
        kind: entry.mediaType,
        images: index.manifests.map(({ platform, annotations }) => ({ platform, annotations })),
        types: said.layers.map(({ mediaType, annotations }) => ({ mediaType, annotations })),
        config: read(said.config.digest),
      },
      {
        kind: 'application/vnd.oci.image.index.v1+json',
        images: [
          { platform: { architecture: 'amd64', os: 'linux' }, annotations: undefined },
          {
            platform: { architecture: 'unknown', os: 'unknown' },
            annotations: {
              'vnd.docker.reference.digest': image.digest,
              'vnd.docker.reference.type': 'attestation-manifest',
            },
          },
        ],
        types: ['https://spdx.dev/Document', 'https://slsa.dev/provenance/v1'].map((type) => ({
          mediaType: 'application/vnd.in-toto+json',
          annotations: { 'in-toto.io/predicate-type': type },
        })),
        config: {
          ...{ architecture: 'unknown', os: 'unknown', config: {} },
          rootfs: { type: 'layers', diff_ids: said.layers.map(({ digest }) => digest) },
        },
      },
    );
    const subject = [
      {
        name: 'pkg:docker/me/app@1?platform=linux%2Famd64',
        digest: { sha256: image.digest.slice('sha256:'.length) },
      },
    ];
    const [sbom, made] = said.layers.map(({ digest }) => read(digest) as Statement);
    assert.deepEqual([sbom?.subject, made?.subject], [subject, subject]);
    const { llbDefinition, digestMapping } = (
      made?.predicate as {
        readonly buildDefinition: {
          readonly internalParameters: {
            readonly buildConfig: {
              readonly llbDefinition: readonly { readonly id: string; readonly inputs?: unknown }[];
              readonly digestMapping: Readonly<Record<string, string>>;
            };
          };
        };
      }
    ).buildDefinition.internalParameters.buildConfig;
    assert.deepEqual(
      llbDefinition.map(({ id, inputs }) => [id, inputs]),
      [
        ['step0', undefined],
        ['step1', ['step0:0']],
        ['step2', ['step1:0', 'step0:0']],
        ['step3', ['step2:0']],
        ['step4', ['step3:0', 'step0:0']],
        ['step5', ['step4:0']],
      ],
    );
    assert.deepEqual(Object.values(digestMapping), ['step0', 'step1', 'step2', 'step3', 'step4']);
    const line = (n: number): unknown => ({
      locations: [{ ranges: [{ start: { line: n }, end: { line: n } }] }],
    });
    assert.deepEqual(steady(made), {
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://slsa.dev/provenance/v1',
      subject,
      predicate: {
        buildDefinition: {
          buildType:
            'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
          externalParameters: {
            configSource: { path: 'Dockerfile' },
            request: {
              frontend: 'dockerfile.v0',
              args: { 'build-arg:V': '7' },
              secrets: [{ id: 's', optional: true }],
              locals: [{ name: 'context' }, { name: 'dockerfile' }],
            },
          },
          internalParameters: {
            buildConfig: { llbDefinition, digestMapping },
            builderPlatform: 'linux/amd64',
          },
          resolvedDependencies: [],
        },
        runDetails: {
          builder: { id: 'https://ci.example/1' },
          metadata: {
            invocationId: 'BUILD',
            startedOn: 'TIME',
            finishedOn: 'TIME',
            buildkit_metadata: {
              source: {
                locations: { step1: line(2), step2: line(3), step3: line(5), step4: line(6) },
                infos: [
                  {
                    filename: 'app/Dockerfile',
                    language: 'Dockerfile',
                    data: Buffer.from(Dockerfile).toString('base64'),
                  },
                ],
              },
              layers: { 'step4:0': [manifest.layers] },
            },
            buildkit_hermetic: true,
            buildkit_completeness: { request: true, resolvedDependencies: false },
            buildkit_reproducible: false,
          },
        },
      },
    });
    const { packages } = sbom?.predicate as {
      readonly packages: readonly { readonly name: string; readonly versionInfo?: string }[];
    };
    assert.deepEqual(
      packages.map((p) => [p.name, p.versionInfo]),
      [
        ['me/app', '1'],
        ['bash', '5.2-1'],
      ],
    );
    assert.equal(readFileSync(join(rig.work, 'id'), 'utf8'), manifest.config.digest);
    const metadata = json(readFileSync(join(rig.work, 'md'), 'utf8')) as Record<string, unknown>;
    assert.equal(metadata['containerimage.digest'], entry.digest);
    for (const [path, bytes] of rig.files(rig.root))
      assert.equal(bytes.includes('what-nobody-may-read'), false, path);
  });

  test('what is attached reaches the registry with the image, is pulled over, and images of it are bases', async () => {
    await using registry = await startRegistry();
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'A\n' });
    const ref = `${registry.host}/me/app`;
    const steps: (readonly string[])[] = [
      ['build', '-q', '--provenance=mode=min', '-t', `${ref}:1`, '--push', 'app'],
      ['image', 'tag', `${ref}:1`, `${ref}:2`],
      ['image', 'push', `${ref}:2`],
    ];
    for (const step of steps) {
      const run = await rig.varve(step);
      assert.equal(run.status, 0, run.stderr);
    }
    const raw = (tag: string): string =>
      execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${ref}${tag}`], {
        encoding: 'utf8',
      });
    assert.equal(raw(':1'), raw(':2'));
    const { manifests } = json(raw(':1')) as { readonly manifests: readonly Named[] };
    assert.equal(manifests.length, 2);
    const said = json(raw(`@${manifests[1]?.digest ?? ''}`)) as {
      readonly layers: readonly Named[];
    };
    const blob = await fetch(
      `http://${registry.host}/v2/me/app/blobs/${said.layers[0]?.digest ?? ''}`,
    );
    const text = await blob.text();
    assert.equal(sha256(text), said.layers[0]?.digest);
    const { predicate } = steady(json(text)) as {
      readonly predicate: {
        readonly buildDefinition: { readonly internalParameters: unknown };
        readonly runDetails: { readonly metadata: unknown };
      };
    };
    assert.deepEqual(predicate.buildDefinition.internalParameters, {
      builderPlatform: 'linux/amd64',
    });
    assert.deepEqual(predicate.runDetails.metadata, {
      ...{ invocationId: 'BUILD', startedOn: 'TIME', finishedOn: 'TIME' },
      ...{ buildkit_metadata: {}, buildkit_hermetic: true },
      buildkit_completeness: { request: false, resolvedDependencies: false },
      buildkit_reproducible: false,
    });
    await using third = new Rig();
    const saved: string[] = [];
    for (const [world, tag] of [
      [rig, ':1'],
      [third, ':1'],
    ] as const) {
      for (const step of [
        ['image', 'pull', `${ref}${tag}`],
        ['image', 'save', `${ref}${tag}`, '-o', 'image.tar'],
      ]) {
        const run = await world.varve(step);
        assert.equal(run.status, 0, run.stderr);
      }
      const listed = execFileSync('tar', ['-tf', join(world.work, 'image.tar')], {
        encoding: 'utf8',
      });
      saved.push(listed);
    }
    assert.equal(saved[0], saved[1]);
    // Index, image, configuration, layer; manifest of statements, its configuration, the provenance.
    assert.equal(saved[1]?.match(/^blobs\/sha256\/[0-9a-f]{64}$/gm)?.length, 7);
    await using other = new Rig();
    other.context('next', { Dockerfile: `FROM ${ref}:1\nCOPY b /b\n`, b: 'B\n' });
    const next = await other.varve([
      ...[
        'build',
        '-q',
        '--provenance=version=v0.2,mode=min',
        '-o',
        'type=oci,dest=oci,tar=false',
        'next',
      ],
    ]);
    assert.equal(next.status, 0, next.stderr);
    const [provenance] = statements(join(other.work, 'oci'))['amd64'] ?? [];
    assert.deepEqual(steady(provenance?.predicate), {
      builder: { id: '' },
      buildType: 'https://mobyproject.org/buildkit@v1',
      materials: [
        {
          uri: `pkg:docker/${registry.host}/me/app@1?platform=linux%2Famd64`,
          digest: { sha256: sha256(raw(':1')).slice('sha256:'.length) },
        },
      ],
      invocation: {
        configSource: { entryPoint: 'Dockerfile' },
        parameters: {
          frontend: 'dockerfile.v0',
          args: {},
          locals: [{ name: 'context' }, { name: 'dockerfile' }],
        },
        environment: { platform: 'linux/amd64' },
      },
      metadata: {
        buildInvocationID: 'BUILD',
        buildStartedOn: 'TIME',
        buildFinishedOn: 'TIME',
        completeness: { parameters: false, environment: true, materials: false },
        reproducible: false,
        'https://mobyproject.org/buildkit@v1#hermetic': true,
        'https://mobyproject.org/buildkit@v1#metadata': {},
      },
    });
  });

  test('results that are files get documents about each file beside them, below each platform', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /dir/file\nCOPY same /same\n',
      ...{ amd64: 'A\n', arm64: 'B\n', same: 'S\n' },
    });
    const build = async (...flags: readonly string[]): Promise<void> => {
      const run = await rig.varve(['build', '-q', ...flags, 'app']);
      assert.equal(run.status, 0, run.stderr);
    };
    await build(
      ...['--platform=linux/amd64,linux/arm64', '--sbom=true', '--provenance=filename=made.json'],
      ...['-o', 'type=local,dest=two', '-o', 'type=tar,dest=two.tar'],
    );
    const files = readFiles(join(rig.work, 'two'));
    assert.deepEqual(
      Object.keys(files),
      ['linux_amd64', 'linux_arm64'].flatMap((dir) =>
        ['dir/file', 'made.json', 'same', 'sbom.spdx.json'].map((name) => `${dir}/${name}`),
      ),
    );
    for (const [arch, text] of [
      ['amd64', 'A\n'],
      ['arm64', 'B\n'],
    ] as const) {
      const subjects = (['made.json', 'sbom.spdx.json'] as const).map(
        (name) => (json(files[`linux_${arch}/${name}`] ?? '') as Statement).subject,
      );
      const of = (name: string, content: string): unknown => ({
        name,
        digest: { sha256: sha256(content).slice('sha256:'.length) },
      });
      const all = [of('dir/file', text), of('same', 'S\n')];
      assert.deepEqual(subjects, [all, all]);
    }
    const listed = execFileSync('tar', ['-tf', join(rig.work, 'two.tar')], { encoding: 'utf8' });
    assert.deepEqual(
      listed.split('\n').filter((name) => name.endsWith('.json')),
      ['amd64', 'arm64'].flatMap((arch) =>
        ['sbom.spdx.json', 'made.json'].map((name) => `linux_${arch}/${name}`),
      ),
    );
    const three = ['--platform=linux/amd64,linux/arm64', '--provenance=mode=min'];
    await build(...three, '-o', 'type=local,dest=joined,platform-split=false');
    assert.deepEqual(Object.keys(readFiles(join(rig.work, 'joined'))), [
      ...['dir/file', 'provenance.linux_amd64.json', 'provenance.linux_arm64.json', 'same'],
    ]);
    await build('--provenance=mode=min', '-o', 'type=local,dest=split,platform-split=true');
    assert.deepEqual(
      Object.keys(readFiles(join(rig.work, 'split'))),
      ['dir/file', 'provenance.json', 'same'].map((name) => `linux_amd64/${name}`),
    );
    await build('--provenance=inline-only=true', '--sbom=inline-only=true', '-o', 'one');
    assert.deepEqual(readFiles(join(rig.work, 'one')), { 'dir/file': 'A\n', same: 'S\n' });
  });

  test('a build of repositories and layouts names each with its commit or digest, and no credential', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const files = { Dockerfile: 'FROM base\nCOPY f /f\nADD $MORE#v1 /more\n', f: 'F\n' };
    const url = server.url('repo');
    const more = server.url('more');
    const added = server.commit('more', { g: 'G\n' });
    server.git('more', 'tag', 'v1');
    const commit = server.commit('repo', {
      ...files,
      Dockerfile: files.Dockerfile.replace('$MORE', more),
    });
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY busybox /b\n' });
    const base = await rig.varve(['build', '-q', '-o', 'type=oci,dest=layout,tar=false', 'app']);
    assert.equal(base.status, 0, base.stderr);
    const digest = layout(join(rig.work, 'layout')).entry.digest.slice('sha256:'.length);
    const secret = url.replace('//', '//me:what-nobody-may-read@');
    const run = await rig.varve([
      ...['build', '-q', '--provenance=true', '--build-context', 'base=oci-layout://layout'],
      ...['-o', 'type=oci,dest=oci,tar=false', `${secret}#main`],
    ]);
    assert.equal(run.status, 0, run.stderr);
    const [made] = statements(join(rig.work, 'oci'))['amd64'] ?? [];
    const { buildDefinition, runDetails } = made?.predicate as {
      readonly buildDefinition: {
        readonly externalParameters: { readonly configSource: unknown };
        readonly resolvedDependencies: readonly {
          readonly uri: string;
          readonly digest: Readonly<Record<string, string>>;
        }[];
      };
      readonly runDetails: {
        readonly metadata: { readonly buildkit_completeness: unknown };
      };
    };
    assert.deepEqual(buildDefinition.externalParameters.configSource, {
      uri: `${url}#main`,
      digest: { sha1: commit },
      path: 'Dockerfile',
    });
    assert.deepEqual(
      buildDefinition.resolvedDependencies.map((d) => [d.uri.replace(/%?[?].*/, ''), d.digest]),
      [
        [`${more}#v1`, { sha1: added }],
        [`${url}#main`, { sha1: commit }],
        ['pkg:oci/base', { sha256: digest }],
      ],
    );
    assert.deepEqual(runDetails.metadata.buildkit_completeness, {
      request: true,
      resolvedDependencies: true,
    });
    for (const [path, bytes] of rig.files(join(rig.work, 'oci')))
      assert.equal(bytes.includes('what-nobody-may-read'), false, path);
  });

  test('a repository of SHA-256 names is named by that digest', async () => {
    await using server = await GitServer.start();
    await using rig = new Rig();
    const commit = server.commit(
      'repo',
      { Dockerfile: 'FROM scratch\nCOPY f /f\n', f: '' },
      'sha256',
    );
    const run = await rig.varve([
      ...['build', '-q', '--provenance=mode=min', '-o', 'type=oci,dest=oci,tar=false'],
      `${server.url('repo')}#main`,
    ]);
    assert.equal(run.status, 0, run.stderr);
    const [made] = statements(join(rig.work, 'oci'))['amd64'] ?? [];
    const { buildDefinition } = made?.predicate as {
      readonly buildDefinition: { readonly resolvedDependencies: unknown };
    };
    assert.deepEqual(buildDefinition.resolvedDependencies, [
      { uri: `${server.url('repo')}#main`, digest: { sha256: commit } },
    ]);
  });

  test('files without steps, with stages that nothing uses and with one stage used twice have a provenance', async () => {
    await using rig = new Rig();
    const platforms = '--platform=linux/amd64,linux/arm64';
    const said = async (Dockerfile: string): Promise<unknown> => {
      rig.context('app', { Dockerfile, 'a.txt': 'A\n' });
      const run = await rig.varve([
        ...['build', '-q', platforms, '--provenance=true', '-o', 'type=oci,dest=oci,tar=false'],
        'app',
      ]);
      assert.equal(run.status, 0, run.stderr);
      const all = Object.entries(statements(join(rig.work, 'oci')));
      rmSync(join(rig.work, 'oci'), { recursive: true });
      return all.map(([arch, [made]]) => {
        const { buildDefinition, runDetails } = made?.predicate as {
          readonly buildDefinition: {
            readonly internalParameters: {
              readonly buildConfig: { readonly llbDefinition: readonly { inputs?: unknown }[] };
            };
          };
          readonly runDetails: {
            readonly metadata: {
              readonly buildkit_metadata: {
                readonly layers?: Readonly<Record<string, readonly (readonly unknown[])[]>>;
              };
            };
          };
        };
        const { layers = {} } = runDetails.metadata.buildkit_metadata;
        return {
          arch,
          steps: buildDefinition.internalParameters.buildConfig.llbDefinition.map((s) => s.inputs),
          layers: Object.entries(layers).map(([step, chains]) => [step, chains[0]?.length]),
        };
      });
    };
    const both = (rest: unknown): unknown =>
      ['amd64', 'arm64'].map((arch) => ({ arch, ...(rest as object) }));
    assert.deepEqual(
      [
        await said('FROM scratch\nENV A=1\n'),
        await said(
          'FROM scratch AS base-linux\nCOPY a.txt /\nFROM --platform=windows/amd64 scratch AS base-windows\nFROM base-$TARGETOS\n',
        ),
        await said(
          'FROM scratch AS base\nCOPY a.txt /base\nFROM base AS a\nCOPY a.txt /a\nFROM base AS b\nCOPY a.txt /b\nFROM a\nCOPY --from=b /b /b\n',
        ),
      ],
      [
        both({ steps: [], layers: [] }),
        both({ steps: [undefined, ['step0:0'], ['step1:0']], layers: [['step1:0', 1]] }),
        both({
          steps: [
            undefined,
            ['step0:0'],
            ['step1:0', 'step0:0'],
            ['step1:0', 'step0:0'],
            ['step2:0', 'step3:0'],
            ['step4:0'],
          ],
          layers: [['step4:0', 3]],
        }),
      ],
    );
  });

  test('targets of a bake file have attestations and annotations of their own, and flags stand over them', async () => {
    await using rig = new Rig();
    rig.context('app', {
      Dockerfile: 'FROM scratch\nCOPY a /a\n',
      a: 'A\n',
      'docker-bake.json': JSON.stringify({
        target: {
          one: {
            annotations: ['team=web'],
            attest: [{ type: 'provenance', mode: 'min' }, { type: 'sbom' }],
            output: [{ type: 'oci', dest: 'oci', tar: 'false' }],
          },
        },
      }),
    });
    const types = async (...flags: readonly string[]): Promise<readonly string[]> => {
      const run = await rig.varve(['bake', '-f', 'app/docker-bake.json', ...flags, 'one']);
      assert.equal(run.status, 0, run.stderr);
      const said = statements(join(rig.work, 'app/oci'));
      return (said['amd64'] ?? []).map(({ predicateType }) => predicateType);
    };
    const [packages, made] = ['https://spdx.dev/Document', 'https://slsa.dev/provenance/v1'];
    assert.deepEqual(await types(), [packages, made]);
    rmSync(join(rig.work, 'app/oci'), { recursive: true });
    assert.deepEqual(await types('--sbom=false'), [made]);
    const { entry, read } = layout(join(rig.work, 'app/oci'));
    const index = read(entry.digest) as { readonly manifests: readonly Named[] };
    const manifest = read(index.manifests[0]?.digest ?? '') as Named;
    assert.deepEqual(manifest.annotations, { team: 'web' });
  });

  test('annotations stand on the manifest, its descriptor, the index and its descriptor, of all platforms or one', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'A\n' });
    const build = async (
      platforms: string,
      annotations: readonly string[],
    ): ReturnType<Rig['varve']> =>
      await rig.varve([
        ...['build', '-q', `--platform=${platforms}`, '-o', 'type=oci,dest=oci,tar=false'],
        ...annotations.flatMap((text) => ['--annotation', text]),
        'app',
      ]);
    const two = await build('linux/amd64,linux/arm64', [
      'Plain=1',
      'manifest[linux/arm64]:arm=2',
      'manifest-descriptor,index:both=3',
      'index-descriptor:entry=4=5',
    ]);
    assert.equal(two.status, 0, two.stderr);
    const { entry, read } = layout(join(rig.work, 'oci'));
    const index = read(entry.digest) as Named & { readonly manifests: readonly Named[] };
    assert.deepEqual(
      {
        entry: entry.annotations?.['entry'],
        index: index.annotations,
        descriptors: index.manifests.map(({ annotations }) => annotations),
        manifests: index.manifests.map(({ digest }) => (read(digest) as Named).annotations),
      },
      {
        entry: '4=5',
        index: { both: '3' },
        descriptors: [{ both: '3' }, { both: '3' }],
        manifests: [{ Plain: '1' }, { Plain: '1', arm: '2' }],
      },
    );
    const one = await build('linux/amd64', ['index:a=1']);
    assert.deepEqual(
      [one.status, one.stderr],
      [
        2,
        'error[EX007]: annotation a: an image of one platform has no index\nhelp: put it on the manifest, or give several platforms\n',
      ],
    );
  });

  test('what a flag cannot mean is refused with what it could', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'A\n' });
    const wrong: string[] = [];
    const cases = [
      ['--provenance=mode=full', 'unknown mode "full"\nhelp: known modes: min, max'],
      ['--provenance=version=v2', 'unknown version "v2"\nhelp: known versions: v1, v0.2'],
      ['--provenance=yes', '"yes" must be key=value'],
      ['--provenance=reproducible=perhaps', 'reproducible "perhaps" is neither true nor false'],
      [
        '--sbom=generator=me/scan',
        'generators are images that scan others, and none is run here\nhelp: leave generator out: Varve reads the databases of package managers itself',
      ],
      ['--sbom=filename=a/b', '"a/b" is no name of a file'],
      ['--sbom=depth=1', 'unknown key "depth"\nhelp: known keys: filename, inline-only, disabled'],
      ['--attest=mode=max', 'type is missing\nhelp: known types: provenance, sbom'],
      ['--attest=type=vsa', 'unknown type "vsa"\nhelp: known types: provenance, sbom'],
      ['--annotation=a', 'must be key=value'],
      [
        '--annotation=layer:a=b',
        'unknown type "layer"\nhelp: known types: manifest, index, manifest-descriptor, index-descriptor',
      ],
      ['--annotation=index:=b', 'the key is missing'],
    ] as const;
    for (const [flag, text] of cases) {
      const run = await rig.varve(['build', flag, 'app']);
      const [name = '', ...rest] = flag.split('=');
      const wanted = `error[CL002]: ${name} "${rest.join('=')}": ${text}\n`;
      if (run.status !== 2 || run.stderr !== wanted)
        wrong.push(`${flag}: ${run.status} ${run.stderr}`);
    }
    assert.deepEqual(wrong, []);
    note(`attestations: ${cases.length} meaningless flags refused`);
    const off = await rig.varve([
      ...['build', '-q', '--attest', 'type=sbom', '--provenance=false', '--sbom=false'],
      ...['-o', 'type=oci,dest=oci,tar=false', 'app'],
    ]);
    assert.equal(off.status, 0, off.stderr);
    assert.equal(
      layout(join(rig.work, 'oci')).entry.mediaType,
      'application/vnd.oci.image.manifest.v1+json',
    );
  });
});
