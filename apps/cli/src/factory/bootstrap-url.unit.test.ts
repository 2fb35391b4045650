import { expect, it } from 'vitest';
import { bootstrapUrlAt } from './bootstrap-url.ts';

it.each([
  ['http://127.0.0.1:8080', 'https://localhost:8444'],
  ['http://[::1]:9000/', 'https://localhost:8444'],
  ['https://signet.example.com', 'https://signet.example.com:8444'],
  ['https://signet.example.com:8080/', 'https://signet.example.com:8444'],
  ['https://[2001:db8::1]:8080', 'https://[2001:db8::1]:8444'],
])('devices made at %s find the bootstrap service at %s', (api, bootstrap) => {
  expect(bootstrapUrlAt({ url: api })).toBe(bootstrap);
});
