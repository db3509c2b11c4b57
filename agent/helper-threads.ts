/**
 * V8 compiles, and looks for garbage, in a thread beside the one that carries the calls. On a core that they share the kernel lets it
 * finish its turn of some milliseconds while a call waits.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** No further: what never runs is never done, and then the calls' thread does it itself, all at once. */
const niceness = 5;

/** Puts this process's calls before V8's helper threads. Changes nothing where threads cannot be told apart (not Linux). */
export function putCallsFirst(): void {
  const lower = Math.min(getPriority() + niceness, constants.priority.PRIORITY_LOW);
  for (const thread of helperThreads()) {
    try {
      // On Linux a priority is a thread's own (setpriority(2), "C library/kernel differences").
      setPriority(thread, lower);
    } catch {
      // It has ended, or a sandbox forbids it: all run as they did.
    }
  }
}

function helperThreads(): number[] {
  try {
    return readdirSync('/proc/self/task')
      .filter((thread) => readFileSync(`/proc/self/task/${thread}/comm`, 'utf8') === 'V8Worker\n')
      .map(Number);
  } catch {
    return [];
  }
}
