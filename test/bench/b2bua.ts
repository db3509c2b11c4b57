/** The embedded SIP server and a plain `createB2BUA` on it, in a process of their own that a bench weighs. */
import Srf from 'drachtio-srf';
import type { Dialog } from 'drachtio-srf';
import { putCallsFirst } from '../../agent/helper-threads.ts';
import { startSipServer } from '../../agent/sip/server/server.ts';
import type { SipServerStatistics } from '../../agent/sip/server/server.ts';

/** What the bench asks: where calls go from now on, how things stand, or how they stand without garbage. */
export type Order = { sendTo: number } | 'how are you' | 'what do you weigh';

export interface Weight {
  port: number;
  /** CPU of the process since its start. */
  cpuMs: number;
  residentBytes: number;
  heapBytes: number;
  server: SipServerStatistics;
}

let target = 0;
/** CPU of collections that only the bench asked for, which are not the calls'. */
let collectingMs = 0;
// As in Tacet.
putCallsFirst();
const server = await startSipServer({
  listen: [{ transport: 'udp', address: '127.0.0.1', port: 0 }],
  accept: () => true,
  session: { expiresSeconds: 1_800 },
});
const srf = new Srf();
srf.invite((req, res) => {
  srf
    .createB2BUA(req, res, wayOf(req.calledNumber), {
      proxyRequestHeaders: ['X-Probe'],
    })
    .then(({ uas, uac }) => {
      endTogether(uas, uac);
      endTogether(uac, uas);
    })
    .catch(() => undefined);
});
srf.connect(server.control);
srf.on('connect', () => tell());

process.on('message', (order: Order) => {
  if (typeof order === 'object') target = order.sendTo;
  if (order === 'what do you weigh') collect();
  tell();
});
process.on('disconnect', () => process.exit());

/** The probe is called back at the port that it names; all others go to the PBX. */
function wayOf(called: string): string {
  const port = called.startsWith('p') ? called.slice(1) : target;
  return `sip:${called}@127.0.0.1:${port}`;
}

function endTogether(one: Dialog, other: Dialog): void {
  const end = () => void other.destroy().catch(() => undefined);
  if (one.connected) one.on('destroy', end);
  else end();
}

function spentMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function collect(): void {
  const from = spentMs();
  global.gc?.();
  collectingMs += spentMs() - from;
}

function tell(): void {
  const cpuMs = spentMs() - collectingMs;
  const { rss, heapUsed } = process.memoryUsage();
  const weight: Weight = {
    port: server.addresses[0]!.port,
    cpuMs,
    residentBytes: rss,
    heapBytes: heapUsed,
    server: server.statistics(),
  };
  process.send?.(weight);
}
