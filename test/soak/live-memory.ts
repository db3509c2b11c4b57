/**
 * Loaded into the processes under a soak before anything else: tells, after a collection, what lives in their heaps. The
 * memory that a process holds goes up and down with the collector's habits and with the audio on its way, by more than a leak would in minutes.
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
  const minute = (performance.now() - startedAt) / 60_000;
  const sample: Sample = { minute, bytes: process.memoryUsage().heapUsed };
  appendFileSync(join(into, String(process.pid)), `${JSON.stringify(sample)}\n`);
}

if (folder !== undefined && isMainThread) setInterval(() => tell(folder), everyMs).unref();
