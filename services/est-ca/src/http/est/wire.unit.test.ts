import { RefusalCode } from '@signet/contracts';
import { describe, expect, it } from 'vitest';
import { decodeCsrBody, parseBasicCredentials, parseEstPath } from './est-request.ts';
import { base64Body } from './est-response.ts';
import { refusalResponses } from './refusal-responses.ts';

describe('EST paths', () => {
  it('take an operation alone or below a label (RFC 7030 §3.2.2)', () => {
    expect(parseEstPath('/.well-known/est/cacerts')).toEqual({ label: undefined, operation: 'cacerts' });
    expect(parseEstPath('/.well-known/est/acme.line-2/simpleenroll?x=1')).toEqual({
      label: 'acme.line-2',
      operation: 'simpleenroll',
    });
  });

  it.each([
    '/.well-known/est',
    '/.well-known/est/',
    '/.well-known/est//cacerts',
    '/.well-known/est/a/b/cacerts',
    '/.well-known/est/%2e%2e/cacerts',
    '/est/cacerts',
  ])('refuse %s', (path) => {
    expect(parseEstPath(path)).toBeUndefined();
  });
});

describe('base64 answers', () => {
  const der = new Uint8Array(100).fill(7);

  it('are wrapped at 64 columns with LF for clients that name themselves (libest)', () => {
    const lines = base64Body(der, 'auto', 'libest').split('\n');
    expect(lines.map((line) => line.length)).toEqual([64, 64, 8, 0]);
  });

  it('are one line for clients without User-Agent (strongSwan)', () => {
    expect(base64Body(der, 'auto', undefined)).not.toContain('\n');
  });

  it('follow the profile where it says', () => {
    expect(base64Body(der, 'unwrapped', 'libest')).not.toContain('\n');
    expect(base64Body(der, 'wrapped', undefined)).toContain('\n');
  });
});

describe('HTTP Basic', () => {
  it('gives user name and password, in which a colon may stand', () => {
    const header = `basic ${Buffer.from('dev-1:a:b').toString('base64')}`;
    expect(parseBasicCredentials(header)).toEqual({ username: 'dev-1', password: 'a:b' });
  });

  it.each([undefined, '', 'Bearer abc', 'Basic', 'Basic !!!', `Basic ${btoa('nocolon')}`])(
    'reads nothing from %s',
    (h) => {
      expect(parseBasicCredentials(h)).toBeUndefined();
    },
  );
});

describe('the body of an enrolment', () => {
  it('is base64 with whatever line breaks, or PEM', () => {
    expect(decodeCsrBody(Buffer.from('MAMC\r\nAQE=\r\n'))).toEqual(new Uint8Array([48, 3, 2, 1, 1]));
    const pem = '-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQE=\n-----END CERTIFICATE REQUEST-----\n';
    expect(decodeCsrBody(Buffer.from(pem))).toEqual(new Uint8Array([48, 3, 2, 1, 1]));
  });

  it.each([
    ['nothing', ''],
    ['what is not base64', '{"csr":1}'],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n'],
  ])('is refused if it is %s', (_, body) => {
    expect(() => decodeCsrBody(Buffer.from(body))).toThrow(
      expect.objectContaining({ code: 'malformed-request', message: expect.stringMatching(/^(body|PEM)/) }),
    );
  });
});

describe('the table of refusals', () => {
  it('has an answer for every code, each a client or availability error', () => {
    expect(Object.keys(refusalResponses).toSorted()).toEqual(RefusalCode.options.toSorted());
    for (const answer of Object.values(refusalResponses)) expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  it('challenges exactly where it answers 401', () => {
    for (const answer of Object.values(refusalResponses))
      expect('challenge' in answer).toBe(answer.status === 401);
  });
});
