/**
 * What SRTP costs a packet, beside what a packet of plain RTP costs anyway (one receive, a new header, one send) and
 * beside the same work by `node:crypto`, which makes an object for every packet. One run, one thread, G.711 of 20 ms.
 */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { newRtpHeader, readRtp, writeHeader } from '../../media/rtp/packet.ts';
import { MasterKey } from '../../media/srtp/keys.ts';
import { SrtpReceiver, SrtpSender } from '../../media/srtp/srtp.ts';
import { largestOverheadBytes, suites, type SuiteName } from '../../media/srtp/suites.ts';
import {
  openUdp,
  closeSocket,
  connectUdp,
  PacketMemory,
  receiveConnected,
  sendConnected,
  socketAddress,
} from '../../media/relay/native.ts';
import { freePort } from '../peers/free-port.ts';

const packetBytes = 172;
const rounds = 1_000;
const packetsPerRound = 64;

export async function run(say: (line: string) => void): Promise<Record<string, unknown>> {
  const plainUs = await plainRelayUs();
  say(`plain relay: ${plainUs} us a packet`);
  const perSuite = (Object.keys(suites) as SuiteName[]).map((suite) => {
    const { sealUs, openUs } = srtpUs(suite);
    const result = { suite, sealUs, openUs, ratioToPlain: round((plainUs + sealUs + openUs) / plainUs) };
    say(JSON.stringify(result));
    return result;
  });
  const nodeCryptoUs = nodeCryptoSealUs();
  const usual = perSuite.find(({ suite }) => suite === 'AES_CM_128_HMAC_SHA1_80')!;
  return {
    plainUs,
    nodeCryptoSealUs: nodeCryptoUs,
    timesFasterThanNodeCrypto: round(nodeCryptoUs / usual.sealUs),
    /** Of a packet that is opened on one side and sealed on the other. */
    worstRatioToPlain: Math.max(...perSuite.map(({ ratioToPlain }) => ratioToPlain)),
    perSuite,
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Microseconds a packet of `work`: the middle one of all rounds, so that a busy machine shows less. `prepare` is not timed. */
function timed(prepare: (round: number) => void, work: (packet: number) => void): number {
  const micros: number[] = [];
  for (let turn = 0; turn < rounds; turn++) {
    prepare(turn);
    const begun = process.hrtime.bigint();
    for (let packet = 0; packet < packetsPerRound; packet++) work(packet);
    micros.push(Number(process.hrtime.bigint() - begun) / 1_000 / packetsPerRound);
  }
  return round(micros.toSorted((a, b) => a - b)[rounds / 2]!);
}

async function plainRelayUs(): Promise<number> {
  const [ours, theirs] = [await freePort(), await freePort()];
  const near = openUdp('127.0.0.1', ours);
  const far = openUdp('127.0.0.1', theirs);
  connectUdp(near, socketAddress('127.0.0.1', theirs));
  connectUdp(far, socketAddress('127.0.0.1', ours));
  const memory = new PacketMemory();
  const header = newRtpHeader();
  try {
    return timed(
      () => {
        while (receiveConnected(far, memory) >= 0);
        memory.bytes.set(packetOf(1));
        for (let packet = 0; packet < packetsPerRound; packet++) sendConnected(far, memory, packetBytes);
      },
      () => {
        const length = receiveConnected(near, memory);
        readRtp(memory.bytes, length, header);
        writeHeader(memory.bytes, 8, header.marker, header.sequence, header.timestamp, header.ssrc);
        sendConnected(near, memory, length);
      },
    );
  } finally {
    closeSocket(near);
    closeSocket(far);
  }
}

function packetOf(sequence: number): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(packetBytes + largestOverheadBytes);
  packet.set([0x80, 8, (sequence >>> 8) & 0xff, sequence & 0xff, 0, 0, 0, 1, 0, 0, 0, 7]);
  return packet;
}

function srtpUs(name: SuiteName): { sealUs: number; openUs: number } {
  const suite = suites[name];
  const key = MasterKey.take(randomBytes(suite.keyBytes + suite.saltBytes));
  using sender = new SrtpSender({ suite, key, mkiBytes: 0 });
  using receiver = new SrtpReceiver({ suite, key, mkiBytes: 0 });
  // As in the relay: one piece of memory for whatever packet is on its way.
  const memory = new Uint8Array(2_048);
  const plain = Array.from({ length: packetsPerRound }, () => new Uint8Array(0));
  const sealed = [...plain];
  const load = (packet: Uint8Array): void => {
    for (let at = 0; at < packet.length; at++) memory[at] = packet[at]!;
  };
  const copyUs = timed(
    (turn) => plain.forEach((_, at) => (plain[at] = packetOf(turn * packetsPerRound + at))),
    (at) => load(plain[at]!),
  );
  const sealUs = timed(
    (turn) => plain.forEach((_, at) => (plain[at] = packetOf(turn * packetsPerRound + at))),
    (at) => {
      load(plain[at]!);
      sender.protect(memory, packetBytes);
    },
  );
  using second = new SrtpSender({ suite, key, mkiBytes: 0 });
  const openUs = timed(
    (turn) =>
      sealed.forEach((_, at) => {
        const packet = packetOf(turn * packetsPerRound + at);
        sealed[at] = packet.subarray(0, second.protect(packet, packetBytes));
      }),
    (at) => {
      load(sealed[at]!);
      if (receiver.unprotect(memory, sealed[at]!.length) !== packetBytes)
        throw new Error(`${name} does not open`);
    },
  );
  return { sealUs: round(sealUs - copyUs), openUs: round(openUs - copyUs) };
}

function nodeCryptoSealUs(): number {
  const [key, mac, iv] = [randomBytes(16), randomBytes(20), randomBytes(16)];
  const packet = packetOf(1);
  return timed(
    () => undefined,
    () => {
      packet.set(createCipheriv('aes-128-ctr', key, iv).update(packet.subarray(12, packetBytes)), 12);
      packet.set(
        createHmac('sha1', mac)
          .update(packet.subarray(0, packetBytes + 4))
          .digest()
          .subarray(0, 10),
        packetBytes,
      );
    },
  );
}
