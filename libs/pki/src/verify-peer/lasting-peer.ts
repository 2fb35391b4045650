import { type Certificate, parseCertificate } from '../certificate.ts';
import type { VerifiedPeer } from './peer.ts';

class LastingPeer {
  readonly #der: Uint8Array;

  constructor(der: Uint8Array) {
    this.#der = der;
  }

  get certificate(): Certificate {
    return parseCertificate(this.#der);
  }
}

/**
 * The same peer, for a session that lasts: of its certificate only the DER is kept, and read again when it is asked
 * for. What was read is a third of the heap that an idle session takes.
 */
export function lastingPeer({ certificate, ...known }: VerifiedPeer): VerifiedPeer {
  return Object.assign(new LastingPeer(certificate.der), known) as VerifiedPeer;
}
