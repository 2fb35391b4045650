/**
 * The nouns of each service's domain, the lowest first: a noun imports those before it, never one after it. The service's
 * README draws the same line.
 */
const ladders = {
  'est-ca': [
    ...[
      'est',
      'authority',
      'commands',
      'grant',
      'certificate',
      'account',
      'expiry',
      'crl',
      'ocsp',
      'retention',
    ],
    ...['root-rollover', 'profile', 'attestation', 'renewal', 'approval', 'enrollment', 'server-keygen'],
  ],
  'admin-api': ['budget', 'token', 'audit', 'account', 'device', 'idempotency', 'queue'],
  bootstrap: [
    ...['refusals', 'documents', 'account', 'device', 'factory', 'claim'],
    ...['redirect', 'handoff', 'hook', 'registration', 'flotta', 'lmp'],
  ],
  'mqtt-broker': ['topic', 'account', 'session', 'connect', 'provisioning'],
  'revocation-sync': ['documents', 'denial', 'ledger', 'devices', 'denylist', 'crl', 'brokers'],
  provisioning: [
    ...['documents', 'devices', 'keys', 'config', 'groups', 'layers', 'rotation'],
    ...['credentials', 'requests', 'updates', 'campaigns', 'departure'],
  ],
};

module.exports = { ladders };
