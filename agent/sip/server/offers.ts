/**
 * Offer and answer inside a dialog: whose offer is open (RFC 3264). Where descriptions may travel is the business of
 * RFC 3261 section 13.2.1, RFC 3262 section 5 and RFC 3311 section 5; this keeps count of what travelled.
 */
export type Side = 'ours' | 'theirs';

export class Offers {
  #open: Side | undefined;
  #proposed: string | undefined;
  #local: string | undefined;

  /** The side whose offer waits for its answer. */
  get open(): Side | undefined {
    return this.#open;
  }

  /** Our description in the last exchange that was agreed on: what a session refresh repeats. */
  get local(): string | undefined {
    return this.#local;
  }

  /**
   * A description that counts went one way: in a request, a reliable response or an ACK. It answers the open offer of
   * the other side, or is an offer itself.
   *
   * @param mayOffer false in a response to a request that brought the offer: a repeated answer is none
   */
  carried(by: Side, sdp: string, mayOffer: boolean): void {
    if (sdp === '') return;
    if (this.#open !== undefined && this.#open !== by) {
      this.#local = by === 'ours' ? sdp : (this.#proposed ?? this.#local);
      this.#open = undefined;
      this.#proposed = undefined;
    } else if (this.#open === undefined && mayOffer) {
      this.#open = by;
      this.#proposed = by === 'ours' ? sdp : undefined;
    }
  }

  /** What brought an offer of this side is over: where no answer came with it, all is as it was before. */
  concluded(by: Side): void {
    if (this.#open !== by) return;
    this.#open = undefined;
    this.#proposed = undefined;
  }
}
