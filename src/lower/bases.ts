import { quoteGo } from '../dockerfile/index.ts';
import { formatPlatform, type OpMetadata, type OpPlatform } from '../llb/index.ts';
import { parseReference, type Reference } from '../oci/index.ts';
import { checkImagePlatform } from './checks.ts';
import { EnvList } from './env-list.ts';
import { ignorePatterns } from './ignore-patterns.ts';
import { cloneImage, decodeImage, emptyImage, type ImageConfig } from './image-config.ts';
import type { LazyOutput } from './lazy-graph.ts';
import { CUSTOM_NAME, stepName } from './names.ts';
import { contextOf, SCRATCH } from './plan.ts';
import { imageQuestionKey, type Questions } from './questions.ts';
import { familiarName, layoutReference, pinnedReference, taggedReference } from './reference.ts';
import { gitNode, httpNode, isHttp, parseGit } from './remote-source.ts';
import type { ImageQuestion, LowerAnswers } from './request.ts';
import { followPaths, localNode, sourceNode } from './source-node.ts';
import { freshState, type Lowering, type StageState } from './stage-state.ts';
import { locate, Stop, stop } from './stop.ts';

/** Makes the bases of stages; what it lacks it notes in `questions`. */
export class BaseResolver {
  readonly #lowering: Lowering;
  readonly #answers: LowerAnswers;
  /** The base under way lacks an answer. */
  #waits = false;
  readonly questions: Questions = {
    images: new Map(),
    ignoreFiles: new Set(),
    templates: new Set(),
    times: [],
  };

  constructor(lowering: Lowering, answers: LowerAnswers) {
    this.#lowering = lowering;
    this.#answers = answers;
  }

  /** Gives a stage its file system and configuration. Images of stages that nothing needs are not asked for. */
  resolve(state: StageState, reachable: boolean): void {
    if (state.base !== undefined || state.dispatched || state.resolved) return;
    this.#waits = false;
    locate(state.at, () => {
      if (state.replacement !== undefined) this.#replace(state, state.replacement, reachable);
      else if (state.baseName === SCRATCH) this.#scratch(state);
      else this.#image(state, reachable);
    });
    // What waits for an answer is tried again when there is one.
    if (this.#isWaiting()) return;
    state.resolved = reachable;
    if (state.stage === undefined || (state.replacement !== undefined && reachable))
      state.dispatched = true;
  }

  #isWaiting(): boolean {
    return this.#waits;
  }

