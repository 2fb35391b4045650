import type { TLSSocket } from 'node:tls';
import { peerDenyKeys, type SessionHandle, type SessionIndex } from '@signet/denylist';
import {
  type Certificate,
  lastingPeer,
  leafOf,
  type PeerRefusal,
  PkiError,
  type Purpose,
  parseCertificate,
  type VerifiedPeer,
  verifyPeer,
} from '@signet/pki';
import type { DenialSource } from './denials.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { Listener, RefusalReporter } from './refusals.ts';
import {
  peerOf,
  recordAdmission,
  recordEnd,
  type SessionEnd,
  type SocketAdmission,
} from './socket-admission.ts';
import type { Trust } from './trust.ts';

export type GateOptions = {
  readonly listener: Listener;
  /** Which certificates this listener admits. */
  readonly purposes: readonly Purpose[];
  /** Whether a peer without a certificate gets in, as `anonymous` (EST). Default false. */
  readonly allowAnonymous?: boolean;
  /** Whether an expired certificate gets in, with `peer.expired` set (EST renewal). Default false. */
  readonly allowExpired?: boolean;
  /** Whether connections last, so that little should be kept of each: see `lastingPeer`. Default false. */
  readonly lasting?: boolean;
};

/** How long a connection with an expired certificate may last where it is let in at all. */
const EXPIRED_SESSION_MS = 600_000;

type OnEnd = (reason: SessionEnd) => void;
type Live = { readonly socket: TLSSocket; readonly peer: VerifiedPeer; readonly onEnd: OnEnd | undefined };

/**
 * Lets connections of one listener in, or not. Call {@link AdmissionGate.enter} at `secureConnection`, before anything
 * is read: the socket is first entered in the session index under all hashes that could deny it, then checked,
 * synchronously, so that no deny-list delta slips in between.
 */
export class AdmissionGate implements Disposable {
  readonly options: GateOptions;
  readonly #trust: Trust;
  readonly #denials: DenialSource;
  readonly #sessions: SessionIndex;
  readonly #refusals: RefusalReporter;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #maxSessionMs: number;
  readonly #live = new Set<Live>();
  readonly #trustChanges: Disposable;

  constructor(
    parts: {
      readonly trust: Trust;
      readonly denials: DenialSource;
      readonly sessions: SessionIndex;
      readonly refusals: RefusalReporter;
      readonly metrics: Metrics;
      readonly log: Logger;
      readonly now: () => number;
      /** How long a session may last, ms; without it, until its certificate ends. */
      readonly maxSessionMs?: number | undefined;
    },
    options: GateOptions,
  ) {
    this.options = options;
    this.#trust = parts.trust;
    this.#denials = parts.denials;
    this.#sessions = parts.sessions;
    this.#refusals = parts.refusals;
    this.#metrics = parts.metrics;
    this.#log = parts.log;
    this.#now = parts.now;
    this.#maxSessionMs = parts.maxSessionMs ?? Number.POSITIVE_INFINITY;
    this.#trustChanges = parts.trust.onChange(() => this.#recheck());
  }

  /**
   * Decides about a connection; never throws. A refusal is reported here; what the peer is told, and when the socket is
   * closed, is the listener's part. A session that is admitted is ended by `socket.destroy()` when it is denied, when
   * its certificate expires or it has lasted for as long as it may, or when its CA falls; `onEnd` is called just before.
   */
  enter(socket: TLSSocket, onEnd?: OnEnd): SocketAdmission {
    const startedAt = performance.now();
    const admission = this.#decide(socket, onEnd);
    recordAdmission(socket, admission);
    const outcome = admission.kind === 'refused' ? admission.refusal.code : admission.kind;
    const { listener } = this.options;
    this.#metrics.admissionSeconds.observe((performance.now() - startedAt) / 1000, { listener, outcome });
    if (admission.kind === 'refused') {
      const { ok: _, ...facts } = admission.refusal;
      this.#refusals.report({ ...facts, listener, address: admission.address });
    }
    return admission;
  }

  [Symbol.dispose](): void {
    this.#trustChanges[Symbol.dispose]();
  }

