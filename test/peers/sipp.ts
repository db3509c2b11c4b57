/**
 * SIPp as the carrier or as the PBX: a scenario of this folder, run by the real program on free ports, its messages,
 * errors and statistics read afterwards.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { callAudio, pcapFile, type RtpFrame } from './pcap.ts';
import { hostPort } from '../../agent/sip/server/uri.ts';
import { freePort, freePortRange } from './free-port.ts';
import { Program } from './program.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export type CallerScenario =
  | 'caller-call'
  | 'caller-waits-for-bye'
  | 'caller-cancels'
  | 'caller-is-rejected'
  | 'caller-holds'
  | 'caller-reinvites-again-after-488'
  | 'caller-reinvites-without-sdp'
  | 'caller-offers-late'
  | 'caller-sends-info'
  | 'caller-identifies'
  | 'caller-comes-back'
  | 'caller-calls-for-help'
  | 'caller-asks-options';

export type PbxScenario =
  | 'pbx-answers'
  | 'pbx-hangs-up'
  | 'pbx-holds'
  | 'pbx-rejects'
  | 'pbx-is-busy'
  | 'pbx-never-answers'
  | 'pbx-early-media'
  | 'pbx-rejects-first-reinvite'
  | 'pbx-identifies'
  | 'pbx-checks-password'
  | 'pbx-challenges'
  | 'pbx-challenges-again'
  | 'pbx-redirects'
  | 'pbx-answers-options';

/** What the scenarios read as keys; each has a default. */
export interface SippKeys {
  caller?: string;
  ring_ms?: number;
  talk_ms?: number;
  hold_ms?: number;
  hold_direction?: 'sendonly' | 'inactive';
  answer_direction?: 'sendrecv' | 'recvonly' | 'inactive';
  status?: string;
  digit?: string;
  /** X-Tacet-Pass of a call that comes back. */
  token?: string;
  /** `user@host:port` that a 302 leads to. */
  redirect?: string;
}

/** A payload format to offer or answer with: its number and its rtpmap (RFC 8866 section 6.6). */
export interface Format {
  type: number;
  name: string;
}

export const pcma: Format = { type: 8, name: 'PCMA/8000' };
export const pcmu: Format = { type: 0, name: 'PCMU/8000' };
export const telephoneEvent = (type = 101): Format => ({ type, name: 'telephone-event/8000' });

export interface SippOptions {
  /** A scenario of this folder, one that is built into SIPp, or one put together by `Scenario`. */
  scenario: CallerScenario | PbxScenario | { builtIn: 'uac' | 'uas' } | { xml: string };
  /** Where a caller's calls go; left out for a PBX. */
  target?: { address?: string; port: number };
  /** Called number, the user part of the request URI. */
  service?: string;
  keys?: SippKeys;
  /** Payload formats in the SDP, in order of preference. PCMA and telephone-event 101 by default. */
  formats?: readonly Format[];
  /** What is played; three seconds of silence by default. */
  audio?: readonly RtpFrame[];
  /** Calls after which SIPp ends; a caller makes one by default, a PBX goes on until it is stopped. */
  calls?: number;
  /** New calls a second, and how many at once. */
  rate?: number;
  limit?: number;
  address?: string;
  port?: number;
  /** UDP where left out; TCP: one connection for all calls. */
  transport?: 'udp' | 'tcp';
  /** First RTP port; each further call takes the fourth after it. */
  mediaPort?: number;
  /** Sends every RTP packet of the first call back to where it came from. */
  rtpEcho?: boolean;
  /** Keeps no log of messages: at hundreds of calls a second, writing it would be most of SIPp's work. */
  quiet?: boolean;
  /** A run that is longer than this has failed. */
  timeoutMs?: number;
  /** Further arguments for SIPp itself. */
  args?: readonly string[];
}

export interface SipMessage {
  direction: 'sent' | 'received';
  startLine: string;
  text: string;
}

