import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import {
  encodePem,
  exportSpki,
  formatPkcs11Uri,
  openPkcs11Token,
  PinRefusedError,
  type Pkcs11Token,
  type Pkcs11Uri,
  PkiError,
  parsePkcs11Uri,
} from '@signet/pki';
import { AgentError } from '../agent-error.ts';
import { type KeyHolder, SECRET_BY_PIPE } from './key-holder.ts';
import { PinGuard } from './pin-guard.ts';

/**
 * Keys in a PKCS#11 token. The text is the key's URI (RFC 7512), without PIN and library, and its public half.
 * @param tokenUri `pkcs11:token=<label>?module-path=<library>&pin-source=file:<path>`
 * @param folder where it is remembered that the token refused a PIN
 * @throws AgentError `bad-key-spec`
 */
export function pkcs11Holder(tokenUri: string, folder?: string): KeyHolder {
  const uri = parsedUri(tokenUri);
  const guard = new PinGuard(uri, folder);
  const token = formatPkcs11Uri(tokenOf(uri));
  const isOwn = (text: string) => formatPkcs11Uri(tokenOf(parsePkcs11Uri(uriOf(text)))) === token;
  let queue: Promise<unknown> = Promise.resolve();
  /** One at a time: beginning a module anew ends what another does with it, and a PIN that is wrong is tried once. */
  const use = <T>(step: (token: Pkcs11Token, pin: string | undefined) => Promise<T>): Promise<T> => {
    const result = queue.then(() => opened(uri, guard, step));
    queue = result.catch(() => {});
    return result;
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
    async create(note = async () => {}) {
      const object = `device-${randomBytes(8).toString('hex')}`;
      await note(formatPkcs11Uri({ ...tokenOf(uri), object }));
      return use(async (token) => {
        const made = await token.openOrCreate(object, 'P-256', 'sign-and-agree');
        return `${made.uri}\n${encodePem('PUBLIC KEY', exportSpki(made.signer.publicKey))}`;
      });
    },
    async has(text) {
      const { object = '' } = parsePkcs11Uri(uriOf(text));
      return isOwn(text) && (await use((token) => token.has(object)));
    },
    async remove(name) {
      const { object } = parsePkcs11Uri(name);
      if (object === undefined || !isOwn(name)) return false;
      await use((token) => token.remove(object));
      return true;
    },
    async openssl(text) {
      const { object = '' } = parsePkcs11Uri(uriOf(text));
      // the child tries no PIN that was not just taken
      const pin = await use(async (token, pin) => {
        if (!(await token.has(object))) throw noSuchKey(uri, object);
        return pin;
      });
      const key = `${formatPkcs11Uri({ ...uri, object })};type=private`;
      return {
        args: [
          ...['-engine', 'pkcs11', '-keyform', 'engine', '-key', key],
          ...(pin === undefined ? [] : ['-pass', SECRET_BY_PIPE]),
        ],
        env: { PKCS11_MODULE_PATH: uri.modulePath ?? '' },
        files: {},
        ...(pin === undefined ? {} : { secret: pin }),
      };
    },
  };
}

async function opened<T>(
  uri: Pkcs11Uri,
  guard: PinGuard,
  step: (token: Pkcs11Token, pin: string | undefined) => Promise<T>,
): Promise<T> {
  const pin = await guard.pin();
  const { pinSource: _read, pinValue: _given, ...place } = uri;
  try {
    await using token = await openPkcs11Token(place, { pin });
    const result = await step(token, pin);
    await guard.accepted();
    return result;
  } catch (cause) {
    if (cause instanceof PinRefusedError && pin !== undefined) throw await guard.refused(pin, cause);
    if (!(cause instanceof PkiError)) throw cause;
    const code = cause.code === 'unsupported-key' ? 'bad-key' : 'key-holder';
    throw new AgentError(code, cause.message, { cause });
  }
}

function tokenOf({ token, serial }: Pkcs11Uri): Pkcs11Uri {
  return { ...(token === undefined ? {} : { token }), ...(serial === undefined ? {} : { serial }) };
}

function noSuchKey({ token, serial = '' }: Pkcs11Uri, object: string): AgentError {
  return new AgentError('key-holder', `pkcs11: token "${token ?? serial}" has no key "${object}"`);
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
  const end = text.indexOf('\n');
  return end < 0 ? text : text.slice(0, end);
}

function publicKeyOf(text: string): KeyObject {
  try {
    return createPublicKey(text.slice(text.indexOf('\n') + 1));
  } catch (cause) {
    throw new AgentError('bad-key', 'pkcs11 key: the public half does not follow the URI', { cause });
  }
}
