/** The crypto suites of SRTP that Tacet speaks (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14). */

export type SuiteName =
  | 'AES_CM_128_HMAC_SHA1_80'
  | 'AES_CM_128_HMAC_SHA1_32'
  | 'AES_256_CM_HMAC_SHA1_80'
  | 'AES_256_CM_HMAC_SHA1_32'
  | 'AEAD_AES_128_GCM'
  | 'AEAD_AES_256_GCM';

export interface Suite {
  name: SuiteName;
  /** AES in Galois/counter mode authenticates by itself; counter mode goes with HMAC-SHA1. */
  aead: boolean;
  keyBytes: 16 | 32;
  saltBytes: 12 | 14;
  tagBytes: number;
  /** Control packets keep the long tag also where the short one was chosen (RFC 4568 section 6.2.2). */
  rtcpTagBytes: number;
}

function counterMode(name: SuiteName, keyBytes: 16 | 32, tagBytes: number): Suite {
  return { name, aead: false, keyBytes, saltBytes: 14, tagBytes, rtcpTagBytes: 10 };
}

function galois(name: SuiteName, keyBytes: 16 | 32): Suite {
  return { name, aead: true, keyBytes, saltBytes: 12, tagBytes: 16, rtcpTagBytes: 16 };
}

export const suites: Readonly<Record<SuiteName, Suite>> = {
  AEAD_AES_256_GCM: galois('AEAD_AES_256_GCM', 32),
  AEAD_AES_128_GCM: galois('AEAD_AES_128_GCM', 16),
  AES_256_CM_HMAC_SHA1_80: counterMode('AES_256_CM_HMAC_SHA1_80', 32, 10),
  AES_CM_128_HMAC_SHA1_80: counterMode('AES_CM_128_HMAC_SHA1_80', 16, 10),
  AES_256_CM_HMAC_SHA1_32: counterMode('AES_256_CM_HMAC_SHA1_32', 32, 4),
  AES_CM_128_HMAC_SHA1_32: counterMode('AES_CM_128_HMAC_SHA1_32', 16, 4),
};

/**
 * What we offer, best first. Not all that we take: every line costs a hundred bytes of an INVITE that should fit in one
 * datagram, and who speaks AES_256_CM speaks one of these too.
 */
export const offeredSuites: readonly SuiteName[] = [
  'AEAD_AES_256_GCM',
  'AEAD_AES_128_GCM',
  'AES_CM_128_HMAC_SHA1_80',
  'AES_CM_128_HMAC_SHA1_32',
];

export function isSuite(name: string): name is SuiteName {
  return Object.hasOwn(suites, name);
}

/** The most that protecting adds to a packet: the longest tag, and the index of a control packet. */
export const largestOverheadBytes = 20;
