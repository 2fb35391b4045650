import { type Certificate, DerReader, EXTENSION, TAG } from '@signet/pki';

/** What a TPM's certificate says of it (TCG EK Credential Profile 2.5 §3.2.9): as `id:494E5443`, `SLB9670`. */
export type TpmIdentity = {
  readonly manufacturer?: string;
  readonly model?: string;
  readonly version?: string;
};

const DIRECTORY_NAME = 0xa4;
const attributes = new Map<string, keyof TpmIdentity>([
  ['2.23.133.2.1', 'manufacturer'],
  ['2.23.133.2.2', 'model'],
  ['2.23.133.2.3', 'version'],
]);

/** Reads it from the directory name among the subject alternative names; what is not there is left out. @throws PkiError */
export function tpmIdentity(certificate: Pick<Certificate, 'extensions'>): TpmIdentity {
  const field = 'subjectAltName';
  const extension = certificate.extensions.find(({ oid }) => oid === EXTENSION.subjectAltName);
  if (extension === undefined) return {};
  const found: { -readonly [K in keyof TpmIdentity]: string } = {};
  const names = DerReader.sequence(extension.value, field);
  while (!names.atEnd) {
    if (names.peek() !== DIRECTORY_NAME) {
      names.any(field);
      continue;
    }
    const relatives = names.enter(DIRECTORY_NAME, field).enter(TAG.SEQUENCE, field);
    while (!relatives.atEnd) {
      const relative = relatives.enter(TAG.SET, field);
      while (!relative.atEnd) {
        const pair = relative.enter(TAG.SEQUENCE, field);
        const name = attributes.get(pair.oid(field));
        const text = pair.content(-1, field);
        if (name !== undefined) found[name] = Buffer.from(text).toString('utf8').slice(0, 128);
      }
    }
  }
  return found;
}
