import { describe, expect, it } from 'vitest';
import { readSotaToml } from './sota-toml.ts';

/** As lmp-device-register has it from the registration server. */
const FILE = `
[tls]
server = "https://gateway.example:8445"
ca_source = "file"
pkey_source = "file"
cert_source = "file"

[provision]
server = "https://gateway.example:8445"
primary_ecu_hardware_id = "intel-corei7-64"

[pacman]
type = "ostree+compose_apps"
# tags is not set

[import]
tls_cacert_path = "/var/sota/root.crt"
tls_pkey_path = "/var/sota/pkey.pem"
tls_clientcert_path = "/var/sota/client.pem"
`;
const TOKEN = FILE.replace('pkey_source = "file"', 'pkey_source = "pkcs11"')
  .replace('cert_source = "file"', 'cert_source = "pkcs11"')
  .concat(
    '\n[p11]\nmodule = "/usr/lib/softhsm/libsofthsm2.so"\npass = "1234"\ntls_pkey_id = "01"\ntls_clientcert_id = "03"\n',
  );

describe('sota.toml', () => {
  it('says where gateway, roots, key and certificate are; the rest is listed as ignored', () => {
    expect(readSotaToml(FILE)).toEqual({
      server: { url: 'https://gateway.example:8445' },
      trust: '/var/sota/root.crt',
      key: { kind: 'file', setting: 'import.tls_pkey_path', path: '/var/sota/pkey.pem' },
      certificate: { kind: 'file', setting: 'import.tls_clientcert_path', path: '/var/sota/client.pem' },
      token: undefined,
      ignored: ['provision.primary_ecu_hardware_id', 'pacman.type'],
    });
  });

  it('of a device with a token names the token, and its label only where it is another than usual', () => {
    expect(readSotaToml(TOKEN)).toMatchObject({
      key: { kind: 'pkcs11' },
      token: { module: '/usr/lib/softhsm/libsofthsm2.so', label: 'aktualizr', pin: '1234' },
    });
    expect(readSotaToml(`${TOKEN}label = "other"\n`).token?.label).toBe('other');
  });

  it('has relative paths below import.base_path', () => {
    const relative = FILE.replaceAll('"/var/sota/', '"').replace(
      '[import]',
      '[import]\nbase_path = "/var/sota"',
    );
    expect(readSotaToml(relative)).toMatchObject({
      trust: '/var/sota/root.crt',
      ignored: expect.not.arrayContaining(['import.base_path']),
    });
  });

  it.each([
    ['[tls', 'line 1: ', () => '[tls'],
    [
      'no server',
      'tls.server: missing: the URL of the device gateway',
      (text: string) => text.replaceAll(/^server.*$/gm, ''),
    ],
    [
      'server = 7',
      'tls.server: a text is expected, not 7',
      (text: string) => text.replace('"https://gateway.example:8445"', '7'),
    ],
    [
      'pkey_source = "tee"',
      'tls.pkey_source: "tee" is neither file nor pkcs11',
      (text: string) => text.replace('pkey_source = "file"', 'pkey_source = "tee"'),
    ],
    [
      'ca_source = "pkcs11"',
      'tls.ca_source: roots in a token are not supported: copy them into a file',
      (text: string) => text.replace('ca_source = "file"', 'ca_source = "pkcs11"'),
    ],
    ['no key', 'import.tls_pkey_path: missing', (text: string) => text.replace(/^tls_pkey_path.*$/m, '')],
    [
      'a relative path',
      'import.tls_cacert_path: "root.crt" is relative, and import.base_path is missing',
      (text: string) => text.replace('/var/sota/root.crt', 'root.crt'),
    ],
    ['no module', 'p11.module: missing', () => TOKEN.replace(/^module.*$/m, '')],
    ['a setting outside', 'server: stands in no section', (text: string) => `server = "x"\n${text}`],
  ])('with %s is refused by section and key', (_name, message, change) => {
    expect(() => readSotaToml(change(FILE))).toThrow(
      expect.objectContaining({
        code: 'bad-import',
        message: expect.stringContaining(`sota.toml: ${message}`),
      }),
    );
  });
});
