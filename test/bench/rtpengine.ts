/** rtpengine (Debian's) as a bench knows it: one thread, userspace only, one offer and answer a call. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { freePort } from '../peers/free-port.ts';
import type { Program } from '../peers/program.ts';
import { answeredPort, offerOf } from './sdp.ts';
import { relayCore, startOn } from './rtp-load.ts';

type Command = Record<string, string | string[]>;

export class Rtpengine implements AsyncDisposable {
  readonly #program: Program;
  readonly #socket: Socket;
  readonly #control: number;
  #cookie = 0;

  private constructor(program: Program, control: number, socket: Socket) {
    this.#program = program;
    this.#control = control;
    this.#socket = socket;
  }

  /** @param folder where recordings (pcap) go */
  static async start(folder: string): Promise<Rtpengine> {
    const control = await freePort();
    const cli = await freePort();
    const program = await startOn(
      relayCore,
      'rtpengine',
      [
        '--foreground',
        '--table=-1',
        '--interface=127.0.0.1',
        `--listen-ng=127.0.0.1:${control}`,
        `--listen-cli=127.0.0.1:${cli}`,
        // Tacet's are below.
        '--port-min=27000',
        '--port-max=31999',
        '--log-stderr',
        '--log-level=3',
        '--num-threads=1',
        '--recording-method=pcap',
        '--recording-format=eth',
        `--recording-dir=${folder}`,
      ],
      { cwd: folder },
    );
    return new Rtpengine(program, control, createSocket('udp4'));
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** Puts telephones two by two through it. @returns where each must send */
  async anchor(ports: readonly number[], record: boolean): Promise<number[]> {
    const targets: number[] = [];
    for (let at = 0; at + 1 < ports.length; at += 2) {
      const call = { 'call-id': `bench-${at}`, 'from-tag': 'a' };
      const ids = { ...call, flags: ['trust-address'], ICE: 'remove' };
      const offer = await this.#ask({ command: 'offer', ...ids, sdp: offerOf(ports[at]!) });
      const answer = await this.#ask({
        command: 'answer',
        ...ids,
        'to-tag': 'b',
        sdp: offerOf(ports[at + 1]!),
      });
      if (record) await this.#ask({ command: 'start recording', ...call });
      targets.push(answeredPort(answer), answeredPort(offer));
    }
    return targets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#program.stop();
  }

  async #ask(command: Command): Promise<string> {
    const cookie = String(++this.#cookie);
    for (let attempt = 0; attempt < 50; attempt++) {
      this.#socket.send(`${cookie} ${bencode(command)}`, this.#control, '127.0.0.1');
      const [reply] = await once(this.#socket, 'message', { signal: AbortSignal.timeout(200) }).catch(
        () => [undefined] as [Buffer | undefined],
      );
      if (reply === undefined || !String(reply).startsWith(`${cookie} `)) continue;
      if (!String(reply).includes('6:result2:ok')) throw new Error(`rtpengine: ${String(reply)}`);
      return String(reply);
    }
    throw new Error(`rtpengine does not answer:\n${this.#program.output}`);
  }
}

function bencode(value: string | string[] | Command): string {
  if (typeof value === 'string') return `${Buffer.byteLength(value)}:${value}`;
  if (Array.isArray(value)) return `l${value.map(bencode).join('')}e`;
  return `d${Object.keys(value)
    .sort()
    .map((key) => bencode(key) + bencode(value[key]!))
    .join('')}e`;
}
