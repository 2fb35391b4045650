import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { newEvent, setDeviceConfig } from '@signet/contracts';
import { deviceTlsOptions, encodePem } from '@signet/pki';
import { startProvisioning } from '@signet/provisioning';
import { provisioningConfig } from '@signet/provisioning/config';
import { parseConfig } from '@signet/service';
import { openTestFixture } from '@signet/service/testing';

/**
 * The provisioning service with its gateway in embedded mode (SQLite file, local bus, deny list), with one device that
 * has keys and a config; or, told `bare` first, an https server with the options of our listener that answers 304.
 */
const ACCOUNT = 'bench';
const DEVICE = 'dev-1';

async function gateway() {
  const fixture = await openTestFixture();
  const config = parseConfig(provisioningConfig, {
    SIGNET_DATA_DIR: fixture.dataDir,
    SIGNET_GATEWAY_PORT: '0',
    SIGNET_BIND: '127.0.0.1',
  });
  const service = await startProvisioning(config, fixture.deps);
  const device = fixture.pki.operational(ACCOUNT, DEVICE);
  const { fingerprint, authorityKeyId = '', publicKeyHash, serialNumber, spkiDer } = device.certificate;
  const { bus } = fixture.deps;
  const data = {
    ...{ deviceId: DEVICE, fingerprint, publicKeyHash, serialNumber, issuerKeyId: authorityKeyId },
    ...{ profile: ACCOUNT, publicKey: encodePem('PUBLIC KEY', spkiDer) },
    notBefore: new Date(device.certificate.notBefore).toISOString(),
    notAfter: new Date(device.certificate.notAfter).toISOString(),
  };
  await bus.publish([newEvent('CERT_ISSUED', { account: ACCOUNT, subject: DEVICE, data, time: Date.now() })]);
  const files = Array.from({ length: 5 }, (_, i) => ({
    name: `f${i}`,
    value: 'x'.repeat(200),
    unencrypted: true,
  }));
  await bus.request(setDeviceConfig, { account: ACCOUNT, deviceId: DEVICE, files, by: 'bench' });
  const server = fixture.pki.serverIdentity();
  return {
    ...{ port: service.ports.gateway, cert: device.cert, key: device.key, ca: fixture.pki.trustAnchors },
    server: { cert: server.cert, key: server.key },
  };
}

async function bare(identity: { readonly cert: string; readonly key: string }) {
  const server = createServer(deviceTlsOptions(identity), (request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(304, { etag: '"1"' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port };
}

process.once('message', (asked: { bare?: { cert: string; key: string } }) => {
  const started = asked.bare === undefined ? gateway() : bare(asked.bare);
  started.then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ value: (user + system) / 1000 });
  });
});
process.on('disconnect', () => process.exit());
