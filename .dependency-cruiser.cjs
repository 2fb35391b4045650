/**
 * The import rules of the platform. Each rule is one sentence of its comment; tests/structure plants a violation
 * of each and demands that it is caught.
 */
const test = '\\.test\\.ts$|^services/[^/]+/test/|^tests/|/testing(\\.ts$|/)';
// mqtt is to the broker what http is to the others
const edge = '(http|mqtt|rpc|consumers|jobs|messaging|adapters)';
const domain = `^services/[^/]+/src/(?!${edge}/|wiring/|(main|app|config|collections|context)\\.ts$)`;

const { ladders } = require('./.dependency-ladders.cjs');

const ladderRules = Object.entries(ladders).flatMap(([service, nouns]) =>
  nouns.slice(0, -1).map((noun, step) => ({
    name: `domain-of-${service}-imports-down-its-ladder`,
    comment: `The nouns in the domain of ${service} import one another downwards only: ${nouns.join(', ')}.`,
    severity: 'error',
    from: { path: `^services/${service}/src/domain/${noun}/`, pathNot: test },
    to: { path: `^services/${service}/src/domain/(${nouns.slice(step + 1).join('|')})/` },
  })),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'main-is-imported-by-nothing',
      comment: 'main.ts is where a process starts: nothing imports it.',
      severity: 'error',
      from: {},
      to: { path: '^services/[^/]+/src/main\\.ts$' },
    },
    {
      name: 'app-is-imported-by-main',
      comment:
        'app.ts wires a service; only main.ts, the apps, tests and benches that run it, and dev-env import it.',
      severity: 'error',
      from: {
        pathNot: ['^services/[^/]+/src/main\\.ts$', '^apps/standalone/', '^bench/', '^libs/dev-env/', test],
      },
      to: { path: '^services/[^/]+/src/app\\.ts$' },
    },
    {
      name: 'main-imports-app',
      comment: 'main.ts reads the process and starts the app; what the app is made of it leaves to app.ts.',
      severity: 'error',
      from: { path: '^services/[^/]+/src/main\\.ts$' },
      to: { path: '^services/', pathNot: '^services/[^/]+/src/(app|config)\\.ts$' },
    },
    {
      name: 'wiring-is-imported-by-app',
      comment: 'wiring holds the parts of app.ts where one file would be too long: only app.ts imports it.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: ['^services/[^/]+/src/(app\\.ts$|wiring/)', test] },
      to: { path: '^services/[^/]+/src/wiring/' },
    },
    {
      name: 'edges-do-not-import-each-other',
      comment: 'http, rpc, consumers, jobs and adapters do not import each other.',
      severity: 'error',
      from: { path: `^services/([^/]+)/src/${edge}/`, pathNot: test },
      to: { path: `^services/[^/]+/src/${edge}/`, pathNot: '^services/$1/src/$2/' },
    },
    {
      name: 'domain-imports-nothing-above-it',
      comment:
        'The domain imports neither http, rpc, consumers, jobs and adapters nor the app, its configuration or main.',
      severity: 'error',
      from: { path: domain, pathNot: test },
      to: { path: `^services/[^/]+/src/(${edge}/|config\\.ts$)` },
    },
    {
      name: 'domain-imports-pki-and-contracts',
      comment:
        'Of the libraries the domain imports pki, attestation, contracts and async, and of store, bus and denylist the interfaces.',
      severity: 'error',
      from: { path: domain, pathNot: test },
      to: { path: '^libs/', pathNot: '^libs/(pki|attestation|async|contracts|store|bus|denylist)/' },
    },
    {
      name: 'domain-imports-interfaces-only',
      comment:
        'Of store, bus and denylist the domain imports types and errors (tests/structure watches the names), no engine.',
      severity: 'error',
      from: { path: domain, pathNot: test },
      to: {
        path: '^libs/(store|bus|denylist)/',
        pathNot: '^libs/(store|bus|denylist)/src/index\\.ts$',
      },
    },
    {
      name: 'domain-imports-no-driver',
      comment: 'The domain imports no driver, no Fastify, no other package but zod.',
      severity: 'error',
      from: { path: domain, pathNot: test },
      to: { path: '^node_modules/', pathNot: '^node_modules/zod/' },
    },
    {
      name: 'domain-is-pure',
      comment:
        'The domain imports no part of Node that does input or output (of net only isIP: tests/structure watches).',
      severity: 'error',
      from: { path: domain, pathNot: test },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|util|buffer|url|assert|net)$' },
    },
    ...ladderRules,
    {
      name: 'no-service-imports-another',
      comment: 'No service imports another: they meet in events and operations.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'libs-never-import-services',
      comment:
        'Libraries never import services or apps; dev-env, which boots the platform, is the exception.',
      severity: 'error',
      from: { path: '^libs/(?!dev-env/)' },
      to: { path: '^(services|apps)/' },
    },
    {
      name: 'apps-talk-to-services-over-the-wire',
      comment: 'Apps other than standalone import no service.',
      severity: 'error',
      from: { path: '^apps/(?!standalone/)' },
      to: { path: '^services/', pathNot: '^services/[^/]+/src/(app|main)\\.ts$' },
    },
    {
      name: 'services-are-started-by-their-app',
      comment: 'standalone and dev-env import of a service its app and its configuration.',
      severity: 'error',
      from: { path: '^(apps/standalone|libs/dev-env)/' },
      to: { path: '^services/', pathNot: '^services/[^/]+/src/(app|config|main)\\.ts$' },
    },
    {
      name: 'contracts-imports-only-zod',
      comment: 'contracts imports nothing but zod.',
      severity: 'error',
      from: { path: '^libs/contracts/', pathNot: test },
      to: { pathNot: ['^libs/contracts/', '^node_modules/zod/'] },
    },
    {
      name: 'pki-imports-neither-bus-nor-store',
      comment: 'pki imports neither bus nor store, nor any other library but contracts.',
      severity: 'error',
      from: { path: '^libs/pki/', pathNot: test },
      to: { path: '^libs/', pathNot: '^libs/(pki|contracts)/' },
    },
    {
      name: 'async-and-files-stand-alone',
      comment: 'async and files import nothing of ours.',
      severity: 'error',
      from: { path: '^libs/(async|files)/', pathNot: test },
      to: { path: '^(libs|services|apps)/', pathNot: '^libs/(async|files)/' },
    },
    {
      name: 'store-and-bus-meet-in-sqlite',
      comment: 'store and bus do not import each other: what both need of SQLite is in libs/sqlite.',
      severity: 'error',
      from: { path: '^libs/(store|bus|sqlite)/', pathNot: test },
      to: { path: '^libs/(store|bus|service)/', pathNot: '^libs/$1/' },
    },
    {
      name: 'libs-are-entered-by-the-front-door',
      comment: 'A package is imported by its name, which leads to an index.ts or to its testing.ts.',
      severity: 'error',
      from: { path: '^(?:libs|services|apps|bench)/([^/]+)/' },
      to: {
        path: '^libs/[^/]+/src/',
        pathNot: ['^libs/$1/', '/index\\.ts$', '^libs/[^/]+/src/testing\\.ts$'],
      },
    },
    {
      name: 'nothing-imports-tests',
      comment: 'What runs in production imports no test, no test double and no fixture.',
      severity: 'error',
      from: { path: '^(libs|services|apps)/', pathNot: test },
      to: { path: test },
    },
    {
      name: 'process-is-touched-by-main-alone',
      comment: 'Of a service only main.ts touches the process (the linter watches the global of that name).',
      severity: 'error',
      from: { path: '^services/', pathNot: [test, '^services/[^/]+/src/main\\.ts$', domain] },
      to: { path: '^(node:)?process$' },
    },
    {
      name: 'no-cycles',
      comment: 'Imports of what runs make no circle.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'imports-resolve',
      comment: 'Every import leads somewhere; else no rule could see where.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/fixtures/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
