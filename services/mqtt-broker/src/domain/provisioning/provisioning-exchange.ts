import {
  ForeignJsonError,
  ProvisioningProgress,
  provisioningTopic,
  type RefusalCode,
  readForeignJson,
} from '@signet/contracts';
import { z } from 'zod';

/** A device whose user name and password match a provisioning request. */
export type Requester = {
  readonly account: string;
  readonly deviceId: string;
  /** What it calls itself: its id at CONNECT, and in its topics. */
  readonly clientId: string;
  readonly requestId: string;
  /** SHA-256 of the bootstrap certificate that it showed, hex. */
  readonly fingerprint: string;
};

/** Why a provisioning exchange is refused. */
export class ProvisioningRefused extends Error {
  override readonly name = 'ProvisioningRefused';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The provisioning service. Both fail with {@link ProvisioningRefused}. */
export type ProvisioningService = {
  authenticate(credentials: {
    readonly fingerprint: string;
    /** PEM: what the device is taken up by where it comes for the first time (F48). */
    readonly certificate: string;
    readonly clientId: string;
    readonly username: string;
    readonly password: string;
  }): Promise<Requester>;
  /** The bundle of handoff, as JSON. */
  complete(requester: Requester, request: ProvisioningRequest): Promise<string>;
  /** What the device says of its progress. */
  report(requester: Requester, progress: ProvisioningProgress): Promise<void>;
};

/** A requester publishes its request and its progress, and nothing else. */
export function isRequest({ clientId }: Requester, topic: string): boolean {
  return topic === provisioningTopic(clientId, 'request');
}

export function isProgress({ clientId }: Requester, topic: string): boolean {
  return topic === provisioningTopic(clientId, 'progress');
}

/** It subscribes to its reply, and nothing else: no wildcard, no other device. */
export function isReply({ clientId }: Requester, topic: string): boolean {
  return topic === provisioningTopic(clientId, 'reply');
}

/** What a request may say: nothing, `{}`, or a CSR. */
export type ProvisioningRequest = { readonly csr?: string | undefined };

const Request = z.object({ csr: z.string().max(65_536).optional() });

/** @throws ProvisioningRefused `malformed-request` */
export function parseRequest(payload: string): ProvisioningRequest {
  return payload.trim() === '' ? {} : parsed('request', Request, payload);
}

/** @throws ProvisioningRefused `malformed-request` */
export function parseProgress(payload: string): ProvisioningProgress {
  return parsed('progress', ProvisioningProgress, payload);
}

function parsed<T>(what: string, schema: z.ZodType<T>, payload: string): T {
  let value: unknown;
  try {
    value = readForeignJson(payload, what);
  } catch (cause) {
    if (!(cause instanceof ForeignJsonError)) throw cause;
    throw new ProvisioningRefused('malformed-request', cause.message, { cause });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const message = `${what}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`;
  throw new ProvisioningRefused('malformed-request', message, { cause: result.error });
}

const refusals: Readonly<Record<string, RefusalCode>> = {
  unmatched: 'unknown-device',
  'unknown-device': 'unknown-device',
  'wrong-password': 'wrong-password',
  unclaimed: 'unclaimed',
  blocked: 'blocked',
  retired: 'retired',
  'wrong-identity': 'wrong-identity',
  'waits-for-operator': 'waits-for-operator',
  redirected: 'redirected',
  'request-closed': 'request-closed',
  'outside-window': 'outside-window',
  'already-provisioned': 'already-provisioned',
  'invalid-input': 'malformed-request',
};

/** The refusal for what an operation failed with; whatever is not the device's fault is `unavailable`. */
export function refusalOf(operationCode: string): RefusalCode {
  return Object.hasOwn(refusals, operationCode) ? (refusals[operationCode] ?? 'unavailable') : 'unavailable';
}
