import { z } from 'zod';
import { Account, DeviceId, KeyId, Pem, SerialNumber, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** Name of a CRL source, unique in its account. */
export const CrlSourceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'name: lower-case letters, digits and "-", at most 40');
export type CrlSourceName = z.infer<typeof CrlSourceName>;

/** What to do when a source's CRL is past its end: tell; tell and refuse new sessions of its CA; go on. */
export const WhenStale = z.enum(['alarm', 'refuse-new', 'go-on']);
export type WhenStale = z.infer<typeof WhenStale>;

const settings = {
  /** PEM of the CA that signs the CRLs: one that the account has, or, for the platform, any. */
  issuer: Pem,
  /** Where the CRL is, or each of its partitions. None where it is uploaded only. */
  urls: z.array(z.url().max(2048)).max(64).default([]),
  /** How often it is asked for; some tenth more or less each time. */
  everySeconds: z.number().int().min(10).max(604_800).default(300),
  whenStale: WhenStale.default('alarm'),
};

/** State of one CRL of a source: the whole of it, or a partition. */
export const CrlPart = z.object({
  /** Its URL, or `upload` with the distribution point that it names. */
  name: z.string(),
  /** Number of the newest that was accepted, complete or delta, decimal; absent where it had none. */
  number: z.string().optional(),
  thisUpdate: Time.optional(),
  nextUpdate: Time.optional(),
  /** Certificates that it lists. */
  entries: z.number().int(),
  acceptedAt: Time.optional(),
  askedAt: Time.optional(),
  /** Why the last one was not accepted. */
  error: z.object({ code: z.string(), message: z.string(), at: Time, count: z.number().int() }).optional(),
});
export type CrlPart = z.infer<typeof CrlPart>;

export const CrlSource = z.object({
  account: Account,
  name: CrlSourceName,
  ...settings,
  issuerKeyId: KeyId,
  issuerName: z.string(),
  createdAt: Time,
  createdBy: z.string(),
  nextFetchAt: Time.optional(),
  /** Since when it is past its end. */
  staleSince: Time.optional(),
  parts: z.array(CrlPart),
});
export type CrlSource = z.infer<typeof CrlSource>;

const named = { account: Account, name: CrlSourceName };

/** What of a source may be changed; what is not named stays. */
export const CrlSourceSettings = z.object({
  urls: settings.urls.unwrap().optional(),
  everySeconds: settings.everySeconds.unwrap().optional(),
  whenStale: WhenStale.optional(),
});
export type CrlSourceSettings = z.infer<typeof CrlSourceSettings>;

export const addCrlSource = operation('revocation-sync.add-crl-source', {
  input: z.object({ ...named, ...settings, by: z.string() }),
  output: CrlSource,
  errors: ['crl-source-exists', 'foreign-issuer', 'bad-certificate'],
});

export const listCrlSources = operation('revocation-sync.list-crl-sources', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(CrlSource),
  errors: [],
});

export const getCrlSource = operation('revocation-sync.get-crl-source', {
  idempotent: true,
  input: z.object(named),
  output: CrlSource,
  errors: ['unknown-crl-source'],
});

/** What a URL listed that is no longer given is lifted. A source that is stale is judged anew by its policy. */
export const changeCrlSource = operation('revocation-sync.change-crl-source', {
  input: CrlSourceSettings.extend({ ...named, by: z.string() }),
  output: CrlSource,
  errors: ['unknown-crl-source', 'crl-source-busy'],
});

/** Asks for its CRLs now. What is wrong with them stands in the parts. */
export const fetchCrlSource = operation('revocation-sync.fetch-crl-source', {
  input: z.object(named),
  output: CrlSource,
  errors: ['unknown-crl-source', 'crl-source-busy'],
});

/** A piece of a CRL, DER or PEM; with the last it is judged. Pieces may come in any order but for the last. */
export const uploadCrl = operation('revocation-sync.upload-crl', {
  input: z.object({
    ...named,
    /** Chosen by the caller, one for each upload. */
    uploadId: z.uuid(),
    index: z.number().int().min(0).max(1023),
    content: z.base64().max(700_000),
    isLast: z.boolean(),
  }),
  output: z.object({ source: CrlSource.optional() }),
  errors: ['unknown-crl-source', 'crl-source-busy', 'crl-refused'],
});

/** What it listed is lifted, devices that it blocked are unblocked. */
export const removeCrlSource = operation('revocation-sync.remove-crl-source', {
  input: z.object({ ...named, by: z.string() }),
  output: z.object({ lifted: z.number().int() }),
  errors: ['unknown-crl-source', 'crl-source-busy'],
});

const deviceCertificate = { account: Account, deviceId: DeviceId, serialNumber: SerialNumber };

/**
 * What a CRL says of certificates, to the service that owns the devices: bootstrap certificates by issuer and serial
 * number, others by the device that holds them. Repeating it changes nothing.
 */
export const applyCrlToDevices = operation('bootstrap.apply-crl', {
  input: z.object({
    account: Account,
    source: CrlSourceName,
    /** Number of the CRL, decimal, where it has one. */
    number: z.string().optional(),
    issuerKeyId: KeyId,
    /** CAs with that key whose bootstrap certificates are meant. */
    authorityIds: z.array(z.string()).max(16),
    listed: z.array(z.object({ serialNumber: SerialNumber, reason: z.string() })).max(1000),
    unlisted: z.array(SerialNumber).max(1000),
    /** Of operational certificates. */
    holders: z
      .object({
        listed: z.array(z.object({ ...deviceCertificate, reason: z.string() })).max(1000),
        unlisted: z.array(z.object(deviceCertificate)).max(1000),
      })
      .default({ listed: [], unlisted: [] }),
  }),
  output: z.object({ blocked: z.array(DeviceId), unblocked: z.array(DeviceId) }),
  errors: [],
});
