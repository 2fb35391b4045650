import { expect, test } from 'vitest';
import { isOwnAddress } from './redirects.ts';

const own = {
  names: ['localhost', 'boot.example', '2001:db8::7'],
  port: 8444,
};

test.each([
  ['https://localhost:8444', true],
  ['https://BOOT.example:8444/', true],
  ['https://[2001:db8::7]:8444', true],
  ['https://boot.example:9444', false],
  ['https://boot.example', false],
  ['https://other.example:8444', false],
])('a redirect to %s is one to oneself: %s', (url, expected) => {
  expect(isOwnAddress(own, url)).toBe(expected);
});
