import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { wholeScope } from '../../services/est-ca/src/domain/authority/revocation-urls.ts';
import type { CrlState } from '../../services/est-ca/src/domain/crl/crl-store.ts';
import { publishCrl } from '../../services/est-ca/src/domain/crl/publish-crl.ts';
import { DAY_MS, openFixture } from './fixture.ts';

/** Makes the complete CRL that is due, then the delta after `more` revocations, in turn: `measure.ts <folder> <now> <more>`. */
const [folder = '', time = '0', more = '0'] = process.argv.slice(2);
let now = Number(time);
const fixture = await openFixture(folder, () => now);
const scope = wholeScope('bench');
/** Other work on the machine weighs less on the median of some. */
const ROUNDS = 3;

type Timed = {
  readonly seconds: number;
  readonly state: CrlState;
  readonly blockMs: number;
  readonly cpuMs: number;
};

async function timed(): Promise<Timed> {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  let cpuMs = 0;
  let before = process.threadCpuUsage();
  const ticks = setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    cpuMs = Math.max(cpuMs, (user + system) / 1000);
    before = process.threadCpuUsage();
  }, 1);
  const start = performance.now();
  const state = await publishCrl(fixture.deps, fixture.authority, scope);
  const seconds = (performance.now() - start) / 1000;
  delay.disable();
  clearInterval(ticks);
  return { seconds, state, blockMs: delay.max / 1e6, cpuMs };
}

async function revoke(count: number): Promise<void> {
  const at = new Date(now).toISOString();
  for (let i = 0; i < count; i++) {
    const serialNumber = `5c${randomBytes(15).toString('hex')}`;
    await fixture.records.insert({
      id: serialNumber,
      serialNumber,
      account: 'bench',
      deviceId: `device-${i}`,
      profile: 'bench',
      certificate: fixture.authority.document.certificate,
      fingerprint: randomBytes(32).toString('hex'),
      publicKeyHash: randomBytes(32).toString('hex'),
      issuerKeyId: fixture.authority.document.subjectKeyId,
      authorityId: 'bench',
      issuedAt: at,
      notBefore: at,
      notAfter: new Date(now + 90 * DAY_MS).toISOString(),
      revokedAt: at,
      revocationReason: 'superseded',
      revokedBy: 'bench',
    });
  }
}

const rounds: { base: Timed; delta: Timed }[] = [];
for (let round = 0; round < ROUNDS; round++) {
  if (round > 0) now += DAY_MS / 2;
  const base = await timed();
  now += 60_000;
  await revoke(Number(more));
  rounds.push({ base, delta: await timed() });
}
const [first] = rounds;
const last = rounds.at(-1);
if (first === undefined || last === undefined) throw new Error('no rounds');

writeFileSync(join(folder, 'base.crl'), await fixture.files.der('bench', last.base.state.complete));
writeFileSync(join(folder, 'delta.crl'), await fixture.files.der('bench', last.delta.state.delta));
const peakRssMb = process.resourceUsage().maxRSS / 1024;
await fixture.store[Symbol.asyncDispose]();
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
process.stdout.write(
  JSON.stringify({
    entries: first.base.state.complete.entries,
    seconds: median(rounds.map(({ base }) => base.seconds)),
    peakRssMb,
    bytes: first.base.state.complete.bytes,
    deltaSeconds: median(rounds.map(({ delta }) => delta.seconds)),
    deltaEntries: first.delta.state.delta.entries,
    maxLoopBlockMs: median(rounds.map(({ base, delta }) => Math.max(base.blockMs, delta.blockMs))),
    maxLoopCpuMs: median(rounds.map(({ base, delta }) => Math.max(base.cpuMs, delta.cpuMs))),
  }),
);
