import { ATTRIBUTE, parsePublicArea } from '@signet/attestation';
import {
  agreeWithin,
  certifyKey,
  createDeviceKey,
  DEFAULT_TCTI,
  decodeTss2Key,
  encodeTss2Key,
  isOfTpm,
  isTss2Key,
  openCredential,
  ownAttestationKey,
  signWith,
  Tpm,
  TpmError,
} from '@signet/tpm';
import { AgentError } from '../agent-error.ts';
import type { KeyHolder } from './key-holder.ts';

/**
 * tpm2-openssl of Debian 12 (1.1) takes over more than the key: what the TPM does slowly, or not at all, is kept from it,
 * and the key exchange is one that it does not know.
 */
const TLS_BY_TPM = [
  ...['-provider', 'default', '-provider', 'tpm2', '-tls1_3', '-groups', 'X25519'],
  ...['-propquery', '?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes'],
];

/**
 * Keys in a TPM 2.0. The text is a `TSS2 PRIVATE KEY`, wrapped by the TPM: a copy of it is of no use to another one.
 * @param tcti as tpm2-tools name a TPM: `device:/dev/tpmrm0`
 */
export function tpmHolder(tcti: string = DEFAULT_TCTI): KeyHolder {
  const use = async <T>(step: (tpm: Tpm) => Promise<T>): Promise<T> => {
    try {
      await using tpm = await Tpm.open(tcti);
      return await step(tpm);
    } catch (cause) {
      if (cause instanceof TpmError) throw new AgentError('key-holder', cause.message, { cause });
      throw cause;
    }
  };
  const publicKey: KeyHolder['publicKey'] = (text) => parsePublicArea(decoded(text).publicArea).publicKey;
  return {
    kind: 'tpm',
    owns: isTss2Key,
    publicKey,
    signer: (text) => ({
      algorithm: 'ecdsa-with-SHA256',
      publicKey: publicKey(text),
      sign: (data) => use((tpm) => signWith(tpm, decoded(text), data)),
    }),
    agree: async (text, point) => {
      const key = decoded(text);
      if ((parsePublicArea(key.publicArea).attributes & ATTRIBUTE.decrypt) === 0)
        throw new AgentError('bad-key', 'the key in the tpm was made to sign only');
      return use((tpm) => agreeWithin(tpm, key, point));
    },
    create: () => use(async (tpm) => encodeTss2Key(await createDeviceKey(tpm))),
    has: (text) => use((tpm) => isOfTpm(tpm, decoded(text))),
    openssl: async (text) => ({
      args: [...TLS_BY_TPM, '-key', '@key.pem'],
      env: { TPM2OPENSSL_TCTI: tcti },
      files: { 'key.pem': text },
    }),
    attest: (text, ask) =>
      use(async (tpm) => {
        const own = await ownAttestationKey(tpm);
        if (own === undefined) return undefined;
        const credential = await ask({
          attestationKey: own.publicArea,
          certificates: [own.endorsementCertificate],
        });
        const nonce = await openCredential(tpm, own, credential);
        const key = decoded(text);
        return { ...(await certifyKey(tpm, key, nonce)), publicArea: key.publicArea, certificates: [] };
      }),
  };
}

function decoded(text: string): ReturnType<typeof decodeTss2Key> {
  try {
    return decodeTss2Key(text);
  } catch (cause) {
    if (cause instanceof TpmError) throw new AgentError('bad-key', cause.message, { cause });
    throw cause;
  }
}
