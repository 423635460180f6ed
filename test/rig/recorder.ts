import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KeyPair } from './token-server.ts';

/** One request as it came: method, address, headers and body as text. */
export interface Recorded {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly all: string;
}

/** What a recorder answers. */
export interface Answered {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A server on loopback that keeps every byte it was sent. */
export class Recorder implements AsyncDisposable {
  readonly seen: Recorded[] = [];
  readonly #server: ReturnType<typeof createServer>;
  readonly #scheme: string;
  readonly #address: string;

  private constructor(
    options: { readonly pair?: KeyPair; readonly address?: string },
    answer: (request: Recorded) => Answered,
  ) {
    const listener = (req: IncomingMessage, res: ServerResponse): void => {
      const parts: Buffer[] = [];
      req.on('data', (chunk: Buffer) => parts.push(chunk));
      req.on('end', () => {
        const body = Buffer.concat(parts).toString('latin1');
        const request = {
          path: req.url ?? '',
          authorization: req.headers.authorization,
          all: [req.method, req.url, ...req.rawHeaders, body].join('\n'),
        };
        this.seen.push(request);
        const { status, headers = {}, body: text = '' } = answer(request);
        res.writeHead(status, headers).end(text);
      });
    };
    const { pair, address = '127.0.0.1' } = options;
    this.#address = address;
    this.#scheme = pair === undefined ? 'http' : 'https';
    this.#server =
      pair === undefined
        ? createServer(listener)
        : createSecure(
            { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) },
            listener,
          );
  }

  static async start(
    options: { readonly pair?: KeyPair; readonly address?: string },
    answer: (request: Recorded) => Answered,
  ): Promise<Recorder> {
    const made = new Recorder(options, answer);
    made.#server.listen(0, made.#address);
    await once(made.#server, 'listening');
    return made;
  }

  get host(): string {
    // A TCP server's address is of this type.
    return `${this.#address}:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.#scheme}://${this.host}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
