/**
 * Short numbers that reach emergency services and the help lines that carriers must put through free of charge, by
 * country: a call to one of them is carried untouched and never sampled. 112 (EU) and 911 (3GPP TS 22.101 section 10.1)
 * count everywhere. Published by each country's regulator; `routing.emergency.numbers` adds what is missing.
 */
export const emergencyNumbers = {
  // Arcep, liste des numeros d'urgence: SAMU, police, fire, social, sea, air, children, hearing-impaired, missing children.
  FR: ['15', '17', '18', '112', '114', '115', '116000', '116117', '119', '191', '196', '197'],
  BE: ['100', '101', '102', '103', '106', '107', '110', '112', '116000'],
  CH: ['112', '117', '118', '143', '144', '145', '147', '1414'],
  LU: ['112', '113', '116000'],
  DE: ['110', '112', '116116', '116117'],
  AT: ['112', '122', '133', '140', '141', '142', '144', '147'],
  ES: ['016', '061', '062', '080', '085', '088', '091', '092', '112', '116000'],
  PT: ['112', '115', '116000', '117', '144'],
  IT: ['112', '113', '114', '115', '118', '1530', '116000'],
  NL: ['112', '113', '116000'],
  GB: ['101', '105', '111', '112', '116123', '999'],
  IE: ['112', '999', '116000'],
  US: ['911', '933', '988'],
  CA: ['911', '988', '811'],
  MA: ['15', '19', '112', '150', '177', '190'],
  TN: ['190', '193', '197', '198'],
  SN: ['15', '17', '18', '800', '1515'],
  MG: ['117', '118', '124'],
  MU: ['112', '114', '115', '999'],
  CI: ['110', '111', '170', '180', '185'],
} as const satisfies Record<string, readonly string[]>;

export type EmergencyCountry = keyof typeof emergencyNumbers;

/** Everywhere, whatever countries are configured. */
export const emergencyEverywhere: readonly string[] = ['112', '911', '999'];
