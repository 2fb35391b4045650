/**
 * A registration server for a production line without a network: it has a CA of its own, signs what devices send, and
 * keeps a log that is uploaded to Signet later. Made to be forked. See README.md.
 *
 *   node server.ts init            make the CA: ca.key (encrypted) and ca.pem
 *   node server.ts serve [port]    POST /devices?serial=SN-1&model=M2 with a CSR gives the certificate chain
 *   node server.ts upload          send what is new in log.jsonl to Signet
 */
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import {
  type Certificate,
  checkKey,
  createKeyFile,
  createTemplate,
  decodePem,
  issue,
  issueRoot,
  NO_END,
  openKeyFile,
  PkiError,
  parseCertificatePem,
  parseCsr,
  prepare,
  verifyCsr,
} from '@signet/pki';

const folder = process.env.FACTORY_DIR ?? './factory';
const [keyFile, caFile, logFile, uploadedFile] = ['ca.key', 'ca.pem', 'log.jsonl', 'uploaded'].map((name) =>
  join(folder, name),
) as [string, string, string, string];

/** A line of the log. What Signet takes up is the certificate; the rest is for people. */
type Entry = { at: string; serial: string; model?: string; key: string; certificate: string };
/** What is wrong with a request, as an HTTP answer. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const SERIAL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DEVICE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const LARGEST_CSR = 16_384;
const AT_ONCE = 256;

/** The CA has no end: what it signs may lie on a shelf for as long as it takes. */
async function init(): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const signer = await createKeyFile(keyFile, passphrase());
  const commonName = process.env.FACTORY_NAME ?? 'Factory CA';
  const ca = await issueRoot({
    subject: { commonName },
    signer,
    issuedAt: Date.now(),
    notAfter: NO_END,
    pathLen: 0,
  });
  await writeFile(caFile, ca.pem());
  console.log(`${caFile}: register it with  signet factory ca add ${caFile} --key ${keyFile}`);
}

