/** Files that break exactly one import rule each. What they import is in the fixture tree. */
export const planted: Record<string, { readonly file: string; readonly imports: readonly string[] }> = {
  'main-is-imported-by-nothing': {
    file: 'libs/dev-env/src/starts-main.ts',
    imports: ['../../../services/est-ca/src/main.ts'],
  },
  'app-is-imported-by-main': { file: 'services/est-ca/src/http/starts-app.ts', imports: ['../app.ts'] },
  'main-imports-app': { file: 'services/bootstrap/src/main.ts', imports: ['./http/routes.ts'] },
  'wiring-is-imported-by-app': {
    file: 'services/est-ca/src/http/rewires.ts',
    imports: ['../wiring/crls.ts'],
  },
  'edges-do-not-import-each-other': {
    file: 'services/est-ca/src/http/sends.ts',
    imports: ['../messaging/sends.ts'],
  },
  'domain-imports-nothing-above-it': {
    file: 'services/est-ca/src/domain/answers.ts',
    imports: ['../http/routes.ts'],
  },
  'domain-imports-pki-and-contracts': {
    file: 'services/est-ca/src/domain/logs.ts',
    imports: ['@signet/service'],
  },
  'domain-imports-interfaces-only': {
    file: 'services/est-ca/src/domain/opens.ts',
    imports: ['@signet/store/sqlite'],
  },
  'domain-imports-no-driver': { file: 'services/est-ca/src/domain/queries.ts', imports: ['mongodb'] },
  'domain-is-pure': { file: 'services/est-ca/src/domain/reads.ts', imports: ['node:fs'] },
  'domain-of-admin-api-imports-down-its-ladder': {
    file: 'services/admin-api/src/domain/token/climbs.ts',
    imports: ['../queue/reached.ts'],
  },
  'domain-of-bootstrap-imports-down-its-ladder': {
    file: 'services/bootstrap/src/domain/device/climbs.ts',
    imports: ['../handoff/reached.ts'],
  },
  'domain-of-mqtt-broker-imports-down-its-ladder': {
    file: 'services/mqtt-broker/src/domain/topic/climbs.ts',
    imports: ['../session/reached.ts'],
  },
  'domain-of-provisioning-imports-down-its-ladder': {
    file: 'services/provisioning/src/domain/keys/climbs.ts',
    imports: ['../config/reached.ts'],
  },
  'domain-of-est-ca-imports-down-its-ladder': {
    file: 'services/est-ca/src/domain/certificate/climbs.ts',
    imports: ['../enrollment/enroll.ts'],
  },
  'domain-of-revocation-sync-imports-down-its-ladder': {
    file: 'services/revocation-sync/src/domain/ledger/climbs.ts',
    imports: ['../crl/reached.ts'],
  },
  'no-service-imports-another': {
    file: 'services/est-ca/src/adapters/asks.ts',
    imports: ['../../../bootstrap/src/domain/claim.ts'],
  },
  'libs-never-import-services': { file: 'libs/bus/src/knows-config.ts', imports: ['@signet/est-ca/config'] },
  'apps-talk-to-services-over-the-wire': {
    file: 'apps/cli/src/reaches-in.ts',
    imports: ['@signet/est-ca/config'],
  },
  'services-are-started-by-their-app': {
    file: 'apps/standalone/src/reaches-in.ts',
    imports: ['../../../services/est-ca/src/domain/claim.ts'],
  },
  'contracts-imports-only-zod': { file: 'libs/contracts/src/hashes.ts', imports: ['node:crypto'] },
  'pki-imports-neither-bus-nor-store': { file: 'libs/pki/src/stores.ts', imports: ['@signet/store'] },
  'async-and-files-stand-alone': { file: 'libs/async/src/knows.ts', imports: ['@signet/contracts'] },
  'store-and-bus-meet-in-sqlite': { file: 'libs/bus/src/local/peeks.ts', imports: ['@signet/store'] },
  'libs-are-entered-by-the-front-door': {
    file: 'services/est-ca/src/adapters/climbs-in.ts',
    imports: ['../../../../libs/pki/src/inner.ts'],
  },
  'nothing-imports-tests': {
    file: 'services/est-ca/src/adapters/fakes.ts',
    imports: ['@signet/store/testing'],
  },
  'process-is-touched-by-main-alone': {
    file: 'services/est-ca/src/adapters/exits.ts',
    imports: ['node:process'],
  },
  'no-cycles': { file: 'libs/store/src/circle.ts', imports: ['./circle-back.ts'] },
  'imports-resolve': { file: 'libs/store/src/nowhere.ts', imports: ['@signet/nowhere'] },
};

/** A tree that keeps every rule: what the planted files import, and the platform's allowed imports. */
export const sound: Record<string, readonly string[]> = {
  'services/est-ca/src/main.ts': ['./app.ts', './config.ts', 'node:process'],
  'services/est-ca/src/app.ts': [
    './http/routes.ts',
    './messaging/sends.ts',
    './wiring/crls.ts',
    '@signet/store/sqlite',
    'fastify',
  ],
  'services/est-ca/src/wiring/crls.ts': ['../config.ts', '../messaging/sends.ts', '../domain/claim.ts'],
  'services/est-ca/src/config.ts': ['@signet/service', 'zod'],
  'services/est-ca/src/http/routes.ts': ['../domain/claim.ts', 'fastify', '@signet/service'],
  'services/est-ca/src/messaging/sends.ts': ['../domain/claim.ts', '@signet/bus'],
  'services/est-ca/src/domain/claim.ts': [
    '@signet/pki',
    '@signet/contracts',
    '@signet/store',
    'zod',
    'node:crypto',
  ],
  'services/est-ca/src/domain/claim.unit.test.ts': ['./claim.ts', '@signet/store/testing', 'node:fs'],
  'services/admin-api/src/domain/queue/reached.ts': [],
  'services/mqtt-broker/src/domain/session/reached.ts': [],
  'services/provisioning/src/domain/config/reached.ts': ['../keys/below.ts'],
  'services/provisioning/src/domain/keys/below.ts': [],
  'services/bootstrap/src/domain/handoff/reached.ts': ['../device/below.ts'],
  'services/bootstrap/src/domain/device/below.ts': [],
  'services/revocation-sync/src/domain/crl/reached.ts': ['../ledger/below.ts'],
  'services/revocation-sync/src/domain/ledger/below.ts': [],
  'services/bootstrap/src/app.ts': [],
  'services/est-ca/src/domain/enrollment/enroll.ts': [],
  'services/bootstrap/src/http/routes.ts': [],
  'services/bootstrap/src/domain/claim.ts': [],
  'libs/async/src/index.ts': [],
  'libs/contracts/src/index.ts': ['zod'],
  'libs/pki/src/index.ts': ['@signet/contracts', './inner.ts'],
  'libs/pki/src/inner.ts': [],
  'libs/store/src/index.ts': ['@signet/contracts'],
  'libs/store/src/sqlite/index.ts': ['node:sqlite'],
  'libs/store/src/testing.ts': [],
  'libs/store/src/circle-back.ts': ['./circle.ts'],
  'libs/bus/src/index.ts': ['@signet/contracts'],
  'libs/service/src/index.ts': ['fastify', '@signet/bus', '@signet/store'],
  'libs/dev-env/src/index.ts': ['@signet/est-ca', '@signet/est-ca/config'],
  'apps/standalone/src/main.ts': ['@signet/est-ca', '@signet/est-ca/config'],
  'apps/cli/src/main.ts': ['@signet/contracts'],
};
