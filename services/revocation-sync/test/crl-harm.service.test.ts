import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CrlFixture, DENIED, openCrlFixture, until } from './crl-fixture.ts';
import { type OddEntry, oddCrl, UNKNOWN_OID } from './odd-crl.ts';
import { OpensslCa } from './pki.ts';

let crls: CrlFixture;
beforeEach(async () => {
  crls = await openCrlFixture();
});
afterEach(() => crls[Symbol.asyncDispose]());

const DAY_MS = 86_400_000;

/** A source with a good CRL, of one certificate; what is served after it changes nothing and is reported. */
async function accepted(settings: Record<string, string> = {}) {
  await crls.start({ SIGNET_CRL_MAX_MEGABYTES: '1', ...settings });
  const { list } = await crls.fixture.listener();
  const one = await crls.ca.sign('one');
  await crls.ca.revoke('one');
  const good = await crls.ca.crl();
  crls.serve(() => good);
  await crls.add({ urls: [`${crls.url}/a.crl`] });
  await crls.fetch();
  await until(() => expect(list.denied(crls.foreign(one))).toBe(DENIED));
  const unharmed = (parts: { number?: string | undefined; entries: number }[]) => {
    expect(parts[0]).toMatchObject({ number: '10', entries: 1 });
    expect(list.denied(crls.foreign(one))).toBe(DENIED);
    expect(list.size()).toBe(1);
    expect(list.number()).toBe(1);
  };
  /** Afterwards the good one is served again, so that the next refusal is told of anew. @returns the message */
  const refused = async (code: string, aheadMs = 0) => {
    crls.fixture.clock.now += aheadMs;
    const { parts } = await crls.fetch();
    crls.fixture.clock.now -= aheadMs;
    unharmed(parts);
    const { message, ...error } = parts[0]?.error ?? { message: 'accepted' };
    expect({ ...error, message }).toMatchObject({ code });
    await until(() =>
      expect(crls.events).toContainEqual({
        type: 'CRL_SOURCE_REFUSED',
        data: { source: 'maker', part: `${crls.url}/a.crl`, code, message },
      }),
    );
    crls.serve(() => good);
    expect((await crls.fetch()).parts[0]?.error).toBeUndefined();
    return message;
  };
  /** Signed by the right CA anyway. */
  const odd = async (entries: readonly OddEntry[], options: Parameters<typeof oddCrl>[2] = {}) => {
    const crl = await oddCrl(crls.ca, entries, options);
    crls.serve(() => crl);
  };
  return { list, one, good, refused, odd };
}

