import type { Logger } from '@signet/service';
import type { FastifyRequest } from 'fastify';
import type { Operator } from '../domain/api-token.ts';

/** A call as the audit log keeps it. */
export type Answered = {
  readonly operator: Operator | undefined;
  readonly account: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly address: string;
  readonly note?: string;
};

/** Tells the audit of a call. Never fails: what was done is done. */
export type Auditor = (request: FastifyRequest, status: number) => Promise<void>;

const LONGEST_PATH = 1024;

declare module 'fastify' {
  interface FastifyRequest {
    /** What the audit shall say of this call besides. */
    auditNote?: string;
  }
}

export function auditor(write: (answered: Answered) => Promise<void>, log: Logger): Auditor {
  return async (request, status) => {
    const { operator, method, ip: address } = request;
    const path = (request.url.split('?', 1)[0] ?? '').slice(0, LONGEST_PATH);
    const answered = {
      ...{ operator, account: accountOf(request.params), method, path, status, address },
      ...(request.auditNote === undefined ? {} : { note: request.auditNote }),
    };
    await write(answered).catch((error: unknown) =>
      log.error({ err: error, ...answered, operator: operator?.id }, 'audit: not written'),
    );
  };
}

/** The account in the path; `*` where there is none, or where it stands for all of them. */
export function accountOf(params: unknown): string {
  const account = (params as { account?: string } | undefined)?.account ?? '*';
  return account === '-' ? '*' : account;
}
