import { ALG, type Credential, join, sized, TpmReader, u8, u16, u32 } from '@signet/attestation';
import { TpmError } from './tpm-error.ts';
import { openTransport, type TpmTransport } from './transport.ts';

const TAG = { noSessions: 0x8001, sessions: 0x8002, hashCheck: 0x8024 } as const;
const COMMAND = {
  createPrimary: 0x131,
  nvRead: 0x14e,
  create: 0x153,
  ecdhZGen: 0x154,
  load: 0x157,
  certify: 0x148,
  activateCredential: 0x147,
  policySecret: 0x151,
  sign: 0x15d,
  flushContext: 0x165,
  nvReadPublic: 0x169,
  startAuthSession: 0x176,
} as const;

/** Permanent handles (Part 2 §7.4). */
export const HIERARCHY = { owner: 0x40000001, null: 0x40000007, endorsement: 0x4000000b } as const;
const PASSWORD_SESSION = 0x40000009;
const POLICY_SESSION = 1;
/** TPM_RC of a TPM that asks to be asked again. */
const AGAIN: ReadonlySet<number> = new Set([0x908, 0x90a, 0x922]);
const MAX_TRIES = 20;
const PAUSE_MS = 50;
const NV_BLOCK = 512;

export type TpmKeyBlob = {
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** Content of TPM2B_PRIVATE: of use in this TPM alone. */
  readonly wrapped: Uint8Array;
};

type Command = {
  readonly code: number;
  readonly handles?: readonly number[];
  /** One session for each handle that needs it: by default an empty password. */
  readonly sessions?: readonly number[];
  readonly parameters?: Uint8Array;
  /** Whether the response begins with a handle. */
  readonly givesHandle?: boolean;
};

