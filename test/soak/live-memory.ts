/**
 * Loaded into the processes under a soak before anything else: tells, after a collection, what lives in them. The memory
 * that a process holds goes up and down with the collector's habits, by more than a leak would in minutes.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import type { Sample } from './memory.ts';

const everyMs = 5_000;
const folder = process.env['SOAK_MEMORY'];
const startedAt = performance.now();

function tell(into: string): void {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const sample: Sample = {
    minute: (performance.now() - startedAt) / 60_000,
    bytes: heapUsed + external,
  };
  appendFileSync(join(into, String(process.pid)), `${JSON.stringify(sample)}\n`);
}

if (folder !== undefined && isMainThread) setInterval(() => tell(folder), everyMs).unref();
