/** `tacet recordings keep`: a contract was concluded in the call, and the law keeps its recording from the signature on. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TacetError } from '../../config/errors.ts';
import { Catalogue, type CatalogueRow, type SignedContract } from '../../media/store/catalogue.ts';
import { retainAfterSignature } from '../law/retention.ts';
import { owe } from '../ledger/owed.ts';

/** The recording is not one that a contract keeps, or not from that day. Its date stays as it was. */
export class NotKept extends TacetError {
  readonly recording: string;
  constructor(recording: string, why: string) {
    super(`recording ${recording} is not kept longer: ${why}`);
    this.recording = recording;
  }
}

export interface Signature {
  recording: string;
  /** Day of the signature (UTC), `2026-11-20`. */
  signedOn: string;
  /** Which contract. */
  reference: string;
  by: string;
}

/**
 * Keeps a recording for its contract: an entry is owed to the ledger before the store is told, so that nothing is kept longer
 * than the ledger says. Given again, with the right day after a wrong one, the last holds.
 *
 * @returns until when it is kept, RFC 3339
 * @throws NotKept
 */
export async function keepContract(dataDir: string, signature: Signature, now: Date): Promise<string> {
  const { recording, signedOn, reference, by } = signature;
  const path = join(dataDir, 'store', 'catalogue.sqlite');
  if (!existsSync(path)) throw new NotKept(recording, `there is no store in ${dataDir}`);
  using catalogue = new Catalogue(path);
  const contract = contractOf(catalogue.get(recording), signature, now);
  const { retainUntil } = contract;
  await owe(dataDir, {
    kind: 'recording.retained',
    recording: contract.recording,
    signedOn,
    retainUntil,
    by,
    reference,
    retainedAt: now.toISOString(),
  });
  if (!catalogue.keepFor(recording, { signedOn, reference, retainUntil }))
    throw new NotKept(recording, 'it was erased in this moment');
  return retainUntil;
}

/** @throws NotKept */
function contractOf(
  row: CatalogueRow | undefined,
  { recording, signedOn, reference }: Signature,
  now: Date,
): SignedContract & { recording: CatalogueRow['header']['recording'] } {
  const refuse = (why: string): never => {
    throw new NotKept(recording, why);
  };
  if (row === undefined)
    return refuse('there is none of that name; "recordings list" names those that are kept');
  if (row.state === 'open') return refuse('it is still being made; say it again when the call is over');
  const { header } = row;
  const months = header.afterSignatureMonths;
  if (months === undefined) {
    const laws = header.law.join(', ');
    return refuse(`no law that it was made under keeps a contract from its signature (${laws})`);
  }
  const called = new Date(header.startedAt / 1_000).toISOString().slice(0, 10);
  if (signedOn < called) return refuse(`signed on ${signedOn}, before the call of ${called}`);
  if (signedOn > now.toISOString().slice(0, 10)) return refuse(`${signedOn} has not come yet`);
  if (signedOn > header.retainUntil.slice(0, 10)) {
    return refuse(`without a contract it was to be erased by ${header.retainUntil}; ${signedOn} is later`);
  }
  const retainUntil = retainAfterSignature(signedOn, months);
  return { recording: header.recording, signedOn, reference, retainUntil };
}
