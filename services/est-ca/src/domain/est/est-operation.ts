/**
 * The operations of RFC 7030 §3.2.2, and ours: the time of a renewal (in the manner of RFC 9773), and the proof that a
 * TPM holds a key. Path segment → method.
 */
export const estOperations: ReadonlyMap<string, 'GET' | 'POST'> = new Map([
  ['cacerts', 'GET'],
  ['csrattrs', 'GET'],
  ['simpleenroll', 'POST'],
  ['simplereenroll', 'POST'],
  ['fullcmc', 'POST'],
  ['serverkeygen', 'POST'],
  ['renewal-info', 'GET'],
  ['attestation-nonce', 'GET'],
  ['attestation-challenge', 'POST'],
  ['attestation', 'POST'],
]);
