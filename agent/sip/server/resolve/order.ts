/** In which order the records of a name are used. */
import type { NaptrRecord, SrvRecord } from './dns.ts';

/**
 * RFC 2782: the lowest priority first; among equals each is the next with a probability of its weight, those of weight 0
 * hardly ever before others.
 *
 * @param random from 0 up to, not including, 1
 */
export function inSrvOrder(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
  for (const priority of priorities) {
    // Weight 0 stands first, as the RFC has it: a random 0 picks it, nothing else does while others are left.
    const left = records.filter((one) => one.priority === priority).sort((a, b) => a.weight - b.weight);
    while (left.length > 0) {
      const sum = left.reduce((total, { weight }) => total + weight, 0);
      const at = Math.floor(random() * (sum + 1));
      let running = 0;
      const index = left.findIndex(({ weight }) => (running += weight) >= at);
      ordered.push(...left.splice(Math.max(0, index), 1));
    }
  }
  return ordered;
}

/** RFC 3263 section 4.1: order, then preference. */
export function inNaptrOrder(records: readonly NaptrRecord[]): NaptrRecord[] {
  return [...records].sort((a, b) => a.order - b.order || a.preference - b.preference);
}
