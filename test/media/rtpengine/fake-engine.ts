/** A server of NG that says what the test wants: what a real one does only when it is ill. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { BencodeDictionary } from '../../../media/rtpengine/bencode.ts';
import { readMessage, writeMessage } from '../../../media/rtpengine/ng.ts';

export interface Asked {
  cookie: string;
  message: BencodeDictionary;
}

/** @param reply undefined: silence; a Buffer: these bytes */
export async function fakeEngine(
  reply: (asked: Asked, time: number) => BencodeDictionary | Buffer | undefined,
) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const asked: Asked[] = [];
  socket.on('message', (datagram: Buffer, from: RemoteInfo) => {
    const question = readMessage(datagram);
    asked.push(question);
    const said = reply(question, asked.length);
    if (said === undefined) return;
    socket.send(Buffer.isBuffer(said) ? said : writeMessage(question.cookie, said), from.port, from.address);
  });
  return {
    asked,
    address: { host: '127.0.0.1', port: socket.address().port },
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}
