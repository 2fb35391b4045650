/** The operations of RFC 7030 §3.2.2: path segment → method. */
export const estOperations: ReadonlyMap<string, 'GET' | 'POST'> = new Map([
  ['cacerts', 'GET'],
  ['csrattrs', 'GET'],
  ['simpleenroll', 'POST'],
  ['simplereenroll', 'POST'],
  ['fullcmc', 'POST'],
  ['serverkeygen', 'POST'],
]);
