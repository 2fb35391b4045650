/**
 * An API server of your own that admits the devices of one account: mutual TLS, and revocation by CRL or by OCSP. Made to
 * be forked. See README.md.
 *
 *   API_KEY, API_CERT      the server's own key and certificate, PEM
 *   API_TRUST              root and issuing CAs of the devices, PEM
 *   API_ACCOUNT            whose devices may enter
 *   API_TRUST_DOMAIN       the platform's SIGNET_TRUST_DOMAIN (signet.local)
 *   API_CRLS               addresses of the CRLs of these CAs, with commas between; without it OCSP is asked
 *   API_SECONDS            how often CRLs are fetched, or how long an OCSP answer counts; 10
 *   API_PORT               8446
 */
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { type Certificate, decodePemBlocks, EKU, isSameName, parseCertificate } from '@signet/pki';
import { Crls } from './crls.ts';
import { Ocsp } from './ocsp.ts';

const file = (name: string) => readFileSync(process.env[name] ?? '', 'utf8');
const account = process.env.API_ACCOUNT ?? 'acme';
const trustDomain = process.env.API_TRUST_DOMAIN ?? 'signet.local';
const seconds = Number(process.env.API_SECONDS ?? 10);
const trust = file('API_TRUST');
const authorities = decodePemBlocks(trust).map(({ der }) => parseCertificate(der));
const crls =
  process.env.API_CRLS === undefined ? undefined : new Crls(process.env.API_CRLS.split(','), authorities);
const ocsp = new Ocsp(authorities, seconds * 1000);

/** All of it at each reload: what is left out is forgotten. Without tickets every handshake is verified. */
const context = () => ({
  key: file('API_KEY'),
  cert: file('API_CERT'),
  ca: trust,
  // Node then wants a CRL of every CA in the chain
  ...(crls === undefined ? {} : { crl: crls.pems }),
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
});

/** The device of a connection, by a certificate that TLS has verified; undefined: not one that may enter. */
function deviceOf({ extKeyUsage, sans, issuerDer }: Certificate): string | undefined {
  const isOperational =
    extKeyUsage?.includes(EKU.clientAuth) &&
    authorities.some(({ subjectDer }) => isSameName(subjectDer, issuerDer));
  const [uri = ''] = isOperational ? sans.uris : [];
  const prefix = `spiffe://${trustDomain}/${account}/device/`;
  return uri.startsWith(prefix) ? uri.slice(prefix.length) : undefined;
}

await crls?.refresh();
const live = new Map<TLSSocket, Certificate>();
const server = createServer(
  { ...context(), requestCert: true, rejectUnauthorized: true },
  async (request, response) => {
    const certificate = live.get(request.socket as TLSSocket);
    const device = certificate && deviceOf(certificate);
    if (certificate === undefined || device === undefined) return response.writeHead(403).end('not yours\n');
    if (crls === undefined && !(await ocsp.isGood(certificate))) {
      response.writeHead(403, { connection: 'close' }).end('revoked, or nobody says that it is not\n');
      return;
    }
    response.end(`hello ${device}\n`);
  },
);
server.on('secureConnection', (socket) => {
  const peer = socket.getPeerX509Certificate();
  if (peer === undefined) return socket.destroy();
  live.set(socket, parseCertificate(peer.raw));
  socket.on('close', () => live.delete(socket));
});
server.listen(Number(process.env.API_PORT ?? 8446), () => {
  const address = server.address();
  console.log(`listening on ${typeof address === 'object' ? address?.port : address}`);
});

/** New connections are judged by the new CRLs; of those that live, whoever is listed is cut off. */
while (crls !== undefined) {
  await setTimeout(seconds * 1000);
  const isNew = await crls.refresh().catch((error: Error) => console.error(error.message));
  if (!isNew) continue;
  server.setSecureContext(context());
  for (const [socket, certificate] of live) if (crls.lists(certificate)) socket.destroy();
  console.log('CRLs are new');
}
