/**
 * A dialog before its INVITE was answered: UPDATE (RFC 3311 section 5), an offer in a PRACK (RFC 3262 section 5). drachtio-srf 5.0.29 has no dialog yet: its client answers
 * with our first offer whatever was asked, its server refuses. Both ways therefore go past it, on the INVITE and its dialog id.
 */
import type { Srf, SrfRequest, SrfResponse } from 'drachtio-srf';
import type { LegMarks } from './correlation.ts';
import {
  answerIn,
  offered,
  orServerError,
  reofferIn,
  sendAnswer,
  type Agreed,
  type AnswerReoffer,
  type Reoffer,
  type ReofferAnswer,
} from './reoffer.ts';

/** Nobody can agree to anything new yet: the far end tries again (RFC 3311 section 5.2). */
export const notYet: AnswerReoffer = ({ offer }) =>
  Promise.resolve(
    offer === undefined
      ? { status: 200, sdp: undefined }
      : { status: 500, sdp: undefined, headers: { 'Retry-After': '1' } },
  );

/** PRACKs that brought an offer: the answer in their 200 is under way. */
const answering = new WeakSet<SrfRequest>();

/** Whether a PRACK is answered here; to all others drachtio-srf says 200. */
export function isAnswered(prack: SrfRequest): boolean {
  return answering.has(prack);
}

/** Who sent the INVITE: the other side, or we. */
export type InviteBy = 'them' | 'us';

/** An INVITE's dialogs until one of them is answered: several where it forks, told apart by the tag of whoever was called. */
export class EarlyDialog {
  readonly #srf: Srf;
  readonly #invite: SrfRequest;
  readonly #by: InviteBy;
  readonly #marks: LegMarks;
  /** By branch. */
  readonly #agreed = new Map<string | undefined, Agreed>();
  #answer = notYet;

  constructor(srf: Srf, invite: SrfRequest, by: InviteBy, marks: LegMarks) {
    this.#srf = srf;
    this.#invite = invite;
    this.#by = by;
    this.#marks = marks;
  }

  /**
   * What was agreed by UPDATE with the branch that has answered, if anything was: descriptions of the 200 are repetitions then
   * (RFC 3261 section 13.2.1).
   *
   * @param branch undefined where there is but one
   */
  agreed(branch: string | undefined): Readonly<Agreed> | undefined {
    if (branch === undefined) return [...this.#agreed.values()].at(-1);
    return this.#agreed.get(branch) ?? this.#agreed.get(undefined);
  }

  /** From now on `answer` says how offers of the far end are answered, in place of whoever did before. */
  onUpdate(answer: AnswerReoffer): void {
    this.#answer = answer;
    this.#invite.removeAllListeners('update');
    this.#invite.on('update', (update, res) => this.#offered(update, res));
  }

  /** Takes what acknowledges a reliable response of ours: an offer in it is answered in its 200 (RFC 3262 section 5). */
  pracked(prack: SrfRequest): void {
    if (prack.method !== 'PRACK' || prack.body === '') return;
    answering.add(prack);
    this.#offered(prack, prack.res);
  }

  /** To the other side an offer is one by UPDATE, however it came. */
  #offered(request: SrfRequest, res: SrfResponse): void {
    this.#marks.heard(request);
    const { body } = request;
    const branch = request.getParsedHeader(this.#by === 'us' ? 'from' : 'to').params['tag'];
    const reoffer = { ...reofferIn('UPDATE', request, this.#marks), branch };
    void orServerError(this.#answer(reoffer)).then((answered) => {
      if (body !== '' && answered.status < 300)
        this.#agreed.set(branch, { local: answered.sdp, remote: body });
      sendAnswer(res, answered, this.#marks);
    });
  }

  /** The dialogs of an INVITE have one name to the application: a tag says which, to a server that looks at it. */
  #within(branch: string | undefined): Record<string, string> {
    if (branch === undefined) return {};
    return { [this.#by === 'us' ? 'To' : 'From']: `<sip:placeholder>;tag=${branch}` };
  }

  /** Sends an UPDATE, in the newest dialog where no branch is named. An offer is for whose first one was answered reliably; else the server refuses it with 491. */
  async update(reoffer: Reoffer): Promise<ReofferAnswer> {
    const { headers, body } = offered(reoffer);
    const { branch } = reoffer;
    const tag = this.#invite.getParsedHeader('from').params['tag'] ?? '';
    const sent = await this.#srf.request({
      method: 'UPDATE',
      uri: 'sip:placeholder',
      stackDialogId: `${this.#invite.get('Call-ID') ?? ''};from-tag=${tag}`,
      headers: { ...this.#marks.headers(headers), ...this.#within(branch) },
      ...(body === undefined ? {} : { body }),
    });
    return await new Promise<ReofferAnswer>((resolve) => {
      sent.on('response', (response) => {
        if (response.status < 200) return;
        this.#marks.heard(response);
        const answer = answerIn(response, this.#marks);
        if (body !== undefined && answer.status < 300)
          this.#agreed.set(branch, { local: body, remote: answer.sdp });
        resolve(answer);
      });
    });
  }
}
