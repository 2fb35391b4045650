import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { onPath } from '../servers/binaries.ts';
import { startTpm, tpmVendor } from '../servers/tpm.ts';

/**
 * What `npx` does for a program of this clone: found in the nearest node_modules, run by the Node beside it. (npm itself
 * takes a second for that, some hundred times; a test beside this runs the real one.)
 */
const npx = `#!/bin/bash
folder=$PWD
until [ -x "$folder/node_modules/.bin/$1" ]; do
  [ "$folder" != / ] || { echo "npx: no $1 above $PWD" >&2; exit 127; }
  folder=$(dirname "$folder")
done
PATH=$folder/node_modules/.bin:$PATH exec "$folder/node_modules/.bin/$1" "\${@:2}"
`;

/** `npm ci` has run when a test runs: it is what .ci/run begins with, and there is no registry here. */
const npm = (real: string) => `#!/bin/sh
[ "$1" != ci ] || exit 0
exec ${real} "$@"
`;

/** Gives a reader's environment: a home of their own, what the page needs, and nothing of whoever runs the tests. */
export async function provide(clone: string, needs: readonly string[]): Promise<Record<string, string>> {
  const home = '/tmp/home';
  const bin = '/tmp/bin';
  for (const folder of [home, bin]) mkdirSync(folder, { recursive: true });
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  const real = path.map((folder) => join(folder, 'npm')).find((file) => existsSync(file)) ?? 'npm';
  for (const [name, text] of Object.entries({ npx, npm: npm(real) })) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    ...(needs.includes('tpm') ? await provideTpm(clone) : {}),
    PATH: [bin, ...path].join(delimiter),
    HOME: home,
    LANG: 'C.UTF-8',
    // there is no network: an optional package that is not cached is left out at once
    npm_config_offline: 'true',
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  };
}

/** A TPM, named as tpm2-tools name it, and the CA of its maker in `tpm-maker.pem`. It ends with this process. */
async function provideTpm(clone: string): Promise<Record<string, string>> {
  const { tcti, vendorCa } = await startTpm(onPath('swtpm') ?? '', tpmVendor());
  writeFileSync(join(clone, 'tpm-maker.pem'), vendorCa);
  return { TPM2OPENSSL_TCTI: tcti };
}
