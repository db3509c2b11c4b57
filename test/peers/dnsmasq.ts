/** dnsmasq as a DNS that knows only what the test tells it. */
import { freePort } from './free-port.ts';
import { Program } from './program.ts';

export interface NameServer extends AsyncDisposable {
  /** As `node:dns` takes it. */
  server: string;
}

/** @param records options of dnsmasq, e.g. `srv-host=_sip._udp.pbx.test,a.pbx.test,5060,1,10` */
export async function openNameServer(records: readonly string[]): Promise<NameServer> {
  const port = await freePort();
  const program = await Program.start('dnsmasq', [
    ...[
      '--keep-in-foreground',
      '--no-resolv',
      '--no-hosts',
      '--no-poll',
      '--conf-file=/dev/null',
      '--pid-file=',
    ],
    ...['--log-facility=-', '--user=', `--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces'],
    ...['--local=/test/', ...records.map((record) => `--${record}`)],
  ]);
  await program.printed(/started/u);
  return { server: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}
