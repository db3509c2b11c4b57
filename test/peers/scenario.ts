/** SIPp scenarios put together from steps, for what a call does after it was set up: the XML is SIPp's, the words are ours. */
import type { Format } from './sipp.ts';

export type Body =
  /** Our audio in this direction; `address` in its place for a hold of the old kind; `formats` in place of SIPp's own. */
  | {
      direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
      address?: string;
      formats?: readonly Format[];
    }
  /** Lines as given, with `type` as Content-Type. */
  | { type: string; text: string };

export interface Message {
  body?: Body;
  headers?: readonly string[];
}

/** What must stand in a message that comes; the call fails when it does not. */
export interface Check {
  /** Regular expressions of SIPp (POSIX extended) over the headers and the body. */
  has?: readonly string[];
}

interface Role {
  /** From, To and the tag rules of requests within the dialog. */
  inDialog: readonly string[];
}

const talker: Record<'caller' | 'pbx', Role> = {
  caller: {
    inDialog: [
      'From: <sip:[caller]@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
      'To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]',
    ],
  },
  pbx: { inDialog: ['From:[$near];tag=[pid]p[call_number][fork]', 'To:[$far]'] },
};

/** A scenario of one side, step by step. */
export class Scenario {
  readonly #role: 'caller' | 'pbx';
  readonly #steps: string[] = [];
  readonly #checks: string[] = [];
  #cseq = 0;
  #version = 0;
  #unwanted: string | undefined;
  /** Of a caller: variable with the To tag of the early dialog in which it speaks; undefined: the one heard of last. */
  #within: string | undefined;
  /** What the To tag of the branch that speaks now ends with. */
  #fork = '';

  private constructor(role: 'caller' | 'pbx') {
    this.#role = role;
  }

