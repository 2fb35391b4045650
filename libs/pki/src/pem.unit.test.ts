import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, decodePem, decodePemBlocks, encodePem } from './pem.ts';

describe('PEM', () => {
  it('gives back any bytes, with LF and with CRLF', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
        const pem = encodePem('CERTIFICATE', bytes);
        expect(decodePem(pem, 'CERTIFICATE')).toEqual(bytes);
        expect(decodePem(`subject=x\r\n${pem.replaceAll('\n', '\r\n')}\r\n`, 'CERTIFICATE')).toEqual(bytes);
        expect(Math.max(...pem.split('\n').map((line) => line.length))).toBeLessThanOrEqual(64);
      }),
    );
  });

  it('finds all blocks of a bundle in order', () => {
    const bundle = encodePem('CERTIFICATE', Uint8Array.of(1)) + encodePem('CERTIFICATE', Uint8Array.of(2));
    expect(decodePemBlocks(bundle).map(({ der }) => der[0])).toEqual([1, 2]);
  });

  it.each<[string, string, string]>([
    ['no block', 'hello', 'PEM: no block; expected CERTIFICATE'],
    [
      'two blocks',
      encodePem('CERTIFICATE', Uint8Array.of(1)).repeat(2),
      'PEM: 2 blocks where one was expected',
    ],
    [
      'a private key',
      encodePem('PRIVATE KEY', Uint8Array.of(1)),
      'PEM: expected CERTIFICATE, found PRIVATE KEY',
    ],
    [
      'labels that differ',
      encodePem('CERTIFICATE', Uint8Array.of(1)).replace('END CERTIFICATE', 'END X'),
      'PEM: "BEGIN CERTIFICATE" ends in "END X"',
    ],
  ])('refuses %s', (_, pem, message) => {
    expect(() => decodePem(pem, 'CERTIFICATE')).toThrow(
      expect.objectContaining({ code: 'bad-pem', message }),
    );
  });

  it.each(['A', 'AA', 'AAA', 'AA=A', 'A===', 'AA-_', 'AAA!', '====', 'AA==AA==', 'AB=='])(
    'refuses "%s" as base64',
    (text) => {
      expect(() => decodeBase64(text, 'body')).toThrow(
        expect.objectContaining({ code: 'bad-base64', message: expect.stringMatching(/^body: /) }),
      );
    },
  );

  it('reads base64 with line breaks in any place', () => {
    expect(decodeBase64('AQ\r\nID\n\t ')).toEqual(Uint8Array.of(1, 2, 3));
  });
});
