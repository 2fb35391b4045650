import type { Bus, Subscription } from '@signet/bus';
import {
  addCrlSource,
  type CrlSourceSettings,
  changeCrlSource,
  fetchCrlSource,
  getCrlSource,
  listAuthorities,
  listCrlSources,
  OperationError,
  PLATFORM_ACCOUNT,
  removeCrlSource,
  uploadCrl,
} from '@signet/contracts';
import { type Certificate, PkiError, parseCertificatePem } from '@signet/pki';
import { StoreError } from '@signet/store';
import { type SourceRecord, type Sources, sourceId, sourceView } from '../domain/crl/source-record.ts';
import { answering } from './answering.ts';

/** What is done with sources, as this room needs it. */
export type SourceWork = {
  fetch(id: string): Promise<SourceRecord>;
  /** Takes the pieces `0` … `last` of an upload. */
  takeUpload(id: string, upload: string, last: number): Promise<SourceRecord>;
  keepPiece(upload: string, index: number, content: string): Promise<void>;
  change(id: string, settings: CrlSourceSettings): Promise<SourceRecord>;
  remove(id: string): Promise<number>;
};

/** What operators do with CRL sources. */
export async function serveCrlSources(deps: {
  readonly bus: Bus;
  readonly sources: Sources;
  readonly work: SourceWork;
  readonly now: () => number;
}): Promise<Subscription[]> {
  const { bus, sources, work, now } = deps;
  const get = async (account: string, name: string): Promise<SourceRecord> => {
    const source = await sources.get(sourceId(account, name));
    if (source === undefined)
      throw new OperationError(
        'unknown-crl-source',
        `name: account "${account}" has no CRL source "${name}"`,
        {
          field: 'name',
        },
      );
    return source;
  };
  return [
    await bus.serve(addCrlSource, (input) =>
      answering(async () => {
        const { account, name, issuer, urls, by, ...settings } = input;
        const certificate = parseIssuer(issuer);
        await demandOwnIssuer(bus, account, certificate);
        const record: SourceRecord = {
          ...settings,
          ...{ id: sourceId(account, name), account, name, issuer, urls },
          issuerKeyId: certificate.subjectKeyId,
          issuerName: certificate.subject.commonName ?? '',
          createdAt: new Date(now()).toISOString(),
          createdBy: by,
          ...(urls.length === 0 ? {} : { dueAt: now() }),
          ...{ failures: 0, leasedUntil: 0, parts: [] },
        };
        try {
          await sources.insert(record);
        } catch (error) {
          if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
          throw new OperationError(
            'crl-source-exists',
            `name: account "${account}" has a CRL source "${name}"`,
            {
              field: 'name',
            },
          );
        }
        return sourceView(record);
      }),
    ),
    await bus.serve(listCrlSources, ({ account, limit, cursor }) =>
      answering(async () => {
        const page = await sources.find({
          ...{ index: 'byAccount' as const, equals: { account }, limit },
          ...(cursor === undefined ? {} : { cursor }),
        });
        const items = page.items.map(sourceView);
        return { items, ...(page.next === undefined ? {} : { next: page.next }) };
      }),
    ),
    await bus.serve(getCrlSource, ({ account, name }) =>
      answering(async () => sourceView(await get(account, name))),
    ),
    await bus.serve(changeCrlSource, ({ account, name, by: _, ...settings }) =>
      answering(async () => sourceView(await work.change((await get(account, name)).id, settings))),
    ),
    await bus.serve(fetchCrlSource, ({ account, name }) =>
      answering(async () => sourceView(await work.fetch((await get(account, name)).id))),
    ),
    await bus.serve(uploadCrl, ({ account, name, uploadId, index, content, isLast }) =>
      answering(async () => {
        const { id } = await get(account, name);
        const upload = `${id}/${uploadId}`;
        await work.keepPiece(upload, index, content);
        return isLast ? { source: sourceView(await work.takeUpload(id, upload, index)) } : {};
      }),
    ),
    await bus.serve(removeCrlSource, ({ account, name }) =>
      answering(async () => ({ lifted: await work.remove((await get(account, name)).id) })),
    ),
  ];
}

type Issuer = Certificate & { readonly subjectKeyId: string };

function parseIssuer(pem: string): Issuer {
  const refuse = (why: string, cause?: unknown) =>
    new OperationError('bad-certificate', `issuer: ${why}`, { field: 'issuer', cause });
  let certificate: Certificate;
  try {
    certificate = parseCertificatePem(pem);
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    throw refuse(error.message, error);
  }
  if (certificate.basicConstraints?.ca !== true) throw refuse('not the certificate of a CA');
  if (certificate.keyUsage?.has('cRLSign') === false) throw refuse('its key usage does not allow CRLs');
  if (!hasKeyId(certificate)) throw refuse('it has no subject key identifier');
  return certificate;
}

/** A list denies by the key id of its issuer, which anybody may put in a certificate: an account names its own CAs only. */
async function demandOwnIssuer(bus: Bus, account: string, issuer: Issuer): Promise<void> {
  if (account === PLATFORM_ACCOUNT) return;
  const { authorities } = await bus.request(listAuthorities, {});
  const isOwn = authorities.some(
    (authority) =>
      authority.account === account &&
      parseCertificatePem(authority.certificate).publicKeyHash === issuer.publicKeyHash &&
      authority.subjectKeyId === issuer.subjectKeyId,
  );
  if (!isOwn)
    throw new OperationError('foreign-issuer', `issuer: account "${account}" has no CA with this key`, {
      field: 'issuer',
    });
}

function hasKeyId(certificate: Certificate): certificate is Issuer {
  return certificate.subjectKeyId !== undefined;
}
