/** A call as Tacet names it: one conversation seen on the trunk, the same id in ledger, store, logs and on both legs. */
export type CallId = string & { readonly unit: 'CallId' };

/** A recording's id: a call may have several (on-demand, after a transfer). */
export type RecordingId = string & { readonly unit: 'RecordingId' };

/** A share of conversations, 0..1. */
export type Rate = number & { readonly unit: 'Rate' };

/** Microseconds since the Unix epoch, read from a monotonic clock anchored once at start. Fits a double until 2255. */
export type EpochMicros = number & { readonly unit: 'EpochMicros' };

/** The two parties Tacet stands between, by role and not by who called (law.md: roles follow the campaign's direction). */
export type Side = 'caller' | 'agent';
