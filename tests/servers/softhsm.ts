import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A token of SoftHSM that can be pulled out and put back. */
export type SoftHsm = AsyncDisposable & {
  /** RFC 7512. */
  readonly uri: string;
  readonly pin: string;
  unplug(): Promise<void>;
  plugIn(): Promise<void>;
};

const libraries = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

/** SoftHSM finds its tokens by SOFTHSM2_CONF of this process. */
export async function openSoftHsm(util: string): Promise<SoftHsm> {
  const library = libraries.find((path) => existsSync(path));
  if (library === undefined) throw new Error(`no libsofthsm2.so in any of ${libraries.join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), 'signet-softhsm-'));
  const tokens = join(folder, 'tokens');
  const away = join(folder, 'away');
  await mkdir(tokens);
  const conf = join(folder, 'softhsm2.conf');
  await writeFile(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const before = process.env.SOFTHSM2_CONF;
  process.env.SOFTHSM2_CONF = conf;
  const pin = '4711-0815';
  execFileSync(
    util,
    ['--init-token', '--free', '--label', 'signet test', '--pin', pin, '--so-pin', '12345678'],
    { env: { ...process.env, SOFTHSM2_CONF: conf }, stdio: 'pipe' },
  );
  return {
    uri: `pkcs11:token=signet%20test?module-path=${library}`,
    pin,
    unplug: () => rename(tokens, away),
    plugIn: () => rename(away, tokens),
    async [Symbol.asyncDispose]() {
      if (before === undefined) delete process.env.SOFTHSM2_CONF;
      else process.env.SOFTHSM2_CONF = before;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
