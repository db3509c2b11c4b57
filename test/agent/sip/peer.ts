import { configSchema } from '../../../config/schema.ts';
import { openPeers, type Peer } from '../../../agent/sip/peers.ts';

/** A peer as the configuration would give it, with what the test says of it. */
export function peerNamed(name: string, given: Partial<Peer> = {}): Peer {
  const plain = { name, sources: ['192.0.2.1'], uri: `sip:${name}.example` };
  const other = { ...plain, name: 'other' };
  const peers = openPeers(configSchema.parse({ campaigns: 'none', trunks: [other], pbxs: [plain] }));
  return { ...peers.all().find((peer) => peer.name === name)!, ...given };
}
