import process from 'node:process';
import { createGrant } from '@signet/contracts';
import { openConfiguredAdmission, openRuntime, parseConfig } from '@signet/service';
import { startEstCa } from '../../src/app.ts';
import { estCaConfig } from '../../src/config.ts';

/** The EST service as a process that a test may kill. Arguments: folder, then devices that get a grant. */
const [dataDir = '', ...devices] = process.argv.slice(2);
const config = parseConfig(estCaConfig, {
  SIGNET_DATA_DIR: dataDir,
  SIGNET_STORE: `sqlite:${dataDir}/signet.db`,
  SIGNET_BIND: '127.0.0.1',
  SIGNET_EST_PORT: '0',
  SIGNET_EST_HTTP_PORT: '0',
  SIGNET_HEALTH_PORT: '0',
  SIGNET_LOG_LEVEL: 'silent',
});
const runtime = await openRuntime('est-ca', config);
const admission = await openConfiguredAdmission(config, runtime.deps);
const service = await startEstCa(config, { ...runtime.deps, admission });
await admission.trust.whenLoaded();
const grants: string[] = [];
for (const deviceId of devices) {
  const fingerprint = 'f'.repeat(64);
  grants.push(
    (await runtime.deps.bus.request(createGrant, { account: 'acme', deviceId, fingerprint })).grant,
  );
}
const stop = async (): Promise<void> => {
  for (const part of [service, admission, runtime]) await part[Symbol.asyncDispose]();
  process.exit();
};
process.once('SIGTERM', () => void stop());
process.send?.({ port: service.estPort, anchors: admission.trust.anchors().join(''), grants });
