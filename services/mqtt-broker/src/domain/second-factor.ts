import type { Owner } from './topic-rules.ts';

/** What a CONNECT packet shows beside the certificate. */
export type Credentials = { readonly username: string; readonly password: string };

/** Tells whether these are the credentials that were handed to this device (F21); rejects while nobody can tell. */
export type CheckCredentials = (owner: Owner, credentials: Credentials) => Promise<boolean>;