  #decide(socket: TLSSocket, onEnd: OnEnd | undefined): SocketAdmission {
    const address = socket.remoteAddress ?? 'unknown';
    try {
      const leaf = leafOf(socket);
      if (leaf === undefined && this.options.allowAnonymous === true) return { kind: 'anonymous', address };
      const certificate = leaf === undefined ? undefined : parsed(leaf);
      const handle = certificate && this.#index(socket, certificate, onEnd);
      const verdict = this.#verify(certificate ?? leaf);
      if (!verdict.ok) {
        handle?.leave();
        return { kind: 'refused', refusal: verdict, address };
      }
      const peer = this.options.lasting === true ? lastingPeer(verdict) : verdict;
      const live = { socket, peer, onEnd };
      this.#live.add(live);
      socket.once('close', () => this.#live.delete(live));
      return { kind: 'verified', peer, address };
    } catch (error) {
      this.#log.error({ err: error, address }, 'admission: the check itself failed, refusing');
      const message = 'admission: the check itself failed';
      return { kind: 'refused', refusal: { ok: false, code: 'unavailable', message }, address };
    }
  }

  /** Enters what the certificate claims, checked or not: a hash that is denied must find this socket. */
  #index(socket: TLSSocket, certificate: Certificate, onEnd: OnEnd | undefined): SessionHandle {
    const [issuer] = this.#trust.issuers().candidates(certificate);
    const now = this.#now();
    const { notAfter, subject } = certificate;
    const handle = this.#sessions.enter({
      keys: peerDenyKeys({
        fingerprint: certificate.fingerprint,
        publicKeyHash: certificate.publicKeyHash,
        serialNumber: certificate.serialNumber,
        issuerKeyId: issuer?.keyId ?? certificate.authorityKeyId ?? '',
        account: subject.organization,
        deviceId: subject.commonName,
      }),
      notAfter: Math.min(
        this.options.allowExpired === true && notAfter <= now ? now + EXPIRED_SESSION_MS : notAfter,
        now + this.#maxSessionMs,
      ),
      end: (reason) => this.#end(socket, reason, onEnd),
    });
    socket.once('close', () => handle.leave());
    return handle;
  }

  #verify(leaf: Uint8Array | Certificate | undefined): VerifiedPeer | PeerRefusal {
    const verdict = verifyPeer({
      leaf,
      issuers: this.#trust.issuers(),
      purposes: this.options.purposes,
      now: this.#now(),
      denied: (facts) => this.#denials.denied(facts),
      allowExpired: this.options.allowExpired ?? false,
    });
    if (!verdict.ok) return verdict;
    const unable = this.#denials.unable();
    if (unable === undefined) return verdict;
    const { fingerprint, account, deviceId } = verdict.facts;
    return {
      ok: false,
      ...unable,
      fingerprint,
      ...(account === undefined ? {} : { account }),
      ...(deviceId === undefined ? {} : { deviceId }),
    };
  }

  #end(socket: TLSSocket, reason: SessionEnd, onEnd: OnEnd | undefined): void {
    const { listener } = this.options;
    recordEnd(socket, reason);
    this.#metrics.sessionsEnded.add({ listener, reason });
    const changedAt = this.#denials.changedAt();
    if (reason === 'denied' && changedAt !== undefined) {
      this.#metrics.revocationToKickSeconds.observe(Math.max(this.#now() - changedAt, 0) / 1000, {
        listener,
      });
    }
    this.#log.info({ listener, reason, ...peerOf(socket)?.facts }, 'session ended');
    try {
      onEnd?.(reason);
    } finally {
      socket.destroy();
    }
  }

  /** After a change of CAs: one session of each issuer is verified, and only where that fails all the others. */
  #recheck(): void {
    const sound = new Set<string>();
    for (const live of this.#live) {
      const { issuer, certificate } = live.peer;
      if (sound.has(issuer.keyId)) continue;
      const verdict = verifyPeer({
        leaf: certificate.der,
        issuers: this.#trust.issuers(),
        purposes: this.options.purposes,
        now: this.#now(),
        denied: () => undefined,
        allowExpired: true,
      });
      if (verdict.ok) {
        sound.add(issuer.keyId);
        continue;
      }
      const { ok: _, ...facts } = verdict;
      this.#refusals.report({
        ...facts,
        listener: this.options.listener,
        address: live.socket.remoteAddress,
      });
      this.#live.delete(live);
      this.#end(live.socket, 'untrusted', live.onEnd);
    }
  }
}

function parsed(leaf: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(leaf);
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}
