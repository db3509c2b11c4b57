import { expect } from 'vitest';
import type { SippResult } from '../peers/sipp.ts';

/** The text of the first message that a SIPp sent or received with such a start line. It must be there. */
export function textOf(result: SippResult, direction: 'sent' | 'received', start: RegExp): string {
  const found = result.messages.find((each) => each.direction === direction && start.test(each.startLine));
  expect(found, `${direction} ${start}\n${result.errors}`).toBeDefined();
  return found!.text.replaceAll('\r', '');
}
