/** tshark as the judge of what was on the wire: a capture on the loopback interface, decoded by a program that is not ours. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { Program } from './program.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** What tshark found wrong with a packet. */
export interface ExpertInfo {
  frame: number;
  severity: 'note' | 'warning' | 'error';
  protocol: string;
  message: string;
}

/** One RTP stream (same addresses, ports and SSRC), as tshark's stream analysis counts it. */
export interface RtpStream {
  source: { address: string; port: number };
  destination: { address: string; port: number };
  ssrc: string;
  payload: string;
  packets: number;
  lost: number;
  maxDeltaMs: number;
  maxJitterMs: number;
  /** tshark's own word on it: "X" when sequence, timestamps or marker are wrong. */
  problems: string;
}

/** A packet's fields, as tshark names them (`sip.Method`, `rtp.seq`, `rtpevent.event_id`, ...). */
export type Fields = Record<string, string>;

const tshark = async (args: readonly string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)('tshark', args, {
    maxBuffer: 256 * 1024 * 1024,
    encoding: 'utf8',
  });
  return stdout;
};

/** A capture of the loopback interface, from `start` until `stop`. */
export class Capture implements AsyncDisposable {
  readonly file: string;
  readonly #program: Program;
  readonly #folder: TemporaryFolder;
  readonly #probe: Probe;

  private constructor(program: Program, folder: TemporaryFolder, file: string, probe: Probe) {
    this.#probe = probe;
    this.#program = program;
    this.#folder = folder;
    this.file = file;
  }

  /**
   * Resolves when packets are being captured.
   *
   * @param filter a capture filter, e.g. `udp port 5060 or udp portrange 20000-20099`
   */
  static async start(filter: string): Promise<Capture> {
    const folder = await temporaryFolder('tshark');
    const file = join(folder.path, 'capture.pcap');
    const probe = await Probe.open();
    try {
      const { port } = probe;
      // dumpcap writes what tshark would only decode: it loses no packet while the machine is busy.
      const args = ['-i', 'lo', '-q', '-P', '-w', file, '-f', `(${filter}) or udp port ${port}`];
      const program = await Program.start('dumpcap', args);
      // It says that it captures a little before it does: a packet of our own in the file is the proof.
      await probe.arrivesIn(file, program);
      return new Capture(program, folder, file, probe);
    } catch (error) {
      probe.close();
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends the capture; the file is complete when this resolves. Only then is there anything to decode. */
  async stop(): Promise<void> {
    if (this.#program.ended) return;
    // What the kernel still holds at the signal is lost: a last packet of our own comes after everybody's.
    await this.#probe.arrivesIn(this.file, this.#program);
    this.#probe.close();
    this.#program.signal('SIGINT');
    await this.#program.exited;
  }

  /** Packets that match a display filter, each with the fields asked for. */
  async packets(
    displayFilter: string,
    fields: readonly string[],
    decodeAs: readonly string[] = [],
  ): Promise<Fields[]> {
    const out = await tshark([
      ...this.#reading(decodeAs),
      '-Y',
      displayFilter,
      '-T',
      'fields',
      '-E',
      'separator=/t',
      '-E',
      'occurrence=f',
      ...fields.flatMap((field) => ['-e', field]),
    ]);
    return rowsOf(out).map((row) => {
      const values = row.split('\t');
      return Object.fromEntries(fields.map((field, index) => [field, values[index] ?? '']));
    });
  }

  /** Malformed packets, warnings and errors, of the protocols that we speak. Empty is what a test expects. */
  async complaints(decodeAs: readonly string[] = []): Promise<ExpertInfo[]> {
    const rows = await this.packets(
      '(sip or sdp or rtp or rtpevent or rtcp) and (_ws.malformed or _ws.expert.severity >= "Warning")',
      ['frame.number', '_ws.expert.severity', 'frame.protocols', '_ws.expert.message'],
      decodeAs,
    );
    return rows.map((row) => ({
      frame: Number(row['frame.number']),
      severity: Number(row['_ws.expert.severity']) >= 0x0080_0000 ? 'error' : 'warning',
      protocol: row['frame.protocols']?.split(':').at(-1) ?? '',
      message: row['_ws.expert.message'] ?? '',
    }));
  }

  /** The RTP streams, as tshark's own analysis (`-z rtp,streams`) sees them. */
  async rtpStreams(decodeAs: readonly string[] = []): Promise<RtpStream[]> {
    return rtpStreamsIn(this.file, decodeAs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#program.ended) this.#probe.close();
    await this.#program.stop();
    await this.#folder[Symbol.asyncDispose]();
  }

  #reading(decodeAs: readonly string[]): string[] {
    return reading(this.file, decodeAs);
  }
}

function reading(file: string, decodeAs: readonly string[]): string[] {
  // The RTP of a call whose SDP was not captured is guessed from its form.
  const guess = ['-o', 'rtp.heuristic_rtp:TRUE'];
  // Our ports are chosen at random: one that is registered for another protocol would hide the SIP on it, and with it the SDP.
  const byForm = ['udp', 'tcp'].flatMap((transport) => ['-o', `${transport}.try_heuristic_first:TRUE`]);
  return ['-n', '-r', file, ...guess, ...byForm, ...decodeAs.flatMap((rule) => ['-d', rule])];
}

/** The RTP streams of a capture file, as tshark's own analysis sees them. */
export async function rtpStreamsIn(file: string, decodeAs: readonly string[] = []): Promise<RtpStream[]> {
  const out = await tshark([...reading(file, decodeAs), '-q', '-z', 'rtp,streams']);
  return rowsOf(out).flatMap((row) => streamOf(row) ?? []);
}

/** A packet of our own that the capture must show. */
class Probe {
  readonly port: number;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    ({ port: this.port } = socket.address());
  }

  static async open(): Promise<Probe> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Probe(socket);
  }

  async arrivesIn(file: string, program: Program): Promise<void> {
    // Words, so that no dissector that goes by form takes it for RTP or the like.
    const word = `tacet was here: ${randomUUID()}`;
    await program.until(
      async () => {
        this.#socket.send(word, this.port, '127.0.0.1');
        const captured = await readFile(file).catch(() => Buffer.alloc(0));
        return captured.includes(word) ? true : undefined;
      },
      10_000,
      'captured packet of our own',
    );
  }

  close(): void {
    this.#socket.close();
  }
}

const rowsOf = (text: string): string[] => text.split('\n').filter((row) => row.trim() !== '');

function streamOf(row: string): RtpStream | undefined {
  const match =
    /^\s*[\d.]+\s+[\d.]+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(0x[0-9A-F]+)\s+(.+?)\s+(\d+)\s+(-?\d+) \(-?[\d.]+%\)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*(X?)\s*$/u.exec(
      row,
    );
  if (match === null) return undefined;
  const [, from = '', fromPort, to = '', toPort, ssrc = '', payload = '', packets, lost] = match;
  return {
    source: { address: from, port: Number(fromPort) },
    destination: { address: to, port: Number(toPort) },
    ssrc,
    payload,
    packets: Number(packets),
    lost: Number(lost),
    maxDeltaMs: Number(match[11]),
    maxJitterMs: Number(match[14]),
    problems: match[15] ?? '',
  };
}