describe('a CRL that means harm changes nothing, and is reported', () => {
  it('of another issuer, and of another CA of the same name', async () => {
    const { refused } = await accepted();
    await using other = await OpensslCa.create('/CN=Other');
    const crl = await other.crl();
    crls.serve(() => crl);
    expect(await refused('wrong-issuer')).toBe('issuer: it is not the name of the pinned issuer');
    await using twin = await OpensslCa.create();
    const forged = await twin.crl({ number: '50' });
    crls.serve(() => forged);
    expect(await refused('bad-signature')).toBe('signature: it is not one of the pinned issuer');
  });

  it('an older number, an indirect CRL, and one with critical words that nobody knows', async () => {
    const { refused, odd } = await accepted();
    const old = await crls.ca.crl({ number: '05' });
    crls.serve(() => old);
    expect(await refused('older-number')).toBe('cRLNumber: 5 is older than 10');
    const indirect = await crls.ca.crl({ extensions: 'indirect', number: '60' });
    crls.serve(() => indirect);
    expect(await refused('not-understood')).toBe('CRL: critical extension 2.5.29.28 is not known');
    await odd([{ serialNumber: '77' }], { critical: UNKNOWN_OID });
    expect(await refused('not-understood')).toBe('CRL: critical extension 1.2.3.4 is not known');
    await odd([{ serialNumber: '77' }, { serialNumber: '78', critical: UNKNOWN_OID }]);
    expect(await refused('malformed')).toBe('revokedCertificates: critical extension 1.2.3.4 is not known');
  });

  it('one that has ended, and one that is yet to begin', async () => {
    const { refused } = await accepted();
    const next = await crls.ca.crl();
    crls.serve(() => next);
    expect(await refused('expired', 8 * DAY_MS)).toMatch(/^nextUpdate: it ended at /);
    crls.serve(() => next);
    expect(await refused('not-yet-valid', -8 * DAY_MS)).toMatch(/^thisUpdate: .* is yet to come$/);
  });

  it('entries of a day to come, and serial numbers that no certificate may have', async () => {
    const { refused, odd } = await accepted();
    await odd([{ serialNumber: '77' }, { serialNumber: '78', revokedAt: Date.now() + DAY_MS }]);
    expect(await refused('malformed')).toMatch(/^revokedCertificates: 78 is revoked as of .*, yet to come$/);
    await odd([{ serialNumber: '77' }, { serialNumber: '11'.repeat(21) }]);
    expect(await refused('malformed')).toBe(
      'revokedCertificates: a serial number of more than 20 bytes (RFC 5280 §4.1.2.2)',
    );
  });

  it('one that is listed twice is denied once', async () => {
    const { list, odd } = await accepted();
    await odd(['77', '78', '77', '77'].map((serialNumber) => ({ serialNumber })));
    expect((await crls.fetch()).parts).toMatchObject([{ number: '11', entries: 2 }]);
    await until(() => expect(list.size()).toBe(2));
    expect(list.denied(crls.foreign('77'))).toBe(DENIED);
    expect(await crls.remove()).toBe(2);
    await until(() => expect(list.size()).toBe(0));
  });

  it('huge, whether it says so or not, and one that unpacks to more', async () => {
    const { refused, good } = await accepted();
    const huge = Buffer.alloc(2 * 1_048_576);
    crls.serve(() => huge, { 'content-length': String(huge.length) });
    expect(await refused('too-large')).toBe('CRL: 2097152 bytes, at most 1048576');
    crls.answer = (_, response) => {
      response.on('error', () => {});
      const more = () => {
        while (!response.destroyed && response.write(huge.subarray(0, 65_536)));
      };
      response.on('drain', more);
      more();
    };
    expect(await refused('too-large')).toBe('CRL: more than 1048576 bytes');
    const bomb = gzipSync(Buffer.concat([good, Buffer.alloc(64 * 1_048_576)]));
    crls.serve(() => bomb, { 'content-encoding': 'gzip' });
    await refused('malformed');
  });

  it('slow, be it by drops or before its first byte, and one that is cut off', async () => {
    const { refused, good } = await accepted({ SIGNET_CRL_FETCH_SECONDS: '3' });
    crls.answer = (_, response) => {
      const drip = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(drip));
    };
    await refused('unreachable');
    crls.answer = () => {};
    await refused('unreachable');
    crls.serve(() => good.subarray(0, good.length / 2));
    await refused('malformed');
    crls.answer = (_, response) => {
      response.writeHead(200, { 'content-length': String(good.length) });
      response.write(good.subarray(0, 100), () => response.destroy());
    };
    await refused('unreachable');
  });

  it('no CRL at all, whatever it calls itself: a page, JSON, an error, nothing', async () => {
    const { refused } = await accepted();
    const kind = { 'content-type': 'application/pkix-crl' };
    for (const junk of [
      '<!doctype html><h1>It works!</h1>',
      '{"crl":[]}',
      '',
      '-----BEGIN X509 CRL-----\nAAAA',
    ]) {
      crls.serve(() => Buffer.from(junk), kind);
      await refused('malformed');
    }
    crls.answer = (_, response) => response.writeHead(503).end();
    expect(await refused('unreachable')).toBe(`${crls.url}/a.crl: HTTP 503`);
  });

  it('a redirect inwards is not followed', async () => {
    const { refused } = await accepted();
    let asked = 0;
    crls.answer = (_, response) => {
      asked++;
      response.writeHead(302, { location: `${crls.url}/inside` }).end();
    };
    expect(await refused('unreachable')).toBe(`${crls.url}/a.crl: HTTP 302`);
    expect(asked).toBe(1);
  });

  it('an address inside is not asked, named by its number or by a name that leads there', async () => {
    await crls.start({ SIGNET_OUTWARD_PRIVATE: 'false' });
    let asked = 0;
    crls.answer = (_, response) => {
      asked++;
      response.end();
    };
    const named = crls.url.replace('127.0.0.1', 'localhost');
    await crls.add({ urls: [`${crls.url}/a.crl`, `${named}/a.crl`] });
    const { parts } = await crls.fetch();
    expect(parts.map(({ error }) => error?.code)).toEqual(['unreachable', 'unreachable']);
    for (const { error } of parts)
      expect(error?.message).toMatch(
        /(127\.0\.0\.1|::1) is a private address; SIGNET_OUTWARD_PRIVATE allows/,
      );
    expect(asked).toBe(0);
  });

  it('said once for each reason, and counted while it lasts', async () => {
    const { good } = await accepted();
    crls.answer = (_, response) => response.writeHead(503).end();
    for (let round = 0; round < 3; round++) await crls.fetch();
    const refusals = () => crls.events.filter(({ type }) => type === 'CRL_SOURCE_REFUSED');
    await until(() => expect(refusals()).toHaveLength(1));
    expect((await crls.fetch()).parts[0]?.error?.count).toBe(4);
    crls.serve(() => good);
    expect((await crls.fetch()).parts[0]?.error).toBeUndefined();
    crls.answer = (_, response) => response.writeHead(503).end();
    await crls.fetch();
    await until(() => expect(refusals()).toHaveLength(2));
  });
});
