import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort, startServer } from './child.ts';
import { exchange } from './start.ts';
import { shareTpm } from './tpm-sharing.ts';

/** A TPM 2.0 in software, manufactured for the test: its endorsement key's certificate is one of `vendorCa`. */
export type RunningTpm = AsyncDisposable & {
  /** Name by which tools, tpm2-openssl and the agent open it. */
  readonly tcti: string;
  /** PEM of the CA that vouches for it, and of the root above that. */
  readonly vendorCa: string;
  readonly vendorRoot: string;
};

/** A vendor's CA, as swtpm's local one makes it. TPMs that are made with the same one are of the same vendor. */
export type TpmVendor = Disposable & { readonly folder: string };

export function tpmVendor(): TpmVendor {
  const folder = mkdtempSync(join(tmpdir(), 'signet-tpm-vendor-'));
  writeFileSync(
    join(folder, 'localca.conf'),
    Object.entries({
      statedir: '',
      signingkey: 'signkey.pem',
      issuercert: 'issuercert.pem',
      certserial: 'certserial',
    })
      .map(([name, file]) => `${name} = ${join(folder, 'ca', file)}\n`)
      .join(''),
  );
  writeFileSync(join(folder, 'localca.options'), '');
  writeFileSync(
    join(folder, 'setup.conf'),
    `create_certs_tool = swtpm_localca\ncreate_certs_tool_config = ${join(folder, 'localca.conf')}\ncreate_certs_tool_options = ${join(folder, 'localca.options')}\n`,
  );
  mkdirSync(join(folder, 'ca'));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Makes a TPM and starts it.
 * @param binary path of `swtpm`; `swtpm_setup` lies beside it
 * @throws Error with what swtpm_setup says
 */
export async function startTpm(binary: string, vendor: TpmVendor): Promise<RunningTpm> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'signet-tpm-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const setup = spawnSync(
    join(dirname(binary), 'swtpm_setup'),
    ['--tpm2', '--tpm-state', directory, '--config', join(vendor.folder, 'setup.conf')].concat([
      '--create-ek-cert',
      '--lock-nvram',
      '--overwrite',
    ]),
    { encoding: 'utf8' },
  );
  if (setup.status !== 0)
    throw new Error(`swtpm_setup: ${setup.error?.message ?? `${setup.stdout}${setup.stderr}`}`);
  const control = await freePort();
  const swtpm = stack.use(
    await startServer(
      {
        name: 'swtpm',
        binary,
        args: (port) => [
          ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`],
          ...['--server', `type=tcp,port=${port},bindaddr=127.0.0.1`],
          ...['--ctrl', `type=tcp,port=${control},bindaddr=127.0.0.1`],
          ...['--flags', 'not-need-init,startup-clear'],
        ],
        url: (port) => `swtpm:host=127.0.0.1,port=${port}`,
        answers: () => exchange(control, '\0\0\0\x01', /./s),
      },
      { directory },
    ),
  );
  const { port } = stack.use(await shareTpm(swtpm.url));
  const running = stack.move();
  return {
    tcti: `mssim:host=127.0.0.1,port=${port}`,
    vendorCa: readFileSync(join(vendor.folder, 'ca', 'issuercert.pem'), 'utf8'),
    vendorRoot: readFileSync(join(vendor.folder, 'ca', 'swtpm-localca-rootca-cert.pem'), 'utf8'),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
