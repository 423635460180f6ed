import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseJson } from '../../src/base/index.ts';

const CHROMIUM = '/usr/bin/chromium';

/** Why no browser can be used here; false when one can. */
export const needsChromium: string | false = existsSync(CHROMIUM) ? false : 'needs chromium';

/** A page of a browser without a window, led by the DevTools protocol. */
export class BrowserPage implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #loaded = Promise.withResolvers<undefined>();
  #last = 0;

  private constructor(child: ChildProcess, socket: WebSocket) {
    this.#child = child;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      this.#accept(String(data));
    });
  }

  /** Opens an address in a browser that reaches no network. */
  static async open(address: string, profile: string): Promise<BrowserPage> {
    const child = spawn(
      CHROMIUM,
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run'],
        ...[
          '--host-resolver-rules=MAP * ~NOTFOUND',
          `--user-data-dir=${join(profile, 'chromium')}`,
        ],
        ...['--remote-debugging-port=0', '--window-size=1000,1200', 'about:blank'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { HOME: profile, PATH: process.env['PATH'] } },
    );
    let endpoint = '';
    for await (const line of createInterface({ input: child.stderr })) {
      endpoint = /DevTools listening on (ws:\S+)/.exec(line)?.[1] ?? '';
      if (endpoint !== '') break;
    }
    const list = await fetch(`http://${new URL(endpoint).host}/json/list`);
    // The protocol's list of targets.
    const targets = (await list.json()) as readonly {
      readonly type: string;
      readonly webSocketDebuggerUrl: string;
    }[];
    const target = targets.find(({ type }) => type === 'page');
    const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const page = new BrowserPage(child, socket);
    await page.call('Page.enable');
    await page.call('Page.navigate', { url: address });
    await page.#loaded.promise;
    return page;
  }

  /** One method of the protocol. */
  async call(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.#last;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return await waiting.promise;
  }

  /** The value of an expression in the page; of a shape that the caller knows. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.call('Runtime.evaluate', { expression, returnByValue: true });
    const { result } = answer as { readonly result: { readonly value?: unknown } };
    return result.value;
  }

  /** Shows the page as a system that prefers this scheme does. */
  async prefer(scheme: 'light' | 'dark'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.call('Emulation.setEmulatedMedia', { features });
  }

  /** Presses and releases a key. */
  async press(key: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13 };
    const text = key === 'Enter' ? { text: '\r' } : {};
    const event = { key, code: key, windowsVirtualKeyCode: codes[key] ?? 0 };
    await this.call('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...text });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** The whole page as PNG. */
  async screenshot(): Promise<Buffer> {
    const answer = await this.call('Page.captureScreenshot', { captureBeyondViewport: true });
    return Buffer.from((answer as { readonly data: string }).data, 'base64');
  }

  #accept(text: string): void {
    const parsed = parseJson(text);
    if (!parsed.ok) throw new Error(text);
    // An answer or an event of the protocol.
    const { id, method, result, error } = parsed.value as {
      readonly id?: number;
      readonly method?: string;
      readonly result?: unknown;
      readonly error?: { readonly message: string };
    };
    if (method === 'Page.loadEventFired') this.#loaded.resolve(undefined);
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error.message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#socket.close();
    this.#child.kill('SIGKILL');
    await closed;
  }
}
