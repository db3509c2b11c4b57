/** The local addresses that the relay's sides have their sockets on, each with its ports. */
import { TacetError, messageOf } from '../../config/errors.ts';
import type { Latching, SideSockets } from './messages.ts';
import { closeSocket, openPair, SystemCallFailed } from './native.ts';
import { PortRange } from './ports.ts';

/** EADDRINUSE on Linux. */
const portTaken = 98;
/** A port of the range may be another program's: others are tried, but not for ever in the set-up of a call. */
const attempts = 16;

export interface InterfaceOptions {
  /** Local address of the RTP sockets, IPv4 or IPv6. */
  address: string;
  /** Address in our SDP where it differs (static NAT). */
  advertise?: string | undefined;
  latching?: Latching | undefined;
}

/** No port can be had on an address. */
export class NoPort extends TacetError {}

/** A side's sockets and what its SDP says of them. */
export interface SidePorts extends Disposable {
  readonly sockets: SideSockets;
  readonly address: string;
  readonly port: number;
}

export class MediaInterface {
  readonly #options: InterfaceOptions;
  readonly #ports: PortRange;

  /** @param ports shared by interfaces of the same address */
  constructor(options: InterfaceOptions, ports: PortRange) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Opens a side's sockets; disposing closes them and lets the ports rest. @throws NoPort */
  open(): SidePorts {
    const { address, advertise = address, latching = 'signalled' } = this.#options;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const port = this.#ports.take();
      if (port === undefined) throw new NoPort(`all RTP ports of ${address} are in use`);
      try {
        const { rtp, rtcp } = openPair(address, port);
        const close = (): void => {
          closeSocket(rtp);
          closeSocket(rtcp);
          this.#ports.give(port);
        };
        return { sockets: { rtp, rtcp, latching }, address: advertise, port, [Symbol.dispose]: close };
      } catch (error) {
        this.#ports.put(port);
        if (!(error instanceof SystemCallFailed) || error.errno !== portTaken)
          throw new NoPort(`no RTP port on ${address}: ${messageOf(error)}`);
      }
    }
    throw new NoPort(`every RTP port of ${address} that was tried belongs to another program`);
  }
}

/** The interfaces of the caller's side and the agent's. An address has its ports once, however many sides it serves. */
export function mediaInterfaces(
  sides: readonly [InterfaceOptions, InterfaceOptions],
  range: { min: number; max: number },
): [MediaInterface, MediaInterface] {
  const ranges = new Map<string, PortRange>();
  const [caller, agent] = sides.map((options) => {
    const ports = ranges.get(options.address) ?? new PortRange(range);
    ranges.set(options.address, ports);
    return new MediaInterface(options, ports);
  });
  return [caller!, agent!];
}
