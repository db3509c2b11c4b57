/** Speech that is made for a measurement: what people say on the telephone, by synthesisers from Debian, as 8 kHz through A-law. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Language = 'fr' | 'en' | 'es' | 'ar';

export interface Voice {
  engine: 'espeak-ng' | 'flite' | 'festival';
  language: Language;
  name: string;
  /** Words a minute against the engine's own pace. */
  pace?: number;
  /** 0 to 99, of espeak-ng alone. */
  pitch?: number;
}

/** The telephone's band. */
const telephone = 'highpass=f=300,lowpass=f=3400';
/** A caller's loudest sample, a third of what fits. */
const peak = 11_000;

/** What a voice says, as 16-bit samples at 8 kHz. @throws when the synthesiser is not installed or does not know the voice */
export async function speak(text: string, voice: Voice): Promise<Int16Array> {
  const folder = await mkdtemp(join(tmpdir(), 'tacet-speech-'));
  try {
    const wav = join(folder, 'said.wav');
    await synthesise(text, voice, wav);
    const raw = join(folder, 'said.raw');
    const filter = ['-af', telephone, '-ar', '8000', '-ac', '1', '-f', 's16le'];
    await run('ffmpeg', ['-loglevel', 'error', '-i', wav, ...filter, raw]);
    const bytes = await readFile(raw);
    const samples = new Int16Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~1)),
    );
    const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
    return samples.map((sample) => Math.round((sample * peak) / loudest));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function synthesise(
  text: string,
  { engine, name, pace = 1, pitch = 50 }: Voice,
  wav: string,
): Promise<void> {
  switch (engine) {
    case 'espeak-ng':
      await run('espeak-ng', [
        '-v',
        name,
        '-s',
        `${Math.round(165 * pace)}`,
        '-p',
        `${pitch}`,
        '-w',
        wav,
        text,
      ]);
      return;
    case 'flite':
      await run('flite', ['-voice', name, '--setf', `duration_stretch=${1 / pace}`, '-t', text, '-o', wav]);
      return;
    case 'festival': {
      const pending = run('text2wave', [
        '-eval',
        `(voice_${name})`,
        '-eval',
        `(Parameter.set 'Duration_Stretch ${1 / pace})`,
        '-o',
        wav,
      ]);
      pending.child.stdin?.end(text);
      await pending;
    }
  }
}
