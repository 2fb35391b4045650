import type { Bus } from '@signet/bus';
import {
  commandCertificate,
  createGrant,
  createMqttCredentials,
  enrollHandedOver,
  PLATFORM_ACCOUNT,
  REDIRECT_TYPE,
  RedirectStatement,
  signStatement,
} from '@signet/contracts';
import type { HandoffPorts } from '../domain/handoff/ports.ts';

/** A redirect is followed at once; what is kept of one is worth nothing the next day. */
const REDIRECT_SECONDS = 3600;
/** How long a command certificate that was asked for is handed over without asking again. */
const KEPT_MS = 60_000;

/** Asks over the bus. */
export function handoffPorts(bus: Pick<Bus, 'request'>, now: () => number): HandoffPorts {
  const certificates = new Map<string, { readonly at: number; readonly answer: Answer }>();
  type Answer = ReturnType<HandoffPorts['commandCertificate']>;
  return {
    issueGrant: (input) => bus.request(createGrant, input),
    enroll: (input) => bus.request(enrollHandedOver, input),
    issueCredentials: (input) => bus.request(createMqttCredentials, input),
    commandCertificate({ account }) {
      const kept = certificates.get(account);
      if (kept !== undefined && performance.now() - kept.at < KEPT_MS) return kept.answer;
      const answer = bus.request(commandCertificate, { account });
      certificates.set(account, { at: performance.now(), answer });
      answer.catch(() => certificates.delete(account));
      return answer;
    },
    async signRedirect(redirect) {
      const iat = Math.floor(now() / 1000);
      const statement = RedirectStatement.parse({ ...redirect, iat, exp: iat + REDIRECT_SECONDS });
      const payload = Buffer.from(JSON.stringify(statement)).toString('base64url');
      const { jws } = await bus.request(signStatement, {
        account: PLATFORM_ACCOUNT,
        type: REDIRECT_TYPE,
        payload,
      });
      return jws;
    },
  };
}
