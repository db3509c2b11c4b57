/** A thread in which artefacts are made, one after the other, when the machine has nothing more urgent. */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../config/errors.ts';
import { makeArtefact, type ArtefactOrder } from './artefact.ts';
import type { RecordingDetails } from './catalogue.ts';

export type Made = { details: RecordingDetails } | { problem: string };

/** Live recordings go first, and before them calls: nobody waits for an artefact. */
const niceness = 5;
// On Linux a priority is a thread's own (setpriority(2), "C library/kernel differences").
setPriority(0, niceness);

parentPort!.on('message', (order: ArtefactOrder) => {
  void make(order).then((made) => parentPort!.postMessage(made));
});

async function make(order: ArtefactOrder): Promise<Made> {
  try {
    return { details: await makeArtefact(order) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
