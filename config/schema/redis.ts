/** Where the shared accounts of the sample are. */
import { z } from 'zod';
import { port } from './values.ts';

const address = z.strictObject({ host: z.string().min(1), port: port.default(6379) });

export const redis = z
  .strictObject({
    url: z
      .string()
      .regex(/^rediss?:\/\//u, 'a redis:// or rediss:// URL')
      .optional()
      .describe('one server; or sentinels and master; or cluster'),
    sentinels: z
      .array(z.strictObject({ host: z.string().min(1), port: port.default(26379) }))
      .min(1)
      .optional()
      .describe('sentinels that know the master'),
    master: z.string().min(1).optional().describe('the name by which the sentinels know it'),
    cluster: z.array(address).min(1).optional().describe('some nodes of a Redis Cluster'),
    username: z.string().min(1).optional().describe('ACL user; left out: the default user'),
    passwordFile: z.string().optional().describe('a file that holds the password and nothing else'),
    sentinelPasswordFile: z
      .string()
      .optional()
      .describe('the same for the sentinels, where they ask for one'),
    tls: z
      .strictObject({
        caFile: z
          .string()
          .optional()
          .describe('PEM of the authority; left out: those that the system trusts'),
        certFile: z.string().optional().describe("PEM of this agent's certificate"),
        keyFile: z.string().optional().describe('PEM of its key'),
        serverName: z.string().optional().describe('the name in the server certificate, where it differs'),
      })
      .optional()
      .describe('given, however empty: the connection is TLS'),
    replicas: z
      .int()
      .min(0)
      .max(5)
      .default(0)
      .describe('replicas that must have a selection before it is granted (WAIT); not with cluster'),
    timeoutMs: z
      .int()
      .min(1)
      .max(1_000)
      .default(20)
      .describe('budget of one reservation; then: not selected'),
  })
  .superRefine((redis, context) => {
    const say = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message, input: redis });
    const places = [redis.url, redis.sentinels, redis.cluster].filter((place) => place !== undefined);
    if (places.length !== 1) say('url', 'exactly one of url, sentinels, cluster says where Redis is');
    if ((redis.sentinels === undefined) !== (redis.master === undefined)) {
      say('master', 'sentinels and master go together');
    }
    if (redis.cluster !== undefined && redis.replicas > 0) {
      say('replicas', 'a cluster has no WAIT for one campaign; use min-replicas-to-write on its nodes');
    }
  });