/** A TPM 2.0, by the commands that a device needs. Objects that are made or loaded are to be flushed. */
export class Tpm implements AsyncDisposable {
  readonly #transport: TpmTransport;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(transport: TpmTransport) {
    this.#transport = transport;
  }

  /** @throws TpmError `bad-tcti`, `unreachable` */
  static async open(tcti: string): Promise<Tpm> {
    return new Tpm(await openTransport(tcti));
  }

  /** A key that follows from the hierarchy's seed and the template: the same each time. */
  async createPrimary(
    hierarchy: number,
    template: Uint8Array,
  ): Promise<{ readonly handle: number; readonly publicArea: Uint8Array }> {
    const { handle, reader } = await this.#run({
      code: COMMAND.createPrimary,
      handles: [hierarchy],
      sessions: [PASSWORD_SESSION],
      parameters: creation(template),
      givesHandle: true,
    });
    return { handle, publicArea: reader.sized('outPublic') };
  }

  /** A new key below `parent`, for `load`. */
  async create(parent: number, template: Uint8Array): Promise<TpmKeyBlob> {
    const { reader } = await this.#run({
      code: COMMAND.create,
      handles: [parent],
      sessions: [PASSWORD_SESSION],
      parameters: creation(template),
    });
    const wrapped = reader.sized('outPrivate');
    return { wrapped, publicArea: reader.sized('outPublic') };
  }

  /** @throws TpmError `refused` for a blob of another TPM or parent */
  async load(parent: number, { wrapped, publicArea }: TpmKeyBlob): Promise<number> {
    const { handle } = await this.#run({
      code: COMMAND.load,
      handles: [parent],
      sessions: [PASSWORD_SESSION],
      parameters: join(sized(wrapped), sized(publicArea)),
      givesHandle: true,
    });
    return handle;
  }

  /** ECDSA over a SHA-256 digest: TPMT_SIGNATURE. */
  async sign(key: number, digest: Uint8Array): Promise<Uint8Array> {
    const noTicket = join(u16(TAG.hashCheck), u32(HIERARCHY.null), sized());
    const { reader } = await this.#run({
      code: COMMAND.sign,
      handles: [key],
      sessions: [PASSWORD_SESSION],
      parameters: join(sized(digest), u16(ALG.ECDSA), u16(ALG.SHA256), noTicket),
    });
    return reader.bytes(reader.left, 'signature');
  }

  /** TPM2_ECDH_ZGen: the X coordinate of the key times a point. */
  async agree(key: number, point: { readonly x: Uint8Array; readonly y: Uint8Array }): Promise<Uint8Array> {
    const { reader } = await this.#run({
      code: COMMAND.ecdhZGen,
      handles: [key],
      sessions: [PASSWORD_SESSION],
      parameters: sized(sized(point.x), sized(point.y)),
    });
    reader.u16('outPoint');
    return reader.sized('x');
  }

  /** TPM2_Certify: that `key` is in this TPM, said by `attestationKey` in answer to `nonce`. */
  async certify(
    key: number,
    attestationKey: number,
    nonce: Uint8Array,
  ): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }> {
    const { reader } = await this.#run({
      code: COMMAND.certify,
      handles: [key, attestationKey],
      sessions: [PASSWORD_SESSION, PASSWORD_SESSION],
      parameters: join(sized(nonce), u16(ALG.NULL)),
    });
    const attest = reader.sized('certifyInfo');
    return { attest, signature: reader.bytes(reader.left, 'signature') };
  }

  /** Opens a credential that was made for `attestationKey` in the TPM with `endorsementKey`. */
  async activateCredential(
    attestationKey: number,
    endorsementKey: number,
    { credentialBlob, encryptedSecret }: Credential,
  ): Promise<Uint8Array> {
    const session = await this.#startPolicySession();
    try {
      const noExpiry = join(sized(), sized(), sized(), u32(0));
      await this.#run({
        code: COMMAND.policySecret,
        handles: [HIERARCHY.endorsement, session],
        sessions: [PASSWORD_SESSION],
        parameters: noExpiry,
      });
      const { reader } = await this.#run({
        code: COMMAND.activateCredential,
        handles: [attestationKey, endorsementKey],
        sessions: [PASSWORD_SESSION, session],
        parameters: join(credentialBlob, encryptedSecret),
      });
      return reader.sized('certInfo');
    } finally {
      await this.flush(session);
    }
  }

  /** The content of an NV index that anybody may read; undefined where there is none. */
  async readNv(index: number): Promise<Uint8Array | undefined> {
    const size = await this.#nvSize(index);
    if (size === undefined) return undefined;
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < size; at += NV_BLOCK) {
      const { reader } = await this.#run({
        code: COMMAND.nvRead,
        handles: [index, index],
        sessions: [PASSWORD_SESSION],
        parameters: join(u16(Math.min(NV_BLOCK, size - at)), u16(at)),
      });
      blocks.push(reader.sized('data'));
    }
    return join(...blocks);
  }

  async flush(handle: number): Promise<void> {
    await this.#run({ code: COMMAND.flushContext, parameters: u32(handle) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.catch(() => {});
    await this.#transport[Symbol.asyncDispose]();
  }

  async #nvSize(index: number): Promise<number | undefined> {
    try {
      const { reader } = await this.#run({ code: COMMAND.nvReadPublic, handles: [index] });
      const [high = 0, low = 0] = reader.sized('nvPublic').subarray(-2);
      return high * 256 + low;
    } catch (error) {
      // TPM_RC_HANDLE: no such index
      if (error instanceof TpmError && ((error.responseCode ?? 0) & 0xbf) === 0x8b) return undefined;
      throw error;
    }
  }

  async #startPolicySession(): Promise<number> {
    const { handle } = await this.#run({
      code: COMMAND.startAuthSession,
      handles: [HIERARCHY.null, HIERARCHY.null],
      parameters: join(
        sized(crypto.getRandomValues(new Uint8Array(16))),
        sized(),
        u8(POLICY_SESSION),
        u16(ALG.NULL),
        u16(ALG.SHA256),
      ),
      givesHandle: true,
    });
    return handle;
  }

  #run(command: Command): Promise<{ readonly handle: number; readonly reader: TpmReader }> {
    const result = this.#queue.catch(() => {}).then(() => this.#exchange(command));
    this.#queue = result;
    return result;
  }

  async #exchange(command: Command) {
    const bytes = marshalled(command);
    for (let tries = 1; ; tries++) {
      const reader = new TpmReader(await this.#transport.exchange(bytes), 'TPM response');
      const tag = reader.u16('tag');
      reader.u32('size');
      const responseCode = reader.u32('responseCode');
      if (AGAIN.has(responseCode) && tries < MAX_TRIES) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        continue;
      }
      if (responseCode !== 0)
        throw new TpmError(
          'refused',
          `tpm: command 0x${command.code.toString(16)} failed with TPM_RC 0x${responseCode.toString(16)}`,
          { responseCode },
        );
      const handle = command.givesHandle === true ? reader.u32('handle') : 0;
      if (tag !== TAG.sessions) return { handle, reader };
      const parameters = reader.bytes(reader.u32('parameterSize'), 'parameters');
      return { handle, reader: new TpmReader(parameters, 'TPM response') };
    }
  }
}

function marshalled({
  code,
  handles = [],
  sessions = [],
  parameters = new Uint8Array(),
}: Command): Uint8Array {
  const authorizations = join(...sessions.map((session) => join(u32(session), sized(), u8(1), sized())));
  const area = sessions.length === 0 ? authorizations : join(u32(authorizations.length), authorizations);
  const body = join(u32(code), ...handles.map(u32), area, parameters);
  const tag = sessions.length === 0 ? TAG.noSessions : TAG.sessions;
  return join(u16(tag), u32(6 + body.length), body);
}

/** TPM2B_SENSITIVE_CREATE without a password, the template, no outside info, no PCRs. */
function creation(template: Uint8Array): Uint8Array {
  return join(sized(sized(), sized()), sized(template), sized(), u32(0));
}