export interface SippResult {
  /** 0: all calls succeeded; 1: at least one failed; 99: no call; 255: a fatal error. */
  exitCode: number;
  successful: number;
  failed: number;
  retransmissions: number;
  messages: SipMessage[];
  errors: string;
  /** Everything that SIPp wrote, for the message of a failed expectation. */
  output: string;
}

/** A running SIPp. `finished` reads its result; disposing of it ends it and removes its files. */
export class Sipp implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly mediaPort: number;
  readonly #program: Program;
  readonly #folder: TemporaryFolder;

  private constructor(
    program: Program,
    folder: TemporaryFolder,
    where: { address: string; port: number; mediaPort: number },
  ) {
    this.#program = program;
    this.#folder = folder;
    this.address = where.address;
    this.port = where.port;
    this.mediaPort = where.mediaPort;
  }

  /** Starts SIPp; resolves when its SIP port is bound, so that a PBX can be called at once. */
  static async start(options: SippOptions): Promise<Sipp> {
    const address = options.address ?? '127.0.0.1';
    const port = options.port ?? (await freePort(address));
    const simultaneous = options.limit ?? options.calls ?? 8;
    const mediaPort =
      options.mediaPort ?? (await freePortRange(Math.min(4 * simultaneous, 256), address)).min;
    const folder = await temporaryFolder('sipp');
    try {
      const args = await scenarioArguments(options, folder.path);
      args.push('-i', address, '-p', `${port}`, '-mi', address, '-mp', `${mediaPort}`);
      // The remote control port is fixed (8888) unless told otherwise, and a run that cannot have it warns. It is IPv4.
      const control = isIPv6(address) ? '127.0.0.1' : address;
      args.push('-ci', control, '-cp', `${await freePort(control)}`);
      // A SIPp that does not get the processor for half a second loses no message: it takes an ACK that was lost badly.
      args.push('-nostdin', '-buff_size', '1048576');
      if (options.quiet !== true) args.push('-trace_msg', '-message_file', 'messages.log');
      args.push(
        '-trace_err',
        '-error_file',
        'errors.log',
        '-trace_stat',
        '-stf',
        'statistics.csv',
        '-fd',
        '1',
      );
      args.push('-timeout', `${options.timeoutMs ?? 30_000}ms`, '-timeout_error', '-bind_local');
      const calls = options.calls ?? (options.target === undefined ? undefined : 1);
      if (calls !== undefined) args.push('-m', `${calls}`);
      if (options.rate !== undefined) args.push('-r', `${options.rate}`);
      if (options.limit !== undefined) args.push('-l', `${options.limit}`);
      if (options.service !== undefined) args.push('-s', options.service);
      if (options.transport === 'tcp') args.push('-t', 't1');
      if (options.rtpEcho === true) args.push('-rtp_echo');
      args.push(...(options.args ?? []));
      if (options.target !== undefined) {
        args.push(hostPort(options.target.address ?? '127.0.0.1', options.target.port));
      }
      const program = await Program.start('sipp', args, { cwd: folder.path, env: { TERM: 'dumb' } });
      const sipp = new Sipp(program, folder, { address, port, mediaPort });
      await program.until(
        async () => (program.ended || (await isBound(port, options)) ? true : undefined),
        10_000,
        `SIP port ${port}`,
      );
      return sipp;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Messages so far. */
  async messages(): Promise<SipMessage[]> {
    return parseMessages(await readIfThere(join(this.#folder.path, 'messages.log')));
  }

  /** Waits until a message of which the text matches was sent or received, or so many. Gives the last of them. */
  async saw(pattern: RegExp, times = 1, timeoutMs = 10_000): Promise<SipMessage> {
    return this.#program.until(
      async () => (await this.messages()).filter((message) => pattern.test(message.text))[times - 1],
      timeoutMs,
      `${times} messages ${pattern}`,
    );
  }

  /** Waits until SIPp ends by itself (its calls are done, or its time is up). */
  async finished(): Promise<SippResult> {
    const exit = await this.#program.exited;
    const read = (name: string): Promise<string> => readIfThere(join(this.#folder.path, name));
    const statistics = lastRow(await read('statistics.csv'));
    return {
      exitCode: exit.code ?? 255,
      successful: Number(statistics.get('SuccessfulCall(C)') ?? 0),
      failed: Number(statistics.get('FailedCall(C)') ?? 0),
      retransmissions: Number(statistics.get('Retransmissions(C)') ?? 0),
      messages: await this.messages(),
      errors: await read('errors.log'),
      output: this.#program.output,
    };
  }

  /** SIGSTOP: its port stays open, nothing is answered until it is thawed. */
  freeze(): void {
    this.#program.signal('SIGSTOP');
  }

  thaw(): void {
    this.#program.signal('SIGCONT');
  }

  /** Takes no new calls, lets running ones finish (SIGUSR1), then reads the result. */
  async quit(): Promise<SippResult> {
    this.#program.signal('SIGUSR1');
    return this.finished();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Runs a caller to its end. */
export async function runSipp(options: SippOptions): Promise<SippResult> {
  await using sipp = await Sipp.start(options);
  return await sipp.finished();
}

async function scenarioArguments(options: SippOptions, folder: string): Promise<string[]> {
  const formats = options.formats ?? [pcma, telephoneEvent()];
  const defaults: Required<SippKeys> = {
    caller: '+33199000001',
    ring_ms: 100,
    talk_ms: 500,
    hold_ms: 300,
    hold_direction: 'sendonly',
    answer_direction: 'sendrecv',
    status: '486 Busy Here',
    digit: '2',
    token: 'none',
    redirect: 'nobody@127.0.0.1',
  };
  const keys: Record<string, string | number> = {
    ...defaults,
    ...options.keys,
    payload_types: formats.map(({ type }) => type).join(' '),
    rtpmaps: formats.map(({ type, name }) => `a=rtpmap:${type} ${name}`).join('\r\n'),
  };
  // A pause of 0 ms is now and then forgotten by SIPp's scheduler for up to a second (seen once in 60 calls).
  const args = Object.entries(keys).flatMap(([key, value]) => ['-key', key, `${value === 0 ? 1 : value}`]);
  const { scenario: wanted } = options;
  if (typeof wanted === 'object' && 'builtIn' in wanted) return [...args, '-sn', wanted.builtIn];
  const scenario = join(folder, 'scenario.xml');
  const source =
    typeof wanted === 'object'
      ? wanted.xml
      : await readFile(new URL(`scenarios/${wanted}.xml`, import.meta.url), 'utf8');
  // SIPp reads the status of a response when it loads the scenario, before it knows any key.
  await writeFile(scenario, source.replaceAll('SIP/2.0 [status]', `SIP/2.0 ${keys['status']!}`));
  await writeFile(join(folder, 'audio.pcap'), pcapFile(options.audio ?? callAudio({ durationMs: 3_000 })));
  return [...args, '-sf', scenario];
}

/** Each message stands after a line of dashes and "UDP message sent|received [length] bytes:". */
function parseMessages(log: string): SipMessage[] {
  const messages: SipMessage[] = [];
  const pattern = /^(?:UDP|TCP) message (sent|received)[^\n]*\n\n([^]*?)(?=\n-{20,}|(?![^]))/gmu;
  for (const [, direction, text] of log.matchAll(pattern)) {
    const [startLine = ''] = text!.split(/\r?\n/u);
    messages.push({ direction: direction === 'sent' ? 'sent' : 'received', startLine, text: text! });
  }
  return messages;
}

function lastRow(csv: string): Map<string, string> {
  const lines = csv.trim().split('\n');
  const names = lines[0]?.split(';') ?? [];
  const values = lines.at(-1)?.split(';') ?? [];
  return new Map(names.map((name, index) => [name, values[index] ?? '']));
}

/** A caller on TCP binds no port that others could see. */
async function isBound(port: number, { transport = 'udp', target, address }: SippOptions): Promise<boolean> {
  if (transport === 'tcp' && target !== undefined) return true;
  const table = `${transport}${address !== undefined && isIPv6(address) ? '6' : ''}`;
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]{8,32}:${hex} `, 'mu').test(
    await readFile(`/proc/net/${table}`, 'utf8'),
  );
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
