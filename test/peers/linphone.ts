/** linphonec as an office telephone without sound hardware: two calls at once, holds, attended transfers. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, freePortRange } from './free-port.ts';
import { Program } from './program.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface LinphoneOptions {
  /** User part of its address. */
  user: string;
  /** A sound file that it says in each call; silence follows. */
  speech: string;
}

/** A telephone at `uri` that picks up by itself. Its calls are numbered from 1. */
export class Linphone implements AsyncDisposable {
  readonly port: number;
  readonly uri: string;
  readonly #program: Program;
  readonly #folder: TemporaryFolder;

  private constructor(program: Program, folder: TemporaryFolder, port: number, user: string) {
    this.#program = program;
    this.#folder = folder;
    this.port = port;
    this.uri = `sip:${user}@127.0.0.1:${port}`;
  }

  static async start({ user, speech }: LinphoneOptions): Promise<Linphone> {
    const folder = await temporaryFolder('linphone');
    const port = await freePort();
    try {
      // Without the folder of its database it starts no SIP at all.
      await mkdir(join(folder.path, '.local', 'share', 'linphone'), { recursive: true });
      await writeFile(join(folder.path, 'rc'), await configuration(user, port));
      const program = await Program.start('linphonec', ['-S', '-a', '-c', 'rc'], {
        cwd: folder.path,
        env: { HOME: folder.path },
      });
      const phone = new Linphone(program, folder, port, user);
      await phone.command('soundcard use files', /Using wav files/u);
      phone.#program.write(`play ${speech}\n`);
      return phone;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Types a command; resolves when what it printed from then on matches. */
  async command(line: string, until: RegExp, timeoutMs = 15_000): Promise<void> {
    const before = this.#program.stdout.length;
    this.#program.write(`${line}\n`);
    await this.#program.until(
      () => until.exec(this.#program.stdout.slice(before)) ?? undefined,
      timeoutMs,
      `${until} after "${line}"`,
    );
  }

  /** Waits until its output, also what it printed before, matches. */
  async printed(pattern: RegExp, timeoutMs = 15_000): Promise<void> {
    await this.#program.printed(pattern, timeoutMs);
  }

  /** Presses a key, as an RFC 4733 event. */
  press(key: string): void {
    this.#program.write(`${key}\n`);
  }

  get output(): string {
    return this.#program.output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Loopback and IPv4 alone; it thinks that there is a network, whatever the machine has. A-law first. */
async function configuration(user: string, port: number): Promise<string> {
  const rtp = await freePortRange(16);
  const codecs = ['PCMA/8000', 'opus/48000/2', 'speex/16000', 'speex/8000', 'G729/8000'];
  return [
    '[sip]',
    `sip_port=${port}`,
    'sip_tcp_port=-2',
    'sip_tls_port=-2',
    'bind_address=127.0.0.1',
    'auto_net_state_mon=0',
    'default_proxy=-1',
    `contact="${user}" <sip:${user}@127.0.0.1>`,
    'use_info=0',
    'use_rfc2833=1',
    'guess_hostname=0',
    'ipv6_migration_done=1',
    'use_ipv6=0',
    '[rtp]',
    `audio_rtp_port=${rtp.min}-${rtp.max}`,
    'bind_address=127.0.0.1',
    ...codecs.flatMap((codec, index) => {
      const [mime, rate, channels = '1'] = codec.split('/');
      const enabled = mime === 'PCMA' ? 1 : 0;
      return [
        `[audio_codec_${index}]`,
        `mime=${mime}`,
        `rate=${rate}`,
        `channels=${channels}`,
        `enabled=${enabled}`,
      ];
    }),
    '',
  ].join('\n');
}
