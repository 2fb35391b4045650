import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatPkcs11Uri, type PinRefusedError, type Pkcs11Uri } from '@signet/pki';
import { z } from 'zod';
import { AgentError, systemReason } from '../agent-error.ts';
import { DurableFiles } from '../files/durable-files.ts';

/** `pin-refused.json`: which PIN a token has refused. The PIN itself is written nowhere. */
const Refused = z.object({
  /** RFC 7512, without PIN and library. */
  token: z.string(),
  /** As PKCS#11 names it. */
  reason: z.string(),
  salt: z.base64(),
  /** scrypt of the PIN. */
  digest: z.base64(),
});
type Refused = z.infer<typeof Refused>;

export const PIN_REFUSED_FILE = 'pin-refused.json';

const digestOf = promisify<string, Buffer, number, { N: number; maxmem: number }, Buffer>(scrypt);
const DIGEST_BYTES = 32;
const COST = { N: 2 ** 15, maxmem: 64 * 1024 * 1024 };

/**
 * The PIN of a token, for every way to it. One that the token has refused is not given out again, in this process or the
 * next, until its source holds another: a token locks itself after a few tries.
 */
export class PinGuard {
  readonly #uri: Pkcs11Uri;
  readonly #file: string | undefined;
  readonly #files = new DurableFiles();
  #refused: Promise<Refused | undefined> | undefined;

  /** @param folder where a refusal is remembered; undefined: in this process alone */
  constructor(uri: Pkcs11Uri, folder: string | undefined) {
    this.#uri = uri;
    this.#file = folder === undefined ? undefined : join(folder, PIN_REFUSED_FILE);
  }

  /** Undefined where the token is used without one. @throws AgentError `pin-refused`, `key-holder` where it cannot be read */
  async pin(): Promise<string | undefined> {
    const pin = await this.#given();
    this.#refused ??= this.#kept();
    const refused = await this.#refused;
    if (pin === undefined || refused === undefined || refused.token !== this.#token) return pin;
    if (await isOf(refused, pin)) throw this.#refusal(refused);
    return pin;
  }

  /** The token has taken it: what it refused before is forgotten. */
  async accepted(): Promise<void> {
    const refused = await this.#refused;
    if (refused?.token !== this.#token) return;
    this.#refused = Promise.resolve(undefined);
    if (this.#file !== undefined) await this.#files.remove(this.#file).catch(() => {});
  }

  /** The token has refused it. Resolves with what that is to the agent, when it is remembered. */
  async refused(pin: string, { reason }: PinRefusedError): Promise<AgentError> {
    const salt = randomBytes(16);
    const digest = await digestOf(pin, salt, DIGEST_BYTES, COST);
    const text = (bytes: Buffer) => bytes.toString('base64');
    const refused = { token: this.#token, reason, salt: text(salt), digest: text(digest) };
    this.#refused = Promise.resolve(refused);
    // a disk that takes nothing: this process remembers it anyway
    if (this.#file !== undefined)
      await this.#files.replace(this.#file, `${JSON.stringify(refused)}\n`).catch(() => {});
    return this.#refusal(refused);
  }

  #refusal({ reason }: Refused): AgentError {
    const { token = '', serial = token, pinSource } = this.#uri;
    const source = pinSource === undefined ? 'pin-value of --key' : pathOf(pinSource);
    const until = `it is not tried again until ${source} holds another`;
    return new AgentError(
      'pin-refused',
      `pkcs11: PIN refused by token "${token || serial}" (${reason}); ${until}`,
    );
  }

  get #token(): string {
    const { token, serial } = this.#uri;
    return formatPkcs11Uri({
      ...(token === undefined ? {} : { token }),
      ...(serial === undefined ? {} : { serial }),
    });
  }

  async #given(): Promise<string | undefined> {
    const { pinValue, pinSource } = this.#uri;
    if (pinSource === undefined || pinValue !== undefined) return pinValue;
    const path = pathOf(pinSource);
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new AgentError(
        'key-holder',
        `pkcs11: PIN file ${path}: ${systemReason(cause) ?? 'cannot be read'}`,
        {
          cause,
        },
      );
    });
    const pin = text.trim();
    if (pin === '') throw new AgentError('key-holder', `pkcs11: PIN file ${path}: it is empty`);
    return pin;
  }

  /** What cannot be read says nothing: the PIN is tried once more. */
  async #kept(): Promise<Refused | undefined> {
    if (this.#file === undefined) return undefined;
    try {
      return Refused.parse(JSON.parse(await readFile(this.#file, 'utf8')));
    } catch {
      return undefined;
    }
  }
}

async function isOf({ salt, digest }: Refused, pin: string): Promise<boolean> {
  const [kept, own] = [
    Buffer.from(digest, 'base64'),
    await digestOf(pin, Buffer.from(salt, 'base64'), DIGEST_BYTES, COST),
  ];
  return kept.length === own.length && timingSafeEqual(kept, own);
}

function pathOf(pinSource: string): string {
  return pinSource.replace(/^file:(\/\/)?/, '');
}