  /** A caller: the INVITE, and whatever provisional responses before `status`. @param expect stops before the final response */
  static caller(invite: Message = { body: { direction: 'sendrecv' } }): Scenario {
    const scenario = new Scenario('caller');
    scenario.#cseq = 1;
    scenario.#send(
      'INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0',
      [
        'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]',
        'From: <sip:[caller]@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
        'To: <sip:[service]@[remote_ip]:[remote_port]>',
        'Call-ID: [call_id]',
        'CSeq: 1 INVITE',
        'Contact: <sip:[caller]@[local_ip]:[local_port]>',
        'Max-Forwards: 70',
      ],
      invite,
      'retrans="500"',
    );
    scenario.#optional('100');
    return scenario;
  }

  /** A PBX: waits for an INVITE. @param unwanted it refuses a call whose INVITE holds this (488), and waits for the next */
  static pbx(check: Check = {}, unwanted?: string): Scenario {
    const scenario = new Scenario('pbx');
    scenario.#checks.push('far', 'near', 'way', 'invited');
    if (unwanted !== undefined) scenario.#checks.push('unwanted');
    scenario.#unwanted = unwanted;
    return scenario.invited(check);
  }

  /** Of a PBX: waits for the INVITE once more, which it refused. */
  invited(check: Check = {}): this {
    const take = (header: string, into: string): string =>
      `<ereg regexp=".*" search_in="hdr" header="${header}:" assign_to="${into}"/>`;
    const unwanted = this.#unwanted;
    const branch = unwanted === undefined ? '' : ' next="refuse" test="unwanted"';
    return this.#recv(`request="INVITE" crlf="true" rrs="true"${branch}`, check, [
      take('From', 'far'),
      take('To', 'near'),
      take('Via', 'way'),
      take('CSeq', 'invited'),
      ...(unwanted === undefined
        ? []
        : [`<ereg regexp="${unwanted}" search_in="msg" assign_to="unwanted"/>`]),
    ]);
  }

  /** Of a caller: provisional responses may come; then 200, the ACK with or without a body, and the audio. */
  answered(ack: Message = {}, check: Check = {}): this {
    return this.answeredInSilence(ack, check).play();
  }

  /** As `answered`, without audio: a request that comes right behind the ACK would find SIPp at the step that plays. */
  answeredInSilence(ack: Message = {}, check: Check = {}): this {
    this.#optional('180');
    this.#optional('183');
    this.#recv('response="200" rrs="true"', check);
    return this.acknowledge(ack);
  }

  /** Of a PBX: responds to the INVITE. */
  responds(status: string, message: Message = {}): this {
    const final = !status.startsWith('1');
    return this.#send(
      `SIP/2.0 ${status}`,
      [
        'Via:[$way]',
        '[last_Record-Route:]',
        'From:[$far]',
        `To:[$near];tag=[pid]p[call_number]${this.#fork}`,
        'Call-ID: [call_id]',
        'CSeq:[$invited]',
        'Contact: <sip:[service]@[local_ip]:[local_port]>',
      ],
      message,
      final ? 'retrans="500"' : '',
    );
  }

  /** Of a PBX that forks: from now on this branch speaks, with a To tag of its own (RFC 3261 section 12.1.2). */
  branch(name: string): this {
    this.#fork = name;
    return this;
  }

  /** Of a PBX: 180, 200 with audio, ACK, and its audio. */
  answers(message: Message = { body: { direction: 'sendrecv' } }): this {
    return this.responds('180 Ringing').pause(100).responds('200 OK', message).expect('ACK').play();
  }

  /** Of a caller: a provisional response must come. */
  progressed(status: string, check: Check = {}): this {
    return this.#recv(`response="${status}" rrs="true"`, check);
  }

  /** Of a caller: a reliable one must come (RFC 3262). */
  reliably(status: string, check: Check = {}): this {
    return this.#recv(`response="${status}" rrs="true"`, check, [
      '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>',
    ]);
  }

  /** Of a caller: `reliably`, in a dialog that can be named. */
  reliablyFrom(name: string, status: string, check: Check = {}): this {
    this.#checks.push(`whole_${name}`, name);
    this.#recv(`response="${status}" rrs="true"`, check, [
      '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>',
      `<ereg regexp=";tag=([^;]*)" search_in="hdr" header="To:" assign_to="whole_${name},${name}"/>`,
    ]);
    return this;
  }

  /** Of a caller: speaks in the dialog of that name from now on; without one, in the one heard of last. */
  within(name?: string): this {
    this.#within = name;
    return this;
  }

  /** Of a caller: acknowledges the reliable response that came last (RFC 3262), perhaps with an offer. */
  pracks(message: Message = {}, check: Check = {}): this {
    return this.request('PRACK', { ...message, headers: ['RAck: [$rseq] 1 INVITE'] }, 200, check);
  }

  /** Of a caller: the 200 after early media, and the ACK. */
  takes200(): this {
    this.#optional('180');
    this.#optional('183');
    this.#recv('response="200" rrs="true"', {});
    const headers = this.#requestHeaders('ACK', 1);
    return this.#send('ACK [next_url] SIP/2.0', headers, {});
  }

  /** Of a caller: the INVITE is refused; the ACK to a failure carries its branch. */
  rejected(status: number): this {
    this.#recv(`response="${status}"`, {});
    const headers = [
      'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-2]',
      'From: <sip:[caller]@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
      '[last_To:]',
      'Call-ID: [call_id]',
      'CSeq: 1 ACK',
      'Max-Forwards: 70',
    ];
    return this.#send('ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0', headers, {});
  }

  play(): this {
    this.#steps.push('<nop><action><exec play_pcap_audio="audio.pcap"/></action></nop>');
    return this;
  }

  pause(ms: number): this {
    this.#steps.push(`<pause milliseconds="${ms}"/>`);
    return this;
  }

  /** A request within the dialog; `status` is the final response that must come. */
  request(method: string, message: Message = {}, status = 200, check: Check = {}): this {
    this.#cseq += 1;
    this.#send(
      `${method} [next_url] SIP/2.0`,
      this.#requestHeaders(method, this.#cseq),
      message,
      'retrans="500"',
    );
    if (method === 'INVITE') this.#optional('100');
    return this.#recv(`response="${status}"`, check);
  }

  /** The ACK of the last INVITE. */
  acknowledge(message: Message = {}): this {
    return this.#send('ACK [next_url] SIP/2.0', this.#requestHeaders('ACK', this.#cseq), message);
  }

  /** A re-INVITE, its 200 and the ACK. */
  reinvite(body: Body | undefined, check: Check = {}, ack: Message = {}): this {
    return this.request('INVITE', body === undefined ? {} : { body }, 200, check).acknowledge(ack);
  }

  /** A re-INVITE that is refused; the ACK to a failure carries the INVITE's branch. */
  refused(body: Body, status: number): this {
    this.request('INVITE', { body }, status);
    const headers = this.#requestHeaders('ACK', this.#cseq).map((header) =>
      header.replace('branch=[branch]', 'branch=[branch-2]'),
    );
    return this.#send('ACK [next_url] SIP/2.0', headers, {});
  }

  /** Waits for a request within the dialog. */
  expect(method: string, check: Check = {}): this {
    return this.#recv(`request="${method}"`, check);
  }

  /** Responds to the request that came last. */
  reply(status = '200 OK', message: Message = {}): this {
    return this.#send(
      `SIP/2.0 ${status}`,
      [
        '[last_Via:]',
        '[last_Record-Route:]',
        '[last_From:]',
        '[last_To:]',
        '[last_Call-ID:]',
        '[last_CSeq:]',
        this.#contact(),
      ],
      message,
    );
  }

  /** A re-INVITE that comes, our answer and the ACK. */
  reinvited(body: Body, check: Check = {}): this {
    return this.expect('INVITE', check).reply('200 OK', { body }).expect('ACK');
  }

  hangsUp(): this {
    return this.request('BYE');
  }

  hungUp(check: Check = {}): this {
    return this.expect('BYE', check).reply();
  }

  get xml(): string {
    const reference = this.#checks.length === 0 ? '' : `<Reference variables="${this.#checks.join(',')}"/>`;
    return [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<!DOCTYPE scenario SYSTEM "sipp.dtd">',
      `<scenario name="${this.#role}">`,
      ...this.#steps,
      ...this.#refusal(),
      reference,
      '</scenario>',
      '',
    ].join('\n');
  }

  /** Where a call goes that is not wanted. */
  #refusal(): string[] {
    if (this.#unwanted === undefined) return [];
    const steps = new Scenario('pbx').responds('488 Not Acceptable Here').expect('ACK').#steps;
    return [
      '<nop next="over"/>',
      '<label id="refuse"/>',
      ...steps,
      '<label id="over"/>',
      '<pause milliseconds="1"/>',
    ];
  }

  #contact(): string {
    const user = this.#role === 'caller' ? '[caller]' : '[service]';
    return `Contact: <sip:${user}@[local_ip]:[local_port]>`;
  }

  #requestHeaders(method: string, cseq: number): string[] {
    return [
      'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]',
      '[routes]',
      ...talker[this.#role].inDialog.map((header) =>
        header
          .replace('[fork]', this.#fork)
          .replace(
            '[peer_tag_param]',
            this.#within === undefined ? '[peer_tag_param]' : `;tag=[$${this.#within}]`,
          ),
      ),
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      this.#contact(),
      'Max-Forwards: 70',
    ];
  }

  #send(
    startLine: string,
    headers: readonly string[],
    { body, headers: more = [] }: Message,
    how = '',
  ): this {
    const lines = [startLine, ...headers, ...more];
    if (body === undefined) lines.push('Content-Length: 0', '');
    else if ('type' in body) lines.push(`Content-Type: ${body.type}`, 'Content-Length: [len]', '', body.text);
    else lines.push('Content-Type: application/sdp', 'Content-Length: [len]', '', ...this.#audio(body));
    this.#steps.push(`<send ${how}><![CDATA[\n\n${lines.join('\n')}\n\n]]></send>`);
    return this;
  }

  #audio({ direction, address, formats }: Extract<Body, { direction: string }>): string[] {
    this.#version += 1;
    const types = formats?.map(({ type }) => type).join(' ') ?? '[payload_types]';
    const maps = formats?.map(({ type, name }) => `a=rtpmap:${type} ${name}`) ?? ['[rtpmaps]'];
    const where =
      address === undefined
        ? 'IP[media_ip_type] [media_ip]'
        : `IP${address.includes(':') ? 6 : 4} ${address}`;
    return [
      'v=0',
      `o=- [pid] ${this.#version} IN IP[media_ip_type] [media_ip]`,
      's=-',
      `c=IN ${where}`,
      't=0 0',
      `m=audio [auto_media_port] RTP/AVP ${types}`,
      ...maps,
      'a=ptime:20',
      `a=${direction}`,
    ];
  }

  #optional(status: string): void {
    this.#steps.push(`<recv response="${status}" optional="true"/>`);
  }

  #recv(what: string, { has = [] }: Check, actions: readonly string[] = []): this {
    const checks = has.map((pattern) => {
      const name = `check${this.#checks.length}`;
      this.#checks.push(name);
      const escaped = pattern.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
      return `<ereg regexp="${escaped}" search_in="msg" check_it="true" assign_to="${name}"/>`;
    });
    const all = [...actions, ...checks];
    this.#steps.push(
      all.length === 0 ? `<recv ${what}/>` : `<recv ${what}><action>${all.join('')}</action></recv>`,
    );
    return this;
  }
}
