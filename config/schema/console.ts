/** Where supervisors' tools reach the HTTP API. */
import { z } from 'zod';
import { port } from './values.ts';

const loopback = /^(?:127\.|::1$|localhost$)/u;

export const consoleApi = z
  .strictObject({
    address: z.string().default('127.0.0.1').describe('outside loopback only with tls'),
    port: port.default(9465),
    tls: z
      .strictObject({
        certificate: z.string().describe('PEM, its issuers after it'),
        key: z.string().describe('PEM, not encrypted'),
      })
      .optional(),
  })
  .superRefine(({ address, tls }, context) => {
    if (tls !== undefined || loopback.test(address)) return;
    context.addIssue({
      code: 'custom',
      path: ['tls'],
      message: `tokens do not cross a network in clear: give tls, or listen on loopback instead of ${address}`,
      input: tls,
    });
  });
