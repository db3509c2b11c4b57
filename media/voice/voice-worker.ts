/** The thread that listens to voices: neither a call's set-up nor a packet waits for it. */
import { parentPort, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../config/errors.ts';
import type { CodecName } from '../codec/formats.ts';
import { decodePcma, decodePcmu } from '../codec/g711.ts';
import { G722Decoder } from '../codec/g722.ts';
import type { SaidAudio } from '../plane.ts';
import { AnySpeech } from './any-speech.ts';
import type { VoiceOrder, VoiceReport } from './messages.ts';
import { loadSpeechModel } from './model.ts';

const main = parentPort!;
const report = (said: VoiceReport): void => main.postMessage(said);
const listeners = new Map<number, { speech: AnySpeech; audio: MessagePort }>();

try {
  const model = await loadSpeechModel();
  main.on('message', (order: VoiceOrder) => {
    const listener = listeners.get(order.id);
    switch (order.do) {
      case 'listen': {
        const speech = new AnySpeech(model);
        listeners.set(order.id, { speech, audio: order.audio });
        listen(order.id, speech, order.audio);
        return;
      }
      case 'plays':
        listener?.speech.plays(asFractions(decodePcma(order.prompt)));
        return;
      case 'leave':
        listener?.audio.close();
        listeners.delete(order.id);
    }
  });
  report({ tell: 'ready' });
} catch (error) {
  report({ tell: 'unusable', reason: messageOf(error) });
}

function listen(id: number, speech: AnySpeech, audio: MessagePort): void {
  const wideband = new G722Decoder();
  audio.on('message', ({ codec, payload, at }: SaidAudio) => {
    const samples = decode(codec, payload, wideband);
    const heard = samples === undefined ? undefined : speech.hear(samples, at);
    if (heard !== undefined) report({ tell: 'speech', id, ...heard });
  });
}

/** At 8 kHz; undefined in a codec in which nobody is understood here. */
function decode(codec: CodecName, payload: Uint8Array, wideband: G722Decoder): Float32Array | undefined {
  switch (codec) {
    case 'PCMA':
      return asFractions(decodePcma(payload));
    case 'PCMU':
      return asFractions(decodePcmu(payload));
    case 'G722': {
      const twice = wideband.decode(payload);
      return Float32Array.from(
        { length: twice.length >> 1 },
        (_, at) => (twice[2 * at]! + twice[2 * at + 1]!) / 65_536,
      );
    }
    case 'OPUS':
    case 'G729':
      return undefined;
  }
}

function asFractions(samples: Int16Array): Float32Array {
  return Float32Array.from(samples, (sample) => sample / 32_768);
}
