import type { Logger } from '@signet/service';
import type { Collections } from '../collections.ts';
import { purgeAudit } from '../domain/audit/audit-log.ts';
import { purgeRefusals } from '../domain/device/refusal-record.ts';
import { purgeKeptAnswers } from '../domain/idempotency/answer-once.ts';

const INTERVAL_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Once an hour: removes refusals, kept answers and audit entries whose retention has ended. Replicas may do so at once. */
export function purgeRecords(
  { refusals, answers, audit }: Pick<Collections, 'refusals' | 'answers' | 'audit'>,
  {
    auditDays,
    now,
    log,
  }: { readonly auditDays: number; readonly now: () => number; readonly log: Pick<Logger, 'warn'> },
): Disposable {
  const purge = (what: string, work: Promise<unknown>) =>
    void work.catch((error: unknown) => log.warn({ err: error }, `${what}: not purged`));
  const timer = setInterval(() => {
    purge('refusals', purgeRefusals(refusals, now()));
    purge('kept answers', purgeKeptAnswers(answers, now()));
    if (auditDays > 0) purge('audit log', purgeAudit(audit, now() - auditDays * DAY_MS));
  }, INTERVAL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
