import { uuidv7 } from '@signet/contracts';
import { type Logger, Problem } from '@signet/service';
import type { FastifyRequest } from 'fastify';
import type { AuditEntry } from '../domain/audit/audit-log.ts';

/** Keeps the audit of calls. A change has its entry before it is made, and the answer in it afterwards. */
export type Auditor = {
  /**
   * Writes that this call is about to change something. Without an outcome after it, nobody knows how far it came.
   * @throws Problem 503 where neither the store nor the disk takes it: then nothing may be changed
   */
  readonly begin: (request: FastifyRequest) => Promise<void>;
  /** Writes how a call was answered. Never fails: what was done is done. */
  readonly end: (request: FastifyRequest, status: number) => Promise<void>;
};

const LONGEST_PATH = 1024;
const RETRY_SECONDS = 10;

declare module 'fastify' {
  interface FastifyRequest {
    /** What the audit shall say of this call besides. */
    auditNote?: string;
    /** The entry that was written before its change. */
    auditIntent?: AuditEntry;
  }
}

export function auditor(options: {
  /** Writes an entry, or the outcome into the one that is there. @throws where nothing takes it */
  readonly write: (entry: AuditEntry) => Promise<void>;
  readonly now: () => number;
  readonly log: Logger;
}): Auditor {
  const { write, now, log } = options;
  return {
    async begin(request) {
      const intent = entryOf(request, now());
      try {
        await write(intent);
      } catch (cause) {
        log.error({ err: cause, ...intent }, 'audit: not written, the call is refused');
        const detail = 'the audit log cannot be written: nothing was changed; try again later';
        throw new Problem(503, 'unavailable', detail, { retryAfter: RETRY_SECONDS, cause });
      }
      request.auditIntent = intent;
    },
    async end(request, status) {
      const { auditIntent, auditNote } = request;
      const entry = {
        ...(auditIntent ?? entryOf(request, now())),
        status,
        ...(auditNote === undefined ? {} : { note: auditNote }),
      };
      await write(entry).catch((error: unknown) => log.error({ err: error, ...entry }, 'audit: not written'));
    },
  };
}

function entryOf(request: FastifyRequest, time: number): AuditEntry {
  const { operator, method, ip: address } = request;
  return {
    ...{ id: uuidv7(time), at: new Date(time).toISOString(), account: accountOf(request.params) },
    ...(operator === undefined ? {} : { tokenId: operator.id, operator: operator.name }),
    ...{ method, path: (request.url.split('?', 1)[0] ?? '').slice(0, LONGEST_PATH), address },
  };
}

/** The account in the path; `*` where there is none, or where it stands for all of them. */
export function accountOf(params: unknown): string {
  const account = (params as { account?: string } | undefined)?.account ?? '*';
  return account === '-' ? '*' : account;
}