  #scratch(state: StageState): void {
    const { targetPlatform } = this.#lowering;
    state.image = emptyImage(targetPlatform);
    state.platform = targetPlatform;
    state.state = freshState(undefined, new EnvList());
  }

  #replace(state: StageState, value: string, reachable: boolean): void {
    if (!reachable) return;
    const platform = state.platform ?? this.#lowering.targetPlatform;
    this.#context(state, { name: state.name, value, platform });
  }

  #image(state: StageState, reachable: boolean): void {
    const written = state.baseName;
    const ref = parseReference(written);
    const platform = state.platform ?? this.#lowering.targetPlatform;
    if (!reachable) {
      // Only counts the step, as BuildKit does on this pass.
      if (ref.ok) this.#imageNode(state, taggedReference(ref.value), platform);
      return;
    }
    const { contexts = {} } = this.#lowering.request;
    const familiar = ref.ok ? familiarName(ref.value) : written;
    for (const name of [`${familiar}::${formatPlatform(platform)}`, familiar, written]) {
      const value = contextOf(contexts, name);
      if (value === undefined) continue;
      this.#context(state, { name, value, platform });
      return;
    }
    if (!ref.ok) stop(`failed to parse stage name ${quoteGo(written)}: ${ref.error}`, 'DF032');
    else this.#registryImage(state, { ref: ref.value, written, platform });
  }

  #registryImage(
    state: StageState,
    wanted: {
      readonly ref: Reference;
      readonly written: string;
      readonly platform: OpPlatform;
    },
  ): void {
    const { ref, written } = wanted;
    const { linter } = this.#lowering;
    const tagged = taggedReference(ref);
    const found = this.#ask({ ref: tagged, platform: wanted.platform, store: 'registry' });
    if (found === undefined) return;
    const image = this.#asBase(state, found.config);
    const platform =
      state.platform ??
      (this.#isImplicit() ? this.#ownPlatform(image, wanted.platform) : wanted.platform);
    const withDigest = pinnedReference(ref, found.digest);
    state.baseName = withDigest;
    const empty =
      (image.rootfs.diff_ids ?? []).length === 0 &&
      image.history.every((h) => h.empty_layer === true);
    const output = empty ? undefined : this.#imageNode(state, withDigest, platform);
    if (!empty)
      checkImagePlatform(
        state.stage === undefined ? linter : linter.withComments(state.stage.comments),
        { image: written, expected: platform, actual: image.platform, at: state.at },
      );
    state.platform = platform;
    state.state = freshState(output, new EnvList());
  }

  #asBase(state: StageState, config: unknown): ImageConfig {
    const image = decodeImage(config) ?? stop('failed to parse image config', 'DF027');
    state.baseImage = image;
    state.image = { ...cloneImage(image), created: '' };
    return image;
  }

  #isImplicit(): boolean {
    return this.#lowering.request.platform === undefined;
  }

  /** Without `--platform` a base for the builder's own platform decides. */
  #ownPlatform(image: ImageConfig, wanted: OpPlatform): OpPlatform {
    const own = image.platform;
    const same = (p: OpPlatform): boolean => p.OS === own.OS && p.Architecture === own.Architecture;
    return [wanted, this.#lowering.request.buildPlatform].find(same) ?? wanted;
  }

  #ask(
    question: Pick<ImageQuestion, 'ref' | 'platform' | 'store'>,
  ): { readonly digest: string; readonly config: unknown } | undefined {
    const key = imageQuestionKey(question);
    const answer = this.#answers.images.get(key);
    if (answer === undefined) {
      const where =
        this.#lowering.request.multiPlatform === true
          ? `${formatPlatform(question.platform)} `
          : '';
      const name = `[${where}internal] load metadata for ${question.ref}`;
      this.questions.images.set(key, { ...question, name });
      this.#waits = true;
      return undefined;
    }
    if (answer.ok) return answer;
    throw new Stop(answer.failure.message, { failure: answer.failure });
  }

  #imageNode(state: StageState, ref: string, platform: OpPlatform): LazyOutput {
    const title = stepName(this.#lowering, state, `FROM ${ref}`, { platform });
    const { imageResolveMode = 'default' } = this.#lowering.request;
    const mode = imageResolveMode === 'default' ? {} : { 'image.resolvemode': imageResolveMode };
    return sourceNode(`docker-image://${ref}`, {
      attrs: mode,
      platform,
      metadata: {
        description: { 'com.docker.dockerfile.v1.command': state.code, [CUSTOM_NAME]: title },
        caps: [
          'source.image',
          ...('image.resolvemode' in mode ? ['source.image.resolvemode'] : []),
        ],
        spans: state.at === undefined ? [] : [state.at.span],
      },
    });
  }

  /** A named build context as a base (BuildKit frontend/dockerui/namedcontext.go). */
  #context(
    state: StageState,
    context: { readonly name: string; readonly value: string; readonly platform: OpPlatform },
  ): void {
    const { name, value, platform } = context;
    const colon = value.indexOf(':');
    const kind = colon === -1 ? '' : value.slice(0, colon);
    const rest = value.slice(colon + 1);
    state.platform = platform;
    const metadata = (title: string): Partial<OpMetadata> => ({
      description: { [CUSTOM_NAME]: title },
    });
    const plain = (output: LazyOutput | undefined): void => {
      state.image = emptyImage(this.#lowering.targetPlatform);
      state.state = freshState(output, new EnvList());
    };
    if (kind === 'docker-image') {
      this.#imageContext(state, rest.replace(/^\/\//, ''), context);
      return;
    }
    if (kind === 'oci-layout') {
      this.#layoutContext(state, rest.replace(/^\/\//, ''), context);
      return;
    }
    if (kind === 'template') {
      this.#templateContext(state, rest, name);
      return;
    }
    const git = parseGit(value);
    if (git !== undefined) {
      const title = `[context ${name}] load from git`;
      plain(gitNode(git, { keepGitDir: false, checksum: '', metadata: metadata(title) }));
      return;
    }
    if (isHttp(value)) {
      plain(httpNode(value, { checksum: '', name: `[context ${name}] load from http` }));
      return;
    }
    plain(this.#localContext(name, value, () => followPaths(state.paths)));
  }

  #localContext(
    name: string,
    value: string,
    paths: () => readonly string[],
  ): LazyOutput | undefined {
    const answers = this.#answers.ignoreFiles;
    if (!answers.has(name)) {
      this.questions.ignoreFiles.add(name);
      this.#waits = true;
      return undefined;
    }
    const excludes = ignorePatterns(answers.get(name));
    const { context } = this.#lowering.request;
    const session = context.kind === 'local' ? context.session : '';
    const directory = value.startsWith('local:') ? value.slice('local:'.length) : name;
    return localNode({
      ...{ name: directory, session, excludes, paths },
      shownName: `[context ${name}] load from client`,
    });
  }

  #imageContext(
    state: StageState,
    text: string,
    context: { readonly name: string; readonly platform: OpPlatform },
  ): void {
    const { name, platform } = context;
    if (text === SCRATCH) {
      this.#scratch(state);
      return;
    }
    const ref = parseReference(text);
    if (!ref.ok)
      return stop(`could not wrap ${quoteGo(text)} in a reference: ${ref.error}`, 'DF028');
    const tagged = taggedReference(ref.value);
    const found = this.#ask({ ref: tagged, platform, store: 'registry' });
    if (found === undefined) return;
    this.#asBase(state, found.config);
    const withDigest = pinnedReference(ref.value, found.digest);
    const description = { [CUSTOM_NAME]: `[context ${name}] ${withDigest}` };
    const metadata = { description, caps: ['source.image'] };
    const output = sourceNode(`docker-image://${withDigest}`, { platform, metadata });
    state.state = freshState(output, new EnvList());
  }

  #layoutContext(
    state: StageState,
    text: string,
    context: { readonly name: string; readonly platform: OpPlatform },
  ): void {
    const { name, platform } = context;
    const found = this.#ask({ ref: text, platform, store: 'oci-layout' });
    if (found === undefined) return;
    this.#asBase(state, found.config);
    const at = text.lastIndexOf('@');
    const store = at === -1 ? text : text.slice(0, at);
    const main = this.#lowering.request.context;
    const session = main.kind === 'local' ? main.session : '';
    // The identifier is a reference; what names the layout itself stands in the attributes.
    const shown = parseReference(store);
    const digest = at === -1 ? found.digest : text.slice(at + 1);
    const ref = shown.ok ? layoutReference(shown.value, digest) : `${store}@${digest}`;
    const output = sourceNode(`oci-layout://${ref}`, {
      attrs: { ...(session === '' ? {} : { 'oci.session': session }), 'oci.store': store },
      platform,
      metadata: {
        description: { [CUSTOM_NAME]: `[context ${name}] OCI load from client` },
        caps: ['source.ocilayout'],
      },
    });
    state.state = freshState(output, new EnvList());
  }

  #templateContext(state: StageState, file: string, name: string): void {
    const answer = this.#answers.templates?.get(file);
    if (answer === undefined) {
      this.questions.templates.add(file);
      this.#waits = true;
      return;
    }
    this.#asBase(state, answer.config);
    const description = { [CUSTOM_NAME]: `[context ${name}] compose ${file}` };
    const { identifier, attrs } = answer;
    const metadata = { description, ...(answer.clean === true ? { ignoreCache: true } : {}) };
    const output = sourceNode(identifier, { attrs, metadata });
    state.state = freshState(output, new EnvList());
  }
}
