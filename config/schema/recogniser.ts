/** Who understands speech for a site. */
import { z } from 'zod';
import { language } from './values.ts';

export const recogniser = z
  .strictObject({
    url: z
      .string()
      .regex(/^wss?:\/\/\S+$/u, 'ws:// or wss://')
      .optional()
      .describe(
        'a server that speaks the protocol of Vosk\'s WebSocket server, e.g. "ws://127.0.0.1:2700"; this or `model`',
      ),
    model: z
      .string()
      .min(1)
      .optional()
      .describe(
        'folder with a streaming model for sherpa-onnx, relative to this file, run in a process beside the agent; needs the package sherpa-onnx-node',
      ),
    languages: z.array(language).min(1).describe('what its model understands'),
  })
  .superRefine((place, context) => {
    if ((place.url === undefined) === (place.model === undefined)) {
      const message = 'exactly one of url, model says who understands';
      context.addIssue({ code: 'custom', path: ['url'], message, input: place });
    }
  });
