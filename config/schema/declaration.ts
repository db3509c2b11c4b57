/** What a campaign declares to the law: its references, and the tools under which recordings leave the EU. */
import { z } from 'zod';
import { isoDate, place } from './values.ts';

const reference = z.string().min(1);

/** Each key opens a gate of the law packs (`agent/law/gates.ts`); a date in the future does not. */
export const mandate = z
  .strictObject({
    registerEntry: reference.optional().describe('entry in the register of processing (GDPR Art. 30)'),
    dpia: reference.optional().describe('reference of the impact assessment (GDPR Art. 35)'),
    instruction: reference
      .optional()
      .describe("the controller's written instruction to the processor (GDPR Art. 28(3)(a))"),
    staffConsultedOn: isoDate
      .optional()
      .describe('works council (CSE, Betriebsrat, OR) consulted on, before the start'),
    agentsNoticeOn: isoDate.optional().describe('each agent informed in person by'),
    agentsConsent: reference.optional().describe("the agents' consent, where their law asks for it"),
    unionAgreement: reference.optional().describe('union agreement or labour inspectorate permit (IT)'),
    authorityDeclaration: reference
      .optional()
      .describe('declaration to or authorisation by CNDP, INPDP, CDP, CMIL'),
    authorityTransfer: reference
      .optional()
      .describe('authorisation to send data out of that country (MA, TN)'),
    priorOptIn: reference
      .optional()
      .describe('proof of consent to be called, or why none is needed (FR, Code de la consommation L223-1)'),
    noOtherProof: reference.optional().describe('why nothing else proves the contract (CNIL, 25 April 2022)'),
    recordedPersons: reference
      .optional()
      .describe('list of the persons whose calls must be recorded (MiFID II)'),
  })
  .prefault({});

const clauses = z.strictObject({
  module: z.union([z.literal(2), z.literal(3)], '2 (controller to processor) or 3 (processor to processor)'),
  signedOn: isoDate,
});

/** One place outside the EU, and why recordings may be kept or heard there (GDPR chapter V). */
export const transfer = z.strictObject({
  to: place.describe('a storage or listening place outside the EEA'),
  tool: z
    .string()
    .regex(
      /^[a-z0-9-]+$/u,
      'a tool of config/law/transfers.yaml, e.g. "scc-2021-914", "bcr", "dpf", "adequacy"',
    )
    .describe('"scc-2021-914", "bcr", "dpf", or "adequacy" where the decision covers some recipients only'),
  module: clauses.shape.module.optional().describe('of the clauses of Decision (EU) 2021/914'),
  signedOn: isoDate.optional().describe('date of the clauses'),
  assessment: reference.optional().describe('transfer impact assessment; needed with clauses and BCR'),
  reference: reference
    .optional()
    .describe("approval of the BCR, or the recipient's name for a partial adequacy"),
  name: reference.optional().describe('name on the DPF certificate'),
  checkedOn: isoDate.optional().describe('when the DPF list was looked up; good for a year'),
  fallback: clauses.optional().describe('clauses that take over should the DPF fall; needed with "dpf"'),
});
export type Transfer = z.infer<typeof transfer>;
