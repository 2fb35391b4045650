import { type Certificate, createTemplate, exportSpki, issue, prepare, type Signer } from '@signet/pki';
import type { IssuerRegistry } from '../authority/issuer-registry.ts';

/** What commands and other statements of an account are signed with. */
export type CommandSigner = {
  readonly signer: Signer;
  readonly certificate: Certificate;
  readonly authorityId: string;
};

/** A statement carries its chain, so that a device believes one by a certificate that it has never seen. */
const VALIDITY_MS = 90 * 86_400_000;

/**
 * The command signer of each account: its key is made once, its certificate by the account's issuing CA when it is first
 * needed, again at half of its life, and when that CA is another one.
 * @throws AuthorityError `no-authority`
 */
export function commandSigners(deps: {
  readonly registry: IssuerRegistry;
  readonly keys: { openOrCreate(account: string): Promise<Signer> };
  readonly trustDomain: string;
  readonly now: () => number;
}): (account: string) => Promise<CommandSigner> {
  const made = new Map<string, Promise<CommandSigner>>();
  const make = async (account: string): Promise<CommandSigner> => {
    const authority = deps.registry.forAccount(account, 'issuing');
    const signer = await deps.keys.openOrCreate(account);
    const issuedAt = deps.now();
    const linted = prepare(createTemplate({ kind: 'statements', issuer: authority.issuer }), {
      subject: { commonName: 'commands', organization: account },
      spkiDer: exportSpki(signer.publicKey),
      sans: { uris: [commandUri(deps.trustDomain, account)] },
      issuedAt,
      notAfter: Math.min(issuedAt + VALIDITY_MS, authority.certificate.notAfter),
    });
    return {
      signer,
      certificate: await issue(linted, authority.signer),
      authorityId: authority.document.id,
    };
  };
  return async (account) => {
    const held = await made.get(account);
    const isCurrent =
      held !== undefined &&
      held.authorityId === deps.registry.forAccount(account, 'issuing').document.id &&
      held.certificate.notAfter - deps.now() > VALIDITY_MS / 2;
    if (isCurrent) return held;
    const fresh = make(account);
    made.set(account, fresh);
    fresh.catch(() => {
      if (made.get(account) === fresh) made.delete(account);
    });
    return fresh;
  };
}

/** `spiffe://<trust domain>/<account>/commands`: no device has it, theirs have `device` there. */
export function commandUri(trustDomain: string, account: string): string {
  return `spiffe://${trustDomain}/${account}/commands`;
}
