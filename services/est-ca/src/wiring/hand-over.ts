import type { ServiceDeps } from '@signet/service';
import type { Collections } from '../adapters/collections.ts';
import { guardPurposeKeys } from '../adapters/guarded-keys.ts';
import { purposeKeys } from '../adapters/purpose-keys.ts';
import type { EstCaConfig } from '../config.ts';
import type { AuthorityRing } from '../domain/authority/ring.ts';
import { commandSigners } from '../domain/commands/command-signers.ts';
import { serveCommands } from '../messaging/command-operations.ts';
import { serveHandOverEnrollment } from '../messaging/hand-over-enrollment.ts';
import { keyFolderOf } from './authorities.ts';
import type { EnrollmentDeps } from './enrollment.ts';

/** What a hand-over of the bootstrap service asks besides the grant: a certificate at once, the command certificate. */
export async function serveHandedOver(
  config: EstCaConfig,
  { bus, clock, now }: Pick<ServiceDeps, 'bus' | 'clock' | 'now'>,
  parts: Pick<Collections, 'authorities' | 'certificates'> & {
    readonly enrollment: EnrollmentDeps;
    readonly ring: AuthorityRing;
  },
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const signerOf = commandSigners({
    ring: parts.ring,
    keys: guardPurposeKeys(purposeKeys(keyFolderOf(config), 'commands'), clock?.fault),
    trustDomain: config.SIGNET_TRUST_DOMAIN,
    now,
  });
  stack.use(await serveCommands(bus, { authorities: parts.authorities, signerOf }));
  stack.use(await serveHandOverEnrollment(bus, { ...parts.enrollment, certificates: parts.certificates }));
  return stack.move();
}
