/** The media plane: addresses, ports, threads. */
import { z } from 'zod';
import { port } from './values.ts';

const rtpengine = z.strictObject({
  host: z.string().describe('address or name at which the server takes NG over UDP (its `listen-ng`)'),
  port: port.default(2223).describe('UDP port of NG'),
  weight: z.int().min(1).max(1_000).default(1).describe('its share of the calls beside the other servers'),
});

const latching = z
  .enum(['signalled', 'address'])
  .describe(
    'from whom RTP is taken: only from the address and port in the SDP, or (NAT) from any port of that address',
  );

const networkInterface = z.strictObject({
  address: z.string().describe('local address of RTP sockets'),
  advertise: z.string().optional().describe('address in SDP where it differs (static NAT)'),
  latching: latching.default('signalled'),
});

export const media = z
  .strictObject({
    plane: z
      .enum(['relay', 'rtpengine'])
      .default('relay')
      .describe('what carries the media of selected calls: the embedded relay, or rtpengine servers'),
    rtpengine: z
      .array(rtpengine)
      .max(64)
      .default([])
      .describe('the servers; a call stays at the one that took it, new calls go to those that are up'),
    address: z
      .string()
      .default('127.0.0.1')
      .describe(
        'local address of RTP sockets, and what SDP says; with rtpengine: where its servers reach this host',
      ),
    advertise: z.string().optional().describe('address in SDP where it differs (static NAT)'),
    latching: latching.default('signalled'),
    outside: networkInterface.optional().describe("interface of the customer's side, where it is another"),
    inside: networkInterface.optional().describe("interface of the call centre's side, where it is another"),
    ports: z
      .strictObject({ min: z.int().min(1024).max(65534), max: z.int().min(1025).max(65535) })
      .refine(({ min, max }) => min < max, { error: 'min below max' })
      .default({ min: 20_000, max: 29_999 })
      .describe('UDP ports of RTP sockets, two for each side of a recorded call'),
    workers: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('threads that carry media; by default one a core, one core left for signalling'),
  })
  .refine(({ plane, rtpengine }) => plane === 'relay' || rtpengine.length > 0, {
    error: 'plane rtpengine needs at least one server',
    path: ['rtpengine'],
  })
  .prefault({});
