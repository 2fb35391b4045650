import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  createRegistrationCertificate,
  OperationOutput,
  RegistrationCertificate,
} from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import type { Command } from 'commander';
import { action, type Context, type Environment } from '../context.ts';
import { facts } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { readText } from '../read-input.ts';

const BASE = '/v1/accounts/{account}/registration-certificates';

type Made = OperationOutput<typeof createRegistrationCertificate>;

export function registrationCommands(program: Command, environment: Environment): void {
  const certificate = program
    .command('registration')
    .description('certificates with which devices may ask to be registered')
    .command('certificate')
    .description('create, list and revoke them');

  certificate
    .command('create <name>')
    .description(
      'create a certificate that can only register devices: for an image (the key is made here), or for a CSR, for example of a key in a TPM',
    )
    .option('--out <folder>', 'output folder for register.crt, register.key and ca.crt (default: the name)')
    .option('--csr <file>', 'PKCS#10 request in PEM; no key is made')
    .option('--device <id>', 'it may register this device only')
    .option('--days <n>', 'validity in days', wholeNumber(1), 365)
    .option('--limit <n>', 'maximum devices that it may register', wholeNumber(1))
    .option('--max-waiting <n>', 'maximum requests that may wait at the same time', wholeNumber(1), 1000)
    .action(action(program, environment, create));

  certificate
    .command('list')
    .description('by name')
    .action(
      action(program, environment, async ({ api, list }) => {
        await list(api.all<RegistrationCertificate>(BASE, { limit: 1000 }), {
          name: ({ name }) => name,
          device: ({ deviceId = 'any' }) => deviceId,
          devices: ({ limit = 'no limit' }) => limit,
          until: ({ notAfter }) => notAfter,
          state: ({ revokedAt }) => (revokedAt === undefined ? 'in force' : `revoked ${revokedAt}`),
        });
      }),
    );

  certificate
    .command('revoke <name>')
    .description('revoke a registration certificate; devices that it registered stay registered')
    .action(
      action(program, environment, async ({ api, say }, name: string) => {
        const done = await api.post<RegistrationCertificate>(
          `${BASE}/${encodeURIComponent(name)}/revoke`,
          {},
        );
        say(done, () => `${done.name}: revoked ${done.revokedAt}`);
      }),
    );
}

type Options = {
  out?: string;
  csr?: string;
  device?: string;
  days: number;
  limit?: number;
  maxWaiting: number;
};

async function create({ api, say }: Context, name: string, options: Options): Promise<void> {
  const { csr: file, out = name, device, days, limit, maxWaiting } = options;
  const made = file === undefined ? makeKey(name) : { csr: await readText(file) };
  const answer = await api.post<Made>(BASE, {
    name,
    csr: made.csr,
    validityDays: days,
    maxWaiting,
    ...(limit === undefined ? {} : { limit }),
    ...(device === undefined ? {} : { deviceId: device }),
  });
  await mkdir(out, { recursive: true });
  const intermediates = answer.chain.slice(0, -1);
  await writeFile(join(out, 'register.crt'), [answer.certificate, ...intermediates].join(''));
  await writeFile(join(out, 'ca.crt'), answer.trustAnchors.join(''));
  if ('key' in made) await writeFile(join(out, 'register.key'), made.key, { mode: 0o600 });
  const { certificateId, notAfter } = answer.registration;
  say({ ...answer.registration, written: out }, () =>
    facts({ name, fingerprint: certificateId, 'valid until': notAfter, written: out }),
  );
}

/** The key in the form of RFC 5915: clients of Flotta's protocol read no other. */
function makeKey(name: string): { readonly csr: string; readonly key: string } {
  const { privateKey } = generateKeyPair('P-256');
  const csr = encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName: name }, privateKey }));
  return { csr, key: privateKey.export({ type: 'sec1', format: 'pem' }).toString() };
}
