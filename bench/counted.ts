/** What goes to and from a server: a relay on loopback that counts bytes. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes since the last `take`. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** A relay of its own port in front of `host` (`address:port`). */
export class Counted implements AsyncDisposable {
  readonly host: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #sent = 0;
  #received = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.host = `127.0.0.1:${port}`;
  }

  static async start(host: string): Promise<Counted> {
    const [address, port] = host.split(':');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const own = server.address();
    if (own === null || typeof own === 'string') throw new Error('the relay has no port');
    const counted = new Counted(server, own.port);
    server.on('connection', (client) => {
      const upstream = connect(Number(port), address);
      counted.#hold(client, upstream);
      client.on('data', (data) => {
        counted.#sent += data.length;
      });
      upstream.on('data', (data) => {
        counted.#received += data.length;
      });
      client.pipe(upstream).pipe(client);
    });
    return counted;
  }

  /** What the builders sent and received since the last call. */
  take(): Traffic {
    const traffic = { sent: this.#sent, received: this.#received };
    this.#sent = 0;
    this.#received = 0;
    return traffic;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #hold(...both: readonly [Socket, Socket]): void {
    for (const socket of both) {
      this.#sockets.add(socket);
      // One end that breaks ends the other.
      socket.on('error', () => both.forEach((each) => each.destroy()));
      socket.on('close', () => this.#sockets.delete(socket));
    }
  }
}
