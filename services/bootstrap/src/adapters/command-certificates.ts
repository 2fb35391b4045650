import type { Bus } from '@signet/bus';
import { commandCertificate } from '@signet/contracts';
import type { Context } from '../context.ts';

/** How long an answer is used without asking again. */
const KEPT_MS = 60_000;

/** The command certificates of accounts, asked of `est-ca` once a minute at most. */
export function commandCertificates(bus: Pick<Bus, 'request'>): Context['commandCertificateOf'] {
  type Answer = ReturnType<Context['commandCertificateOf']>;
  const answers = new Map<string, { readonly at: number; readonly answer: Answer }>();
  return (account) => {
    const earlier = answers.get(account);
    if (earlier !== undefined && performance.now() - earlier.at < KEPT_MS) return earlier.answer;
    const answer = bus.request(commandCertificate, { account });
    answers.set(account, { at: performance.now(), answer });
    answer.catch(() => answers.delete(account));
    return answer;
  };
}
