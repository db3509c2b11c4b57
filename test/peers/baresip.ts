/** baresip as a person's telephone with real audio: what it said and what it heard is in sound files afterwards. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, freePortRange } from './free-port.ts';
import { Program } from './program.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface PhoneOptions {
  /** User part of its address. */
  user: string;
  /** A sound file that it says, once; silence follows. */
  speech: string;
  /** Length of what it can say, silence included: baresip ends a call whose sound has ended. */
  lastsMs?: number;
  /** Silence before it speaks. */
  waitsMs?: number;
  codec?: 'pcma' | 'pcmu' | 'opus';
  /** Keys in SDP: `wished` offers them under RTP/AVP, `demanded` takes no call without. */
  srtp?: 'wished' | 'demanded';
  /** Picks up by itself. */
  answers?: 'auto' | 'manual';
}

/** An event as baresip tells it: `CALL_RINGING`, `CALL_ESTABLISHED`, `CALL_CLOSED`, `CALL_DTMF_START`, ... */
export interface PhoneEvent {
  type: string;
  param: string | undefined;
}

/** As baresip calls them, and the samples a millisecond of its sound files. */
const codecs = {
  pcma: { name: 'pcma', samplesPerMs: 8 },
  pcmu: { name: 'pcmu', samplesPerMs: 8 },
  opus: { name: 'opus/48000/2', samplesPerMs: 96 },
};
const encryption = { none: '', wished: ';mediaenc=srtp', demanded: ';mediaenc=srtp-mand' };
const modules = '/usr/lib/baresip/modules';

/** A telephone at `uri`. Its control connection dials, presses, holds and hangs up; its sound files are read at the end. */
export class Phone implements AsyncDisposable {
  readonly port: number;
  readonly uri: string;
  readonly events: PhoneEvent[] = [];
  readonly #folder: TemporaryFolder;
  readonly #samplesPerMs: number;
  readonly #program: Program;
  readonly #control: Socket;
  readonly #replies = new Map<string, (reply: { ok: boolean; data: string }) => void>();
  #commands = 0;
  #unread = Buffer.alloc(0);

