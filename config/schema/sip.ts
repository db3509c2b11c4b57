/** The SIP side: listeners, limits, the external server, how long things may take. */
import { z } from 'zod';
import { name, port } from './values.ts';

const tls = z.strictObject({
  certificate: z
    .string()
    .describe(
      'PEM file: our certificate, its issuers after it; read again when it changes, refused past its end',
    ),
  key: z.string().describe('PEM file: its private key'),
  ca: z
    .string()
    .optional()
    .describe(
      "PEM file: who may sign peers' certificates; left out: the public authorities that come with Node",
    ),
  clientCertificate: z
    .enum(['none', 'request', 'require'])
    .default('none')
    .describe('of those who connect to us; one that is given must be good'),
  verifyServer: z
    .enum(['name', 'chain'])
    .default('name')
    .describe('of those we connect to: the name in the URI and the chain, or the chain alone'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
});

const listen = z
  .strictObject({
    name: name
      .default('default')
      .describe('the side of the network, e.g. "inside"; listeners of several transports may share it'),
    transport: z.enum(['udp', 'tcp', 'tls']).default('udp'),
    address: z.string().default('127.0.0.1').describe('local address to bind, IPv4 or IPv6'),
    port: port.optional().describe('left out: 5060, for TLS 5061; 0 takes any free port'),
    advertise: z
      .string()
      .optional()
      .describe('address that peers are told in Via and Contact, where it is not the bound one (static NAT)'),
    tls: tls.optional().describe('needed for transport "tls"'),
  })
  .superRefine(({ transport, tls: given }, context) => {
    if ((transport === 'tls') === (given !== undefined)) return;
    const message =
      transport === 'tls'
        ? 'transport "tls" needs a certificate and a key'
        : `transport "${transport}" has no TLS settings`;
    context.addIssue({ code: 'custom', path: ['tls'], message, input: given });
  });

const limits = z
  .strictObject({
    invitesPerSecond: z
      .int()
      .min(1)
      .max(10_000)
      .default(200)
      .describe('new calls from one address on average, twice as many at once; the excess gets 503'),
    othersPerSecond: z
      .int()
      .min(1)
      .max(10_000)
      .default(200)
      .describe('OPTIONS, REGISTER, MESSAGE and the like outside calls, from one address'),
    connections: z.int().min(1).max(60_000).default(2_000).describe('TCP and TLS, of each listener'),
    connectionsPerSource: z.int().min(1).max(60_000).default(64).describe('of these, from one address'),
    messageBytes: z
      .int()
      .min(4_096)
      .max(65_535)
      .default(65_535)
      .describe('a longer message over TCP or TLS gets 413 and its connection is closed'),
    udpBytes: z
      .int()
      .min(500)
      .max(65_535)
      .default(1_300)
      .describe('longer requests go by TCP where there is a TCP listener, by UDP if the peer takes no TCP'),
  })
  .prefault({});

export const sip = z
  .strictObject({
    listen: z
      .array(listen)
      .min(1)
      .default([{ name: 'default', transport: 'udp', address: '127.0.0.1', port: 5060 }]),
    limits,
    dns: z
      .array(z.string())
      .optional()
      .describe('DNS servers, "address" or "address:port"; left out: those of the system'),
    drachtio: z
      .strictObject({ host: z.string(), port: port.default(9022), secret: z.string() })
      .optional()
      .describe('an external drachtio-server instead of the embedded SIP server'),
    ringingTone: z
      .enum(['FR', 'UK', 'US', 'DE', 'ES'])
      .default('FR')
      .describe('tone plan of what the caller hears'),
    answerTimeoutSeconds: z.int().min(1).max(600).default(90).describe('how long a peer may ring'),
    sessionExpiresSeconds: z
      .int()
      .min(90)
      .max(86_400)
      .default(1_800)
      .describe('how often each leg is asked whether its peer is still there (RFC 4028)'),
    mediaTimeoutSeconds: z
      .int()
      .min(2)
      .max(3_600)
      .default(60)
      .describe(
        'after this long without audio from either side of a recorded call, not on hold, peers that no longer answer end it',
      ),
    transfers: z
      .enum(['pass', 'handle'])
      .default('pass')
      .describe(
        'a REFER within a call: passed to the other side, or carried out by Tacet, also between two calls of ours; a recording follows',
      ),
    maxCallMinutes: z.int().min(1).max(1_440).default(240).describe('a longer call is ended'),
  })
  .prefault({});
