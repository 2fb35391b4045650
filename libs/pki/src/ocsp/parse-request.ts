import { DerReader } from '../der/reader.ts';
import { constructed, TAG } from '../der/tags.ts';
import { type Extension, readExtensions } from '../extensions.ts';
import { toHex } from '../hex.ts';
import { PkiError } from '../pki-error.ts';
import {
  type CertId,
  type CertIdHash,
  certIdHashes,
  MAX_CERT_IDS,
  MAX_NONCE_BYTES,
  MAX_OCSP_REQUEST_BYTES,
  OCSP_OID,
  type OcspRequest,
} from './ocsp.ts';

const hashByOid = new Map<string, CertIdHash>(
  Object.entries(certIdHashes).map(([name, dotted]) => [dotted, name as CertIdHash]),
);

/** Reads an OCSPRequest in strict DER (RFC 6960 §4.1); `PkiError` `malformed`, or `too-large` above 8 KiB. */
export function parseOcspRequest(der: Uint8Array): OcspRequest {
  const outer = DerReader.sequence(der, 'OCSPRequest', MAX_OCSP_REQUEST_BYTES);
  const tbs = outer.enter(TAG.SEQUENCE, 'tbsRequest');
  if (outer.peek() === constructed(0)) outer.any('optionalSignature');
  outer.finish('OCSPRequest');

  if (tbs.peek() === constructed(0)) {
    const version = tbs.enter(constructed(0), 'version');
    if (version.smallInteger('version') !== 0) throw new PkiError('malformed', 'version: is not 1');
    version.finish('version');
  }
  if (tbs.peek() === constructed(1)) tbs.any('requestorName');
  const certIds = readRequests(tbs.enter(TAG.SEQUENCE, 'requestList'));
  const nonce = tbs.peek() === constructed(2) ? readNonce(extensionsIn(tbs, constructed(2))) : undefined;
  tbs.finish('tbsRequest');
  return nonce === undefined ? { certIds } : { certIds, nonce };
}

function readRequests(list: DerReader): readonly CertId[] {
  const certIds: CertId[] = [];
  while (!list.atEnd) {
    const request = list.enter(TAG.SEQUENCE, 'requestList');
    certIds.push(readCertId(request.element(TAG.SEQUENCE, 'reqCert')));
    if (request.peek() === constructed(0)) refuseCritical(extensionsIn(request, constructed(0)));
    request.finish('requestList');
    if (certIds.length > MAX_CERT_IDS)
      throw new PkiError('malformed', `requestList: more than ${MAX_CERT_IDS} certificates`);
  }
  if (certIds.length === 0) throw new PkiError('malformed', 'requestList: empty');
  return certIds;
}

function readCertId(der: Uint8Array): CertId {
  const certId = DerReader.sequence(der, 'reqCert');
  const algorithm = certId.enter(TAG.SEQUENCE, 'hashAlgorithm');
  const hash = hashByOid.get(algorithm.oid('hashAlgorithm'));
  if (!algorithm.atEnd) algorithm.any('hashAlgorithm');
  algorithm.finish('hashAlgorithm');
  const issuerNameHash = toHex(certId.content(TAG.OCTET_STRING, 'issuerNameHash'));
  const issuerKeyHash = toHex(certId.content(TAG.OCTET_STRING, 'issuerKeyHash'));
  const bytes = certId.integer('serialNumber');
  certId.finish('reqCert');
  const serialNumber = toHex(bytes[0] === 0 && bytes.length > 1 ? bytes.subarray(1) : bytes);
  return { der, ...(hash === undefined ? {} : { hash }), issuerNameHash, issuerKeyHash, serialNumber };
}

/** RFC 9654 §2.1: of 1 to 128 bytes, whatever else is refused. */
function readNonce(extensions: readonly Extension[]): Uint8Array | undefined {
  refuseCritical(extensions);
  const found = extensions.find(({ oid }) => oid === OCSP_OID.nonce);
  if (found === undefined) return undefined;
  const reader = DerReader.over(found.value, 'nonce');
  const nonce = reader.content(TAG.OCTET_STRING, 'nonce');
  reader.finish('nonce');
  if (nonce.length === 0 || nonce.length > MAX_NONCE_BYTES)
    throw new PkiError('malformed', `nonce: ${nonce.length} bytes, 1 to ${MAX_NONCE_BYTES} are allowed`);
  return nonce;
}

function extensionsIn(reader: DerReader, tag: number): readonly Extension[] {
  const wrapper = reader.enter(tag, 'extensions');
  const extensions = readExtensions(wrapper, 'extensions');
  wrapper.finish('extensions');
  return extensions;
}

function refuseCritical(extensions: readonly Extension[]): void {
  const unknown = extensions.find(({ oid, critical }) => critical && oid !== OCSP_OID.nonce);
  if (unknown !== undefined)
    throw new PkiError('malformed', `extensions: ${unknown.oid} is critical and not known`);
}
