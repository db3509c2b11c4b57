import { expect, it } from 'vitest';
import { Sipp } from '../../../peers/sipp.ts';
import { nothingLeft, openBench } from './application.ts';
import { sdp } from './peer.ts';

it.each([
  ['secret', 200],
  ['wrong', 403],
] as const)('a PBX that challenges is called with the password %s: %i', async (password, status) => {
  await using bench = await openBench({ timers: { t1Ms: 200, t2Ms: 800, t4Ms: 500 } });
  await using pbx = await Sipp.start({ scenario: 'pbx-checks-password', calls: 1 });
  const auth = { username: 'tacet', password };
  const called = bench.srf.createUAC(`sip:200@127.0.0.1:${pbx.port}`, { localSdp: sdp, auth });
  if (status === 200) await (await called).destroy();
  else await expect(called).rejects.toMatchObject({ status });
  await nothingLeft(bench.server);
});
