/** How calls find their way, and which are never touched. */
import { z } from 'zod';
import { emergencyNumbers, type EmergencyCountry } from '../emergency-numbers.ts';
import { headerLists } from './headers.ts';
import { name, numberPattern } from './values.ts';

const countries = Object.keys(emergencyNumbers) as [EmergencyCountry, ...EmergencyCountry[]];

export const routing = z
  .strictObject({
    firstResponseMs: z
      .int()
      .min(200)
      .max(32_000)
      .default(2_000)
      .describe('a peer that says nothing for so long is passed over, if there is another to try'),
    attempts: z.int().min(1).max(20).default(4).describe('peers tried for one call'),
    headers: headerLists.describe('headers that cross from one leg to the other, to all peers'),
    emergency: z
      .strictObject({
        countries: z
          .array(z.enum(countries))
          .default(['FR'])
          .describe('whose emergency numbers pass untouched and unsampled'),
        numbers: z.array(numberPattern).default([]).describe('more of them, as the PBX dials them'),
        routes: z
          .array(name)
          .default([])
          .describe(
            'peers and groups that take these calls; left out: the routes of the peer they come from',
          ),
      })
      .prefault({}),
    bypass: z
      .array(numberPattern)
      .default([])
      .describe('called numbers that pass untouched and unsampled, whatever a campaign says'),
    maxPasses: z
      .int()
      .min(1)
      .max(10)
      .default(3)
      .describe('times that one call may come through this site; then: 482'),
    siteSecret: z
      .string()
      .min(16)
      .optional()
      .describe('signs calls so that they are known when they come back; agents of one site share it'),
  })
  .prefault({});
