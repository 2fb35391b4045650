import { Account } from '@signet/contracts';
import { commonConfig, port, publicUrl, secret, wholeNumber } from '@signet/service';
import { z } from 'zod';

/** What the EST service reads from the environment. */
export const estCaConfig = commonConfig.extend({
  SIGNET_EST_PORT: port(8443).describe('Port of EST (HTTPS, mutual TLS)'),
  SIGNET_EST_HTTP_PORT: port(8081).describe(
    'Port of CRLs and CA certificates (plain HTTP: what they carry is signed)',
  ),
  // plain http (RFC 5280 §8): what it leads to is signed
  SIGNET_EST_HTTP_URL: publicUrl({ schemes: ['http'], path: true })
    .optional()
    .describe(
      'URL of that port as devices reach it; goes into certificates (CRL and issuer addresses). By default the first of SIGNET_SERVER_NAMES',
    ),
  SIGNET_EST_WORKERS: wholeNumber(1, 1, 64).describe(
    'Has no effect any more, and is reported at start where it is above 1: run replicas of est-ca in place of workers',
  ),
  SIGNET_EST_GRANT_MINUTES: wholeNumber(15, 1, 10_080).describe('How long an enrollment grant lives'),
  SIGNET_EST_VALIDITY_DAYS: wholeNumber(90, 1, 3650).describe(
    'Validity of operational certificates where the account has no profile of its own',
  ),
  SIGNET_EST_RENEWALS_PER_SECOND: wholeNumber(50, 1, 100_000).describe(
    'How many renewals in one second the times that devices are told add up to, over all accounts',
  ),
  SIGNET_EST_EXPIRING_DAYS: z
    .string()
    .regex(/^[1-9][0-9]{0,3}(,[1-9][0-9]{0,3})*$/, 'must be whole days, with commas between')
    .default('30,7,1')
    .transform((text) => [...new Set(text.split(',').map(Number))].toSorted((a, b) => b - a))
    .describe('How many days before its end `CERT_EXPIRING` says of a certificate that it ends'),
  SIGNET_EST_KEYS: z
    .enum(['file', 'pkcs11'])
    .default('file')
    .describe(
      'Where the keys of new CAs are made: encrypted files in the data directory, or the PKCS#11 token',
    ),
  SIGNET_EST_KEY_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder of key files, shared by all replicas of est-ca. By default `est-ca/keys` in the data directory',
    ),
  SIGNET_EST_PKCS11: z
    .string()
    .startsWith('pkcs11:', 'must be a PKCS#11 URI (RFC 7512)')
    .optional()
    .describe(
      'Token for CA keys: `pkcs11:token=<label>?module-path=<library>`, with `&pin-source=file:<path>` where the PIN lies in a file',
    ),
  SIGNET_EST_PKCS11_PIN: secret().optional().describe('PIN of that token'),
  SIGNET_EST_ACCOUNT_CAS: wholeNumber(100, 4, 10_000).describe(
    'How many CAs an account may have on record, revoked ones and open requests among them',
  ),
  SIGNET_EST_SERVER_ACCOUNT: Account.optional().describe(
    'Account whose own server CA signs the TLS certificates of the services, once it has one in force (`signet ca create`, then `signet ca rotate-tls`); devices that reach them need its root. By default the platform’s server CA',
  ),
  SIGNET_EST_SERVER_VALIDITY_DAYS: wholeNumber(30, 1, 398).describe(
    "Validity of the TLS certificates of the platform's own services",
  ),
  SIGNET_EST_CRL_MINUTES: wholeNumber(1440, 10, 44_640).describe(
    'From the making of a complete CRL to its nextUpdate; it is made anew at half of that, and while it is short when something is revoked',
  ),
  SIGNET_EST_CRL_DELTA_MINUTES: wholeNumber(60, 1, 44_640).describe(
    'The same of a delta CRL; it is made anew within a second of a revocation',
  ),
  SIGNET_EST_CRL_PARTITIONS: wholeNumber(1, 1, 1024).describe(
    'Into how many partitions the CRL of a CA is split, by serial number; the complete one is there as well',
  ),
  SIGNET_EST_OCSP_MINUTES: wholeNumber(60, 2, 10_080).describe(
    'From the making of an OCSP answer to its nextUpdate',
  ),
  SIGNET_EST_OCSP_CACHE_SECONDS: wholeNumber(300, 0, 3600).describe(
    'How long an OCSP answer is given again, and may be kept by others; a revocation ends that at once here',
  ),
  SIGNET_EST_CRL_CACHE_SECONDS: wholeNumber(5, 0, 3600).describe(
    'How long a replica answers from the CRL it has',
  ),
});
export type EstCaConfig = z.output<typeof estCaConfig>;
