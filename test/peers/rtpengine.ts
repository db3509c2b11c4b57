/** rtpengine as a peer: somebody else's media plane, asked over its NG protocol what a test needs of it. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { freePort, freePortRange } from './free-port.ts';
import { Program } from './program.ts';

export type NgValue = string | readonly string[];

export class RtpengineUnderTest implements AsyncDisposable {
  readonly #program: Program;
  readonly #socket: Socket;
  readonly #control: number;
  #cookie = 0;

  private constructor(program: Program, control: number, socket: Socket) {
    this.#program = program;
    this.#control = control;
    this.#socket = socket;
  }

  /** @param more options of its command line @param control the port on which it is asked */
  static async start(more: readonly string[] = [], control?: number): Promise<RtpengineUnderTest> {
    control ??= await freePort();
    const media = await freePortRange(200);
    const program = await Program.start('rtpengine', [
      // Debian's own file has fixed ports: a second server on this machine would not start.
      '--config-file=none',
      '--foreground',
      '--table=-1',
      '--interface=127.0.0.1',
      `--listen-ng=127.0.0.1:${control}`,
      `--port-min=${media.min}`,
      `--port-max=${media.max}`,
      '--log-stderr',
      '--log-level=6',
      ...more,
    ]);
    return new RtpengineUnderTest(program, control, createSocket('udp4'));
  }

  /** Where it is asked. */
  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#control };
  }

  /** What it said so far. */
  get output(): string {
    return this.#program.output;
  }

  /** Kills it, as a crash would. */
  async kill(): Promise<void> {
    this.#program.signal('SIGKILL');
    await this.#program.exited;
  }

  /** The SDP that it answers a command with. @throws when it refuses, with its reply */
  async sdpOf(command: Record<string, NgValue>): Promise<string> {
    const reply = await this.#ask(command);
    const [, length = '', rest = ''] = /3:sdp(\d+):([\s\S]*)$/u.exec(reply) ?? [];
    return rest.slice(0, Number(length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#program.stop();
  }

  async #ask(command: Record<string, NgValue>): Promise<string> {
    const cookie = String(++this.#cookie);
    // UDP, and the program may not listen yet: it knows a repeated cookie and answers as before.
    for (let attempt = 0; attempt < 50; attempt++) {
      this.#socket.send(`${cookie} ${bencode(command)}`, this.#control, '127.0.0.1');
      const [reply] = await once(this.#socket, 'message', { signal: AbortSignal.timeout(400) }).catch(
        () => [undefined] as [Buffer | undefined],
      );
      if (reply === undefined || !String(reply).startsWith(`${cookie} `)) continue;
      if (!String(reply).includes('6:result2:ok')) throw new Error(`rtpengine: ${String(reply)}`);
      return String(reply);
    }
    throw new Error(`rtpengine does not answer:\n${this.#program.output}`);
  }
}

function bencode(value: NgValue | Record<string, NgValue>): string {
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  if (Array.isArray(value)) return `l${value.map((each: string) => bencode(each)).join('')}e`;
  return `d${Object.entries(value as Record<string, NgValue>)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => bencode(key) + bencode(each))
    .join('')}e`;
}
