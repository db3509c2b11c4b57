/**
 * sherpa-onnx behind the protocol of Vosk's WebSocket server (`vosk.ts` is the other end): one connection a stream, each frame of audio
 * answered by exactly one. It is for this host alone, and its only client is the agent.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { z } from 'zod';
import type { OnlineRecognizer, OnlineStream } from './sherpa-onnx.d.ts';

/** A second of audio at 16 kHz; the agent sends a tenth at 8 kHz. */
const largestFrame = 32_000;
const invalid = 1_007;

const configuration = z.object({ config: z.object({ sample_rate: z.int().min(8_000).max(48_000) }) });

export interface SpeechServer extends AsyncDisposable {
  readonly port: number;
}

/** @param recognisers the n-th is at the path `/n`. @throws the system's error, when the port is taken */
export async function serveSpeech(
  recognisers: readonly OnlineRecognizer[],
  port: number,
): Promise<SpeechServer> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port,
    maxPayload: largestFrame,
    perMessageDeflate: false,
  });
  server.on('connection', (socket, { url }) => {
    // What it sends that is no message is its own fault; the connection is closed for it.
    socket.on('error', () => undefined);
    const recogniser = recognisers[Number(url?.slice(1))];
    if (url === '/' || recogniser === undefined) socket.close(invalid, 'no such model');
    else listenTo(socket, recogniser);
  });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

function listenTo(socket: WebSocket, recogniser: OnlineRecognizer): void {
  const stream = recogniser.createStream();
  let sampleRate: number | undefined;
  socket.on('message', (data, isBinary) => {
    if (isBinary && sampleRate !== undefined) {
      stream.acceptWaveform({ sampleRate, samples: samplesOf(data as Buffer) });
      socket.send(JSON.stringify(understood(recogniser, stream)));
      return;
    }
    const said = isBinary ? undefined : saidIn(data);
    if (said === 'eof') {
      stream.inputFinished();
      socket.send(JSON.stringify(understood(recogniser, stream, true)));
      socket.close();
    } else if (said === undefined) socket.close(invalid, 'neither a configuration nor audio after one');
    else sampleRate = said;
  });
}

/** The rate of a configuration, or the end. */
function saidIn(data: RawData): number | 'eof' | undefined {
  try {
    const said: unknown = JSON.parse((data as Buffer).toString('utf8'));
    if (typeof said === 'object' && said !== null && 'eof' in said) return 'eof';
    return configuration.safeParse(said).data?.config.sample_rate;
  } catch {
    return undefined;
  }
}

function samplesOf(bytes: Buffer): Float32Array {
  return Float32Array.from(
    { length: bytes.length >> 1 },
    (_, index) => bytes.readInt16LE(2 * index) / 32_768,
  );
}

/** A partial, or a final where the utterance is over. */
function understood(recogniser: OnlineRecognizer, stream: OnlineStream, ends = false): object {
  while (recogniser.isReady(stream)) recogniser.decode(stream);
  const { text, tokens, ys_probs: logarithms } = recogniser.getResult(stream);
  if (!ends && !recogniser.isEndpoint(stream)) return { partial: text.trim() };
  recogniser.reset(stream);
  const result = tokens.map((word, index) => ({ word: word.trim(), conf: posterior(logarithms[index]) }));
  return { text: text.trim(), ...(result.length === 0 ? {} : { result }) };
}

function posterior(logarithm: number | undefined): number | undefined {
  return logarithm === undefined ? undefined : Math.min(1, Math.exp(logarithm));
}
