import { join } from 'node:path';
import { createLogger, openBackbone } from '@signet/service';
import { keyFolder } from '../../src/adapters/key-stores.ts';
import { openCollections } from '../../src/collections.ts';
import { ensureHierarchy } from '../../src/domain/authority/ensure-hierarchy.ts';
import { publicUrls } from '../../src/domain/authority/revocation-urls.ts';

/** Makes the platform's CAs in the folder given as argument: a child process for tests that kill it in the middle. */
const [dataDir = ''] = process.argv.slice(2);
const log = createLogger({ service: 'first-start', level: 'silent' });
await using backbone = await openBackbone({
  store: `sqlite:${join(dataDir, 'signet.db')}`,
  bus: 'local',
  dataDir,
  name: 'first-start',
  log,
});
const { authorities } = await openCollections(backbone.store);
const keys = await keyFolder(join(dataDir, 'est-ca', 'keys'));
const urls = publicUrls('http://localhost:8081');
const held = await ensureHierarchy({ authorities, keys, trustDomain: 'signet.local', urls, now: Date.now });
process.stdout.write(`${JSON.stringify(held.map(({ document }) => [document.id, document.subjectKeyId]))}\n`);
