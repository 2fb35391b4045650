import type { Bus, Subscription } from '@signet/bus';
import { meetDevice, OperationError } from '@signet/contracts';
import { decodePem, type IssuerSet, PkiError, verifyPeer } from '@signet/pki';
import { type FirstContacts, refusesFirstContact } from '../domain/claim/first-contact.ts';
import { BootstrapError } from '../domain/errors.ts';

/** First contacts at other listeners (F48). The certificate is verified here again. */
export function serveFirstContacts(
  bus: Bus,
  deps: FirstContacts & { readonly issuers: () => IssuerSet; readonly now: () => number },
): Promise<Subscription> {
  return bus.serve(meetDevice, async ({ certificate }) => {
    const peer = verifyPeer({
      leaf: derOf(certificate),
      issuers: deps.issuers(),
      purposes: ['bootstrap'],
      now: deps.now(),
      // the listener asked
      denied: () => undefined,
    });
    if (!peer.ok) throw new OperationError('bad-certificate', peer.message, { field: 'certificate' });
    const pins = deps.pinsOf(peer.issuer.keyId);
    if (refusesFirstContact(pins)) return { met: false };
    try {
      await deps.meet(pins, peer.certificate);
    } catch (cause) {
      if (!(cause instanceof BootstrapError)) throw cause;
      throw new OperationError('unknown-device', cause.message, { cause });
    }
    return { met: true };
  });
}

function derOf(pem: string): Uint8Array {
  try {
    return decodePem(pem, 'CERTIFICATE');
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw new OperationError('bad-certificate', `certificate: ${cause.message}`, { cause });
  }
}
