import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  encodePem,
  exportSpki,
  formatPkcs11Uri,
  openPkcs11Token,
  type Pkcs11Token,
  type Pkcs11Uri,
  PkiError,
  parsePkcs11Uri,
} from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import type { KeyHolder } from './key-holder.ts';

/**
 * Keys in a PKCS#11 token. The text is the key's URI (RFC 7512), without PIN and library, and its public half.
 * @param tokenUri `pkcs11:token=<label>?module-path=<library>&pin-source=file:<path>`
 * @throws AgentError `bad-key-spec`
 */
export function pkcs11Holder(tokenUri: string): KeyHolder {
  const uri = parsedUri(tokenUri);
  const use = async <T>(step: (token: Pkcs11Token) => Promise<T>): Promise<T> => {
    try {
      await using token = await openPkcs11Token(uri);
      return await step(token);
    } catch (cause) {
      if (!(cause instanceof PkiError)) throw cause;
      const code = cause.code === 'unsupported-key' ? 'bad-key' : 'key-holder';
      throw new AgentError(code, cause.message, { cause });
    }
  };
  return {
    kind: 'pkcs11',
    owns: isPkcs11Key,
    publicKey: publicKeyOf,
    signer: (text) => {
      const publicKey = publicKeyOf(text);
      const { object = '' } = parsePkcs11Uri(uriOf(text));
      return {
        algorithm: 'ecdsa-with-SHA256',
        publicKey,
        sign: (data) => use(async (token) => token.signer(object, publicKey).sign(data)),
      };
    },
    agree: (text, point) => {
      const { object = '' } = parsePkcs11Uri(uriOf(text));
      return use((token) => token.agree(object, point));
    },
    create: () =>
      use(async (token) => {
        const made = await token.openOrCreate(
          `device-${randomBytes(8).toString('hex')}`,
          'P-256',
          'sign-and-agree',
        );
        return `${made.uri}\n${encodePem('PUBLIC KEY', exportSpki(made.signer.publicKey))}`;
      }),
    async openssl(text) {
      const { object } = parsePkcs11Uri(uriOf(text));
      const key = `${formatPkcs11Uri({ ...uri, ...(object === undefined ? {} : { object }) })};type=private`;
      return {
        args: ['-engine', 'pkcs11', '-keyform', 'engine', '-key', `${key}?pin-source=@pin`],
        env: { PKCS11_MODULE_PATH: uri.modulePath ?? '' },
        files: { pin: await pinOf(uri) },
      };
    },
  };
}

export function isPkcs11Key(text: string): boolean {
  return text.startsWith('pkcs11:');
}

function parsedUri(text: string): Pkcs11Uri {
  try {
    const uri = parsePkcs11Uri(text);
    if (uri.modulePath === undefined) throw new PkiError('bad-key-uri', 'key URI: module-path is missing');
    return uri;
  } catch (cause) {
    if (cause instanceof PkiError) throw new AgentError('bad-key-spec', cause.message, { cause });
    throw cause;
  }
}

function uriOf(text: string): string {
  return text.slice(0, text.indexOf('\n'));
}

function publicKeyOf(text: string): KeyObject {
  try {
    return createPublicKey(text.slice(text.indexOf('\n') + 1));
  } catch (cause) {
    throw new AgentError('bad-key', 'pkcs11 key: the public half does not follow the URI', { cause });
  }
}

async function pinOf({ pinValue, pinSource }: Pkcs11Uri): Promise<string> {
  if (pinValue !== undefined) return pinValue;
  if (pinSource === undefined) return '';
  return (await readFile(pinSource.replace(/^file:(\/\/)?/, ''), 'utf8')).trim();
}
