/** How the member of staff on a call is known, once a list of agents exists. */
import { z } from 'zod';

export const agents = z
  .strictObject({
    header: z
      .string()
      .min(1)
      .optional()
      .describe("SIP header that holds the agent's id; left out, or without it: by extension"),
    extension: z
      .boolean()
      .default(true)
      .describe(
        'whether the number on the side of the PBX is the id: caller of outbound, called of inbound calls',
      ),
    unknown: z
      .enum(['not-recorded', 'recorded'])
      .default('not-recorded')
      .describe('calls of an agent who is not on the list, once there is one'),
  })
  .prefault({});
export type AgentsConfig = z.infer<typeof agents>;
