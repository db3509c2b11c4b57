/** Kamailio as a proxy that somebody else wrote, between Tacet and a PBX: it stays on the way of the whole dialog. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface Kamailio extends AsyncDisposable {
  readonly port: number;
}

/**
 * Starts a record-routing proxy in front of PBXs on loopback, tried in order: the next when one says nothing for a
 * second, refuses its port, or answers 5xx.
 */
export async function startKamailio(pbxPorts: readonly number[], given?: number): Promise<Kamailio> {
  const folder = await temporaryFolder('kamailio');
  const port = given ?? (await freePort());
  const list = join(folder.path, 'dispatcher.list');
  await writeFile(list, pbxPorts.map((each, index) => `1 sip:127.0.0.1:${each} 0 ${100 - index}\n`).join(''));
  const config = join(folder.path, 'kamailio.cfg');
  await writeFile(config, configuration(port, list));
  const program = await Program.start('kamailio', [
    ...['-DD', '-E', '-f', config, '-Y', folder.path, '-P', join(folder.path, 'pid')],
    ...['-m', '32', '-M', '4'],
  ]);
  try {
    await program.printed(/READY/u);
  } catch (error) {
    await program.stop();
    await folder[Symbol.asyncDispose]();
    throw error;
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      await program.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Algorithm 8 of the dispatcher: by priority, the highest first. */
function configuration(port: number, list: string): string {
  return `
debug=1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:${port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "xlog.so"
loadmodule "dispatcher.so"
modparam("tm", "fr_timer", 1000)
modparam("tm", "fr_inv_timer", 30000)
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "list_file", "${list}")
modparam("dispatcher", "xavp_dst", "_dst_")
event_route[core:worker-one-init] { xlog("L_ALERT", "READY\\n"); }
request_route {
  if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
  t_check_trans();
  record_route();
  if (!ds_select_dst("1", "8")) { sl_send_reply("503", "No PBX"); exit; }
  t_on_failure("NEXT");
  t_relay();
}
failure_route[NEXT] {
  if (t_is_canceled()) { exit; }
  if (t_check_status("5..|408") && ds_next_dst()) { t_on_failure("NEXT"); t_relay(); }
}
`;
}
