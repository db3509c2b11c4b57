/** The media plane: addresses, ports, threads. */
import { z } from 'zod';

export const media = z
  .strictObject({
    address: z.string().default('127.0.0.1').describe('local address of RTP sockets, and what SDP says'),
    advertise: z.string().optional().describe('address in SDP where it differs (static NAT)'),
    ports: z
      .strictObject({ min: z.int().min(1024).max(65534), max: z.int().min(1025).max(65535) })
      .refine(({ min, max }) => min < max, { error: 'min below max' })
      .default({ min: 20_000, max: 29_999 })
      .describe('UDP ports of RTP sockets, two for each recorded call'),
    workers: z.int().min(1).max(64).default(1).describe('threads that carry media'),
  })
  .prefault({});
