import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { commonConfig } from './common-config.ts';
import { parseConfig } from './config.ts';
import { below, originOf, publicHost, publicUrl } from './public-url.ts';

const namesOf = (text: string) =>
  parseConfig(commonConfig, { SIGNET_SERVER_NAMES: text }).SIGNET_SERVER_NAMES;

describe('names under which a process is reached', () => {
  it('may be IPv6, with or without brackets and in any form; URLs have it in brackets', () => {
    const names = namesOf('[2001:DB8:0::1], ::1,2001:db8::1,10.0.0.1,*.example.com,signet');
    expect(names).toEqual(['2001:db8::1', '::1', '10.0.0.1', '*.example.com', 'signet']);
    expect(originOf('https', '2001:db8::1', 8443)).toBe('https://[2001:db8::1]:8443');
    expect(originOf('http', 'signet', 80)).toBe('http://signet:80');
    expect(publicHost(['*.example.com', '::1'])).toBe('::1');
    for (const name of names.filter((one) => !one.startsWith('*')))
      expect(URL.canParse(originOf('https', name, 8443))).toBe(true);
  });

  it.each([
    'https://signet.example',
    'signet.example:8443',
    'fe80::1%eth0',
    '300.1.1.1',
    '[signet]',
    'sig net',
    'a..b',
    'x*.example.com',
    ',',
  ])('that are none are refused at the start, and the variable is named: %s', (text) => {
    expect(() => namesOf(text)).toThrow(/^SIGNET_SERVER_NAMES: must (be DNS names|name at least)[^\n]*$/);
  });
});

describe('URLs that go to devices, into certificates and bundles', () => {
  const schema = z.object({
    SIGNET_X_URL: publicUrl({ schemes: ['https'] }),
    SIGNET_Y_URL: publicUrl({ schemes: ['http'], path: true }).default('http://localhost'),
  });
  const read = (env: Record<string, string>) => parseConfig(schema, env);

  it('lose the slashes at their end, so that a path can be put behind', () => {
    const { SIGNET_X_URL: x, SIGNET_Y_URL: y } = read({
      SIGNET_X_URL: 'https://[::1]:8443//',
      SIGNET_Y_URL: 'http://crl.example/signet/',
    });
    expect([x, y]).toEqual(['https://[::1]:8443', 'http://crl.example/signet']);
    expect(below(y, '/crl/1.crl')).toBe('http://crl.example/signet/crl/1.crl');
  });

  it.each([
    ['signet.example', 'must be a URL such as'],
    ['https://', 'must be a URL such as'],
    ['https://::1:8443', 'must be a URL such as'],
    ['https:signet', 'must be a URL such as'],
    ['http://signet.example', 'must begin with https://'],
    ['https://signet.example:0', 'must name a port that can be reached'],
    ['https://signet.example/base', 'must have no path'],
    ['https://signet.example?x', 'must have neither'],
    ['https://me:secret@signet.example', 'must carry no user and password'],
  ])('that nobody could use are refused at the start: %s', (text, reason) => {
    expect(() => read({ SIGNET_X_URL: text })).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(new RegExp(`^SIGNET_X_URL: ${reason}[^\n]*$`)),
      }),
    );
  });
});
