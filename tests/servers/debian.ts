import { spawnSync } from 'node:child_process';
import { type Brought, onPath } from './binaries.ts';

/** Debian packages that tests need, and the executable by which each is known. */
export const packages = {
  'redis-server': 'redis-server',
  mosquitto: 'mosquitto',
  'mosquitto-clients': 'mosquitto_pub',
  'strongswan-pki': 'pki',
  'libstrongswan-standard-plugins': undefined,
  'libstrongswan-extra-plugins': undefined,
  softhsm2: 'softhsm2-util',
  'libengine-pkcs11-openssl': undefined,
  swtpm: 'swtpm',
  'swtpm-tools': 'swtpm_setup',
  'tpm2-tools': 'tpm2_createprimary',
  'tpm2-openssl': undefined,
  'libtss2-tcti-mssim0': undefined,
  openssl: 'openssl',
  curl: 'curl',
  'nginx-light': 'nginx',
  systemd: 'systemd-analyze',
  chromium: 'chromium',
  faketime: 'faketime',
  'default-jre-headless': 'keytool',
  'default-jdk-headless': 'javac',
  'gnutls-bin': 'certtool',
} as const;
export type DebianPackage = keyof typeof packages;

/**
 * Brings packages (all, unless some are named), installing what is missing where that is possible (root, apt-get).
 * `installing` hears of it first.
 */
export function bringPackages(
  names: readonly DebianPackage[] = Object.keys(packages) as DebianPackage[],
  installing: () => void = () => {},
): Map<DebianPackage, Brought> {
  const missing = names.filter((name) => !present(name));
  if (missing.length > 0) installing();
  const failure = missing.length === 0 ? undefined : install(missing);
  return new Map(
    names.map((name) => {
      const how = missing.includes(name) ? 'installed as a Debian package' : 'here already';
      const path = onPath(packages[name] ?? '') ?? '';
      return [name, present(name) ? { path, how } : { missing: `Debian package ${name}: ${failure}` }];
    }),
  );
}

function present(name: DebianPackage): boolean {
  const executable = packages[name];
  if (executable !== undefined) return onPath(executable) !== undefined;
  if (onPath('dpkg-query') === undefined) return onPath('pki') !== undefined;
  const query = spawnSync('dpkg-query', ['--status', name], { encoding: 'utf8' });
  return query.status === 0 && query.stdout.includes('Status: install ok installed');
}

/** Says why it could not. */
export function install(missing: readonly string[]): string | undefined {
  if (onPath('apt-get') === undefined) return 'no apt-get here';
  if (process.getuid?.() !== 0) return `not root (as root: apt-get install ${missing.join(' ')})`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['-q', 'update'], { env, encoding: 'utf8' });
  // run level 1: packages of servers start none of their own
  const args = ['-q', '-y', '--no-install-recommends', 'install', ...missing];
  const result = spawnSync('apt-get', args, { env: { ...env, RUNLEVEL: '1' }, encoding: 'utf8' });
  return result.status === 0 ? undefined : `apt-get failed: ${result.stderr.trim().split('\n').at(-1)}`;
}