  private constructor(
    program: Program,
    control: Socket,
    folder: TemporaryFolder,
    port: number,
    { user, codec = 'pcma' }: PhoneOptions,
  ) {
    this.#program = program;
    this.#control = control;
    this.#folder = folder;
    this.#samplesPerMs = codecs[codec].samplesPerMs;
    this.port = port;
    this.uri = `sip:${user}@127.0.0.1:${port}`;
    control.on('data', (bytes) => this.#read(bytes));
    // It resets the connection when it is told to quit.
    control.on('error', () => undefined);
  }

  static async start(options: PhoneOptions): Promise<Phone> {
    const folder = await temporaryFolder('baresip');
    // It also listens for TLS on the port after its own.
    const { min: port } = await freePortRange(2);
    const controlPort = await freePort();
    let program: Program | undefined;
    try {
      await prepare(folder.path, options, port, controlPort);
      program = await Program.start('baresip', ['-f', folder.path]);
      await program.printed(/baresip is ready/u);
      const control = connect(controlPort, '127.0.0.1');
      await once(control, 'connect');
      return new Phone(program, control, folder, port, options);
    } catch (error) {
      await program?.stop();
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Calls; resolves when the call was placed, not when it is answered (see `saw`). */
  async dial(uri: string): Promise<void> {
    await this.command('dial', uri);
  }

  async pickUp(): Promise<void> {
    await this.command('accept');
  }

  async hangUp(): Promise<void> {
    await this.command('hangup');
  }

  /** Presses keys one after another, as RFC 4733 events. */
  async press(keys: string): Promise<void> {
    await this.command('sndcode', keys);
  }

  async hold(): Promise<void> {
    await this.command('hold');
  }

  async resume(): Promise<void> {
    await this.command('resume');
  }

  /** A command of baresip's menu, by its long name. @throws when baresip does not know it */
  async command(command: string, params?: string): Promise<string> {
    this.#commands += 1;
    const token = `${this.#commands}`;
    const reply = new Promise<{ ok: boolean; data: string }>((resolve) => this.#replies.set(token, resolve));
    const json = JSON.stringify({ command, ...(params === undefined ? {} : { params }), token });
    this.#control.write(`${Buffer.byteLength(json)}:${json},`);
    const { ok, data } = await reply;
    if (!ok) throw new Error(`baresip: ${command} ${params ?? ''}: ${data}`);
    return data;
  }

  /** Waits until an event of this type has come, also before. */
  async saw(type: string, timeoutMs = 10_000): Promise<PhoneEvent> {
    return this.#program.until(
      () => this.events.find((event) => event.type === type),
      timeoutMs,
      `${type} (so far: ${this.events.map((event) => event.type).join(' ')})`,
    );
  }

  /** What this telephone sent in its last call, before coding. Complete when the call is over. */
  said(): Promise<string> {
    return this.#dump('enc');
  }

  /** What this telephone heard in its last call, after decoding. Complete when the call is over. */
  heard(): Promise<string> {
    return this.#dump('dec');
  }

  /** Waits until so much of what it heard is in its sound file. */
  async heardFor(ms: number, timeoutMs = ms + 10_000): Promise<void> {
    const header = 44;
    await this.#program.until(
      async () => {
        // There is no file before the first packet.
        const size = await this.heard().then(
          async (file) => (await stat(file)).size,
          () => 0,
        );
        return size - header >= 2 * ms * this.#samplesPerMs ? true : undefined;
      },
      timeoutMs,
      `${ms} ms of sound`,
    );
  }

  get output(): string {
    return this.#program.output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#control.destroy();
    await this.#program.stop();
    await this.#folder[Symbol.asyncDispose]();
  }

  async #dump(kind: 'enc' | 'dec'): Promise<string> {
    const sounds = join(this.#folder.path, 'sounds');
    const names = (await readdir(sounds)).filter((name) => name.endsWith(`-${kind}.wav`)).sort();
    const last = names.at(-1);
    if (last === undefined) throw new Error(`no ${kind} sound in ${sounds}: ${names.join(' ')}`);
    return join(sounds, last);
  }

  /** Control messages are JSON in netstrings: `LENGTH:JSON,`. */
  #read(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const colon = this.#unread.indexOf(':');
      if (colon < 0) return;
      const length = Number(this.#unread.toString('latin1', 0, colon));
      const end = colon + 1 + length;
      if (this.#unread.length <= end) return;
      const message = JSON.parse(this.#unread.toString('utf8', colon + 1, end)) as ControlMessage;
      this.#unread = this.#unread.subarray(end + 1);
      if (message.event === true) {
        this.events.push({ type: message.type ?? '', param: message.param });
      } else if (message.token !== undefined) {
        this.#replies.get(message.token)?.({ ok: message.ok === true, data: message.data ?? '' });
        this.#replies.delete(message.token);
      }
    }
  }
}

interface ControlMessage {
  event?: boolean;
  type?: string;
  param?: string;
  token?: string;
  ok?: boolean;
  data?: string;
}

async function prepare(
  folder: string,
  options: PhoneOptions,
  port: number,
  controlPort: number,
): Promise<void> {
  const sounds = join(folder, 'sounds');
  await mkdir(sounds);
  const source = join(folder, 'source.wav');
  const lastsMs = options.lastsMs ?? 60_000;
  await promisify(execFile)('sox', [
    ...[options.speech, '-r', '8000', '-c', '1', '-b', '16', source],
    ...['pad', `${(options.waitsMs ?? 0) / 1_000}`, `${lastsMs / 1_000}`, 'trim', '0', `${lastsMs / 1_000}`],
  ]);
  const rtp = await freePortRange(8);
  const uses = ['g711', 'aufile', 'aubridge', 'sndfile', 'stdio', 'auconv', 'auresamp'];
  if (options.srtp !== undefined) uses.push('srtp');
  if (options.codec === 'opus') uses.push('opus');
  const config = [
    `sip_listen 127.0.0.1:${port}`,
    // By address: its look-up by name passes over the loopback interface on some kernels.
    'net_interface 127.0.0.1',
    'audio_player aubridge,nil',
    `audio_source aufile,${source}`,
    'audio_alert aubridge,nil',
    'ausrc_srate 8000',
    'auplay_srate 8000',
    'ausrc_channels 1',
    'auplay_channels 1',
    `rtp_ports ${rtp.min}-${rtp.max}`,
    `module_path ${modules}`,
    ...uses.map((name) => `module ${name}.so`),
    'module_tmp account.so',
    'module_app menu.so',
    'module_app ctrl_tcp.so',
    `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
    `snd_path ${sounds}`,
  ];
  const account = `<sip:${options.user}@127.0.0.1:${port}>;regint=0;answermode=${options.answers ?? 'manual'};audio_codecs=${codecs[options.codec ?? 'pcma'].name}${encryption[options.srtp ?? 'none']}`;
  await writeFile(join(folder, 'config'), `${config.join('\n')}\n`);
  await writeFile(join(folder, 'accounts'), `${account}\n`);
  await writeFile(join(folder, 'contacts'), '');
}