async function serve(port: number): Promise<void> {
  const signer = await openKeyFile(keyFile, passphrase());
  const ca = parseCertificatePem(await readFile(caFile, 'utf8'));
  const template = createTemplate({ kind: 'bootstrap', issuer: ca });
  const made = new Map((await readLog()).map((entry) => [entry.serial, entry]));
  const log = await open(logFile, 'a', 0o600);
  // one device after the other, so that a serial number is given once
  let turn: Promise<unknown> = Promise.resolve();

  async function register(body: Buffer, asked: URLSearchParams): Promise<Entry> {
    const csr = parseCsr(
      body.includes('-----BEGIN') ? decodePem(body.toString(), 'CERTIFICATE REQUEST') : body,
    );
    checkKey(csr.key);
    verifyCsr(csr);
    const id = csr.subject.commonName ?? '';
    if (!DEVICE_ID.test(id)) throw new Refusal(422, `csr: subject CN "${id}" is no device id`);
    const serial = asked.get('serial') ?? csr.subject.serialNumber ?? id;
    if (!SERIAL.test(serial)) throw new Refusal(422, `serial: "${serial}" is no serial number`);
    const key = csr.publicKeyHash;
    const before = made.get(serial);
    if (before?.key === key) return before;
    if (before !== undefined) throw new Refusal(409, `serial: "${serial}" was made before, with another key`);
    const linted = prepare(template, {
      subject: { commonName: id, serialNumber: serial },
      spkiDer: csr.spkiDer,
      issuedAt: Date.now(),
      notAfter: NO_END,
    });
    const certificate: Certificate = await issue(linted, signer);
    const model = asked.get('model');
    const entry: Entry = {
      at: new Date().toISOString(),
      ...{ serial, key, certificate: certificate.pem() },
      ...(model === null ? {} : { model }),
    };
    // no certificate leaves that is not in the log, on disk
    await log.appendFile(`${JSON.stringify(entry)}\n`);
    await log.sync();
    made.set(serial, entry);
    return entry;
  }

  const server = createServer(async (request, response) => {
    const answer = (status: number, type: string, text: string) =>
      response.writeHead(status, { 'content-type': type }).end(text);
    try {
      const url = new URL(request.url ?? '/', 'http://factory');
      if (request.method === 'GET' && url.pathname === '/ca.pem')
        return answer(200, 'application/x-pem-file', ca.pem());
      if (request.method !== 'POST' || url.pathname !== '/devices')
        throw new Refusal(404, 'POST /devices, or GET /ca.pem');
      const body = await readBody(request);
      const mine = turn.then(() => register(body, url.searchParams));
      turn = mine.catch(() => {});
      const entry = await mine;
      console.log(`${entry.serial} ${parseCertificatePem(entry.certificate).fingerprint}`);
      return answer(200, 'application/pem-certificate-chain', entry.certificate + ca.pem());
    } catch (error) {
      if (error instanceof Refusal) return answer(error.status, 'text/plain', `${error.message}\n`);
      if (error instanceof PkiError) return answer(422, 'text/plain', `csr: ${error.message}\n`);
      console.error(error);
      return answer(500, 'text/plain', 'not made; try again\n');
    }
  });
  const host = process.env.FACTORY_HOST ?? '127.0.0.1';
  server.listen(port, host, () => {
    const address = server.address();
    console.log(`listening on ${host}:${typeof address === 'object' ? address?.port : port}`);
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      server.close();
      server.closeIdleConnections();
    });
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_CSR) throw new Refusal(413, `csr: more than ${LARGEST_CSR} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** All that was made. A last line that a power cut left half is cut off: its certificate never left. */
async function readLog(): Promise<Entry[]> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) await truncate(logFile, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Entry);
}

/** Sending twice does no harm: Signet knows a certificate again. */
async function upload(): Promise<void> {
  const { SIGNET_URL, SIGNET_TOKEN, SIGNET_ACCOUNT } = process.env;
  if (SIGNET_URL === undefined || SIGNET_TOKEN === undefined || SIGNET_ACCOUNT === undefined)
    throw new Error('SIGNET_URL, SIGNET_TOKEN (role factory) and SIGNET_ACCOUNT are needed');
  const entries = await readLog();
  const sent = Number(await readFile(uploadedFile, 'utf8').catch(() => '0'));
  let refused = 0;
  for (let first = sent; first < entries.length; first += AT_ONCE) {
    const some = entries.slice(first, first + AT_ONCE);
    const response = await fetch(new URL(`/v1/accounts/${SIGNET_ACCOUNT}/factory/log`, SIGNET_URL), {
      method: 'POST',
      headers: { authorization: `Bearer ${SIGNET_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ items: some.map(({ certificate, model }) => ({ certificate, model })) }),
    });
    if (!response.ok) throw new Error(`Signet: ${response.status} ${await response.text()}`);
    const { results } = (await response.json()) as {
      results: { error?: { code: string; message: string } }[];
    };
    results.forEach(({ error }, i) => {
      if (error === undefined) return;
      refused++;
      console.error(`${some[i]?.serial}: ${error.code}: ${error.message}`);
    });
    if (refused === 0) await writeFile(uploadedFile, String(first + some.length));
  }
  console.log(`${entries.length - sent} sent, ${refused} refused`);
  if (refused > 0) process.exitCode = 1;
}

function passphrase(): string {
  const { FACTORY_PASSPHRASE } = process.env;
  if (!FACTORY_PASSPHRASE)
    throw new Error('FACTORY_PASSPHRASE: the passphrase of the key of the CA is needed');
  return FACTORY_PASSPHRASE;
}

const [command, argument] = process.argv.slice(2);
try {
  if (command === 'init') await init();
  else if (command === 'serve') await serve(Number(argument ?? 8085));
  else if (command === 'upload') await upload();
  else throw new Error('give one of: init, serve [port], upload');
} catch (error) {
  console.error(`factory-server: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
