import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkJsonDepth, ForeignJsonError, readForeignJson } from './foreign-json.ts';

function faultOf(json: string | Uint8Array, limits?: Parameters<typeof readForeignJson>[2]) {
  try {
    readForeignJson(json, 'body', limits);
    return undefined;
  } catch (error) {
    if (!(error instanceof ForeignJsonError)) throw error;
    return { code: error.code, message: error.message };
  }
}

const EIGHT_MIB = 8 * 1024 * 1024;

describe('JSON of strangers', () => {
  test('whatever is JSON within the limits is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        fc.pre(faultOf(text)?.code !== 'forbidden-key');
        expect(readForeignJson(text, 'body')).toEqual(JSON.parse(text));
        expect(readForeignJson(Buffer.from(text), 'body')).toEqual(JSON.parse(text));
      }),
    );
  });

  test('whatever is no JSON is refused, and nothing else is thrown', () => {
    const pieces = fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', 'a', '1', ' ', '"a"', '\\u0061');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        const text = parts.join('');
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(faultOf(text)).toBeDefined();
          return;
        }
        const fault = faultOf(text);
        if (fault === undefined) expect(readForeignJson(text, 'body')).toEqual(expected);
        else expect(fault.code).toBe('duplicate-key');
      }),
      { numRuns: 2000 },
    );
  });

  test.each(['[', '{"a":', '[{"a":['])(
    '8 MiB of %s are refused for their depth, before they are parsed',
    (piece) => {
      const text = piece.repeat(EIGHT_MIB / piece.length);
      expect(faultOf(text)).toEqual({ code: 'too-deep', message: 'body: nested deeper than 32 levels' });
    },
  );

  test('brackets in strings are no depth, however the quotes around them are escaped', () => {
    const text = JSON.stringify({ a: '['.repeat(1000), b: `\\"${'{'.repeat(1000)}\\`, '["[': ['"[[', '\\'] });
    expect(readForeignJson(text, 'body')).toEqual(JSON.parse(text));
  });

  test.each([
    ['[1,1,1,1]', { values: 3 }, 'too-many-values', 'body: more than 3 values'],
    ['[1,1,1]', { bytes: 6 }, 'too-long', 'body: longer than 6 bytes'],
    ['[[[1]]]', { depth: 2 }, 'too-deep', 'body: nested deeper than 2 levels'],
    ['{"a":1,"b":2,"\\u0061":3}', {}, 'duplicate-key', 'body: "a" comes twice in one object'],
    ['{"x":{"__proto__":{}}}', {}, 'forbidden-key', 'body: "__proto__" is not taken as a name'],
    ['{"\\u005f_proto__":{}}', {}, 'forbidden-key', 'body: "__proto__" is not taken as a name'],
    ['{"constructor":{"prototype":{}}}', {}, 'forbidden-key', 'body: "prototype" is not taken as a name'],
    ['{"a":', {}, 'malformed', 'body: it is not JSON'],
    ['', {}, 'malformed', 'body: it is not JSON'],
  ])('%s is refused with its reason', (text, limits, code, message) => {
    expect(faultOf(text, limits)).toEqual({ code, message });
  });

  test('bytes that are not UTF-8 are refused', () => {
    const text = Buffer.from('{"a":"\xff"}', 'latin1');
    expect(faultOf(text)).toEqual({ code: 'not-utf8', message: 'body: it is not UTF-8' });
  });

  test('the same name in two objects is no duplicate, nor is a value that looks like one', () => {
    const text = '{"a":{"a":"a"},"b":["a","a",{"a":1}],"c":"a","constructor":"x"}';
    expect(readForeignJson(text, 'body')).toEqual(JSON.parse(text));
  });
});

test('messages between services are refused for their depth alone', () => {
  const deep = '['.repeat(10_000);
  expect(() => checkJsonDepth(deep, 'message')).toThrow('message: nested deeper than 64 levels');
  checkJsonDepth(JSON.stringify(Array.from({ length: 100_000 }, () => [1])), 'message');
});
