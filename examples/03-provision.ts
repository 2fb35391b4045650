/**
 * A device that is provisioned over MQTT, on one connection: it asks for its bundle, sends a CSR along, and keeps what
 * comes beside its bootstrap certificate.
 *   npx node examples/03-provision.ts <device folder> <client id> <user name> <password> [<CSR in PEM>]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { connectAsync } from 'mqtt';

const [folder = '.', clientId = '', username = '', password = '', csrFile] = process.argv.slice(2);
const file = (name: string) => `${folder}/${name}`;
const url = process.env.PROVISIONING_URL ?? 'mqtts://localhost:8884';
const topic = (way: string) => `$signet/${clientId}/provisioning/${way}`;

const device = await connectAsync(url, {
  // both are needed: the certificate in the handshake, the password in CONNECT
  ...{ cert: readFileSync(file('bootstrap.crt')), key: readFileSync(file('bootstrap.key')) },
  ...{ ca: readFileSync(file('trust.pem')), clientId, username, password, reconnectPeriod: 0 },
});
const reply = new Promise<Buffer>((resolve) => device.once('message', (_topic, body) => resolve(body)));
await device.subscribeAsync(topic('reply'), { qos: 1 });
const request = csrFile === undefined ? {} : { csr: readFileSync(csrFile, 'utf8') };
await device.publishAsync(topic('request'), JSON.stringify(request), { qos: 1 });

const bundle = JSON.parse((await reply).toString());
if (bundle.code !== undefined) throw new Error(`refused: ${bundle.code}`);
writeFileSync(file('bundle-over-mqtt.json'), JSON.stringify(bundle, undefined, 2), { mode: 0o600 });
for (const [name, text] of Object.entries<string>(bundle.config ?? {}))
  console.log(`${name}: ${text.trim()}`);
if (bundle.certificate !== undefined) writeFileSync(file('device.crt'), bundle.certificate);
await device.publishAsync(topic('progress'), JSON.stringify({ state: 'COMPLETED' }), { qos: 1 });
await device.endAsync();
console.log(`${bundle.account}/${bundle.deviceId} is provisioned`);
