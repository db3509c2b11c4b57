/** The thread that listens to voices: neither a call's set-up nor a packet waits for it. */
import { setImmediate as afterMessages } from 'node:timers/promises';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../config/errors.ts';
import type { Language } from '../../config/schema/values.ts';
import type { CodecName } from '../codec/formats.ts';
import { decodePcma, decodePcmu } from '../codec/g711.ts';
import { G722Decoder } from '../codec/g722.ts';
import { OpusStream } from '../codec/opus.ts';
import type { SaidAudio } from '../plane.ts';
import { AnySpeech } from './any-speech.ts';
import type { RecogniserPlace, VoiceOrder, VoiceReport } from './messages.ts';
import { loadSpeechModel } from './model.ts';
import { Recogniser } from './recogniser.ts';

const main = parentPort!;
const report = (said: VoiceReport): void => main.postMessage(said);
const place = workerData as RecogniserPlace | undefined;

interface Listener {
  speech: AnySpeech;
  audio: MessagePort;
  recogniser: Recogniser | undefined;
}

const listeners = new Map<number, Listener>();
/** Open before the first packet of the next call in Opus asks for it. */
let spareOpus: OpusStream | undefined;

/** @returns undefined for the millisecond in which several calls begin at once */
function takeOpus(): OpusStream | undefined {
  const taken = spareOpus;
  spareOpus = undefined;
  if (taken !== undefined) void openSpareOpus();
  return taken;
}

async function openSpareOpus(): Promise<void> {
  spareOpus = await OpusStream.open(8_000);
}

try {
  const [model] = await Promise.all([loadSpeechModel(), openSpareOpus()]);
  main.on('message', (order: VoiceOrder) => {
    const listener = listeners.get(order.id);
    switch (order.do) {
      case 'listen': {
        const recogniser = order.language === undefined ? undefined : recogniserFor(order.id, order.language);
        const opened = { speech: new AnySpeech(model), audio: order.audio, recogniser };
        listeners.set(order.id, opened);
        listen(order.id, opened);
        return;
      }
      case 'plays':
        listener?.speech.plays(asFractions(decodePcma(order.prompt)));
        listener?.recogniser?.opens();
        return;
      case 'told':
        listener?.recogniser?.told(order.at);
        return;
      case 'end':
        void hearOut(order.id, listener?.recogniser);
        return;
      case 'leave':
        listener?.audio.close();
        listener?.recogniser?.[Symbol.dispose]();
        listeners.delete(order.id);
    }
  });
  report({ tell: 'ready' });
} catch (error) {
  report({ tell: 'unusable', reason: messageOf(error) });
}

function listen(id: number, { speech, audio, recogniser }: Listener): void {
  const decode = decoder();
  audio.on('message', ({ codec, payload, at }: SaidAudio) => {
    const samples = decode(codec, payload);
    if (samples === undefined) return;
    recogniser?.hear(samples, at);
    if (recogniser?.minds(at) === false) return;
    const heard = speech.hear(asFractions(samples), at);
    if (heard === undefined) return;
    if (recogniser === undefined) report({ tell: 'speech', id, ...heard });
    else recogniser.speaks(heard);
  });
}

async function hearOut(id: number, recogniser: Recogniser | undefined): Promise<void> {
  // What the media plane sent before it was stopped lies in a queue of its own.
  await afterMessages();
  await recogniser?.end();
  report({ tell: 'heard-out', id });
}

function recogniserFor(id: number, language: Language): Recogniser | undefined {
  const servers = place?.servers.filter(({ languages }) => languages.includes(language)) ?? [];
  if (place === undefined || servers.length === 0) return undefined;
  return new Recogniser({
    servers: servers.map(({ url }) => url),
    words: place.words[language],
    onRefusal: (heard) => report({ tell: 'word', id, heard }),
    onSpeech: (heard) => report({ tell: 'speech', id, ...heard }),
    onFinal: (verdict) => report({ tell: 'final', verdict }),
    onFault: (server, fault, detail) => report({ tell: 'fault', server, fault, detail }),
  });
}

/** One party's audio at 8 kHz; undefined in a codec in which nobody is understood here. */
function decoder(): (codec: CodecName, payload: Uint8Array) => Int16Array | undefined {
  const wideband = new G722Decoder();
  let opus: OpusStream | undefined;
  return (codec, payload) => {
    switch (codec) {
      case 'PCMA':
        return decodePcma(payload);
      case 'PCMU':
        return decodePcmu(payload);
      case 'G722': {
        const twice = wideband.decode(payload);
        return Int16Array.from(
          { length: twice.length >> 1 },
          (_, at) => (twice[2 * at]! + twice[2 * at + 1]!) / 2,
        );
      }
      case 'OPUS':
        opus ??= takeOpus();
        return opus?.decode(payload);
      case 'G729':
        return undefined;
    }
  };
}

function asFractions(samples: Int16Array): Float32Array {
  return Float32Array.from(samples, (sample) => sample / 32_768);
}
