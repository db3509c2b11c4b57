/** What went wrong, as RFC 9457 has it: `application/problem+json`, with a type that a program can tell apart. */
import { z } from 'zod';
import { TacetError } from '../../config/errors.ts';
import { ChangesUnavailable } from '../campaigns/change-log.ts';
import { ChangedMeanwhile, OrderForbidden, type Forbidden } from '../campaigns/orders.ts';

export const problemType = 'application/problem+json';

export const problem = z.strictObject({
  type: z.string().describe('urn:tacet:problem: and a word'),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof problem>;

/** A request that is answered with a problem. */
export class RequestRefused extends TacetError {
  readonly problem: Problem;
  constructor(status: number, word: string, detail: string, errors?: Problem['errors']) {
    super(detail);
    this.problem = {
      type: `urn:tacet:problem:${word}`,
      title: word.replaceAll('-', ' '),
      status,
      detail,
      ...(errors === undefined ? {} : { errors }),
    };
  }
}

const statusOf: Record<Forbidden, number> = {
  'unknown-campaign': 404,
  'unknown-proposal': 404,
  'unknown-stop': 404,
  'unknown-agent': 404,
  'unknown-objection': 404,
  'same-person': 403,
  'already-decided': 409,
  'needs-approval': 422,
  'not-above': 422,
  past: 422,
  law: 422,
  'needs-legal-text': 422,
  'other-purpose': 422,
};

/** The answer to what was thrown; undefined for a fault of ours, of which a stranger learns nothing. */
export function problemOf(thrown: unknown): Problem | undefined {
  if (thrown instanceof RequestRefused) return thrown.problem;
  if (thrown instanceof OrderForbidden) {
    return new RequestRefused(statusOf[thrown.code], thrown.code, thrown.message).problem;
  }
  if (thrown instanceof ChangedMeanwhile) {
    return new RequestRefused(412, 'changed-meanwhile', thrown.message).problem;
  }
  if (thrown instanceof ChangesUnavailable) {
    return new RequestRefused(503, 'changes-unavailable', thrown.message).problem;
  }
  return undefined;
}
