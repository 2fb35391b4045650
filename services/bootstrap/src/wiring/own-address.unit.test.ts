import { expect, test } from 'vitest';
import { ownAddress } from './claims.ts';

const isOwn = ownAddress({
  SIGNET_SERVER_NAMES: ['localhost', 'boot.example', '2001:db8::7'],
  SIGNET_BOOTSTRAP_PORT: 8444,
});

test.each([
  ['https://localhost:8444', true],
  ['https://BOOT.example:8444/', true],
  ['https://[2001:db8::7]:8444', true],
  ['https://boot.example:9444', false],
  ['https://boot.example', false],
  ['https://other.example:8444', false],
])('a redirect to %s is one to oneself: %s', (url, own) => {
  expect(isOwn(url)).toBe(own);
});
