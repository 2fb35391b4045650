import type { Redis } from 'ioredis';
import type { SessionStore } from '../domain/session-store.ts';

/** The store of this process; with the connection that it shares, if there is one. */
export type OpenSessionStore = SessionStore & AsyncDisposable & { readonly redis: Redis | undefined };
