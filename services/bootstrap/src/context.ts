import type { Bus } from '@signet/bus';
import type { Authority, commandCertificate, Operation, OperationOutput } from '@signet/contracts';
import type { IssuerSet } from '@signet/pki';
import type { z } from 'zod';
import type { Collections } from './collections.ts';
import type { FactoryPins } from './domain/factory/factory-pins.ts';

/** What use cases are given. Each says in its own type which of it it uses. */
export type Context = Collections & {
  /** Asks other services: `est-ca`, `provisioning`, `admin-api`. */
  readonly bus: Pick<Bus, 'request'>;
  readonly log: { warn(facts: object, message: string): void };
  readonly now: () => number;
  readonly trust: Trust;
  readonly factories: FactoryPins;
  readonly endpoints: Endpoints;
  /** Of what commands are signed by in an account. May be a minute old. */
  readonly commandCertificateOf: (account: string) => Promise<OperationOutput<typeof commandCertificate>>;
  /** Steps with the same key run one after another in this process, so that they do not race for one number. */
  readonly inTurn: <T>(key: string, step: () => Promise<T>) => Promise<T>;
  /** How long a registration request waits for an operator, ms. */
  readonly registrationWaitMs: number;
  /** Whether devices reach this very instance by a URL. */
  readonly isOwnUrl: (url: string) => boolean;
  /** Why no hook may be called at a URL; undefined: it may. */
  readonly whyUnfitUrl: (url: string) => string | undefined;
  /** Wakes the jobs that send notifications, and that block the devices of voided factory CAs. */
  readonly wake: { readonly notifications: () => void; readonly voidedAuthorities: () => void };
};

/** The CAs of the platform as the listener pins them. */
export type Trust = {
  authorities(): readonly Authority[];
  issuers(): IssuerSet;
  /** Reads them again now: a CA may have been registered a moment ago. */
  refresh(): Promise<void>;
};

/** Where devices of this instance go. URLs as devices reach them. */
export type Endpoints = {
  readonly instance: string;
  readonly est: string;
  readonly mqtt: string;
  readonly gateway: string;
  /** Where devices of `lmp-device-register` pull their system from. */
  readonly ostree: string;
};

/** The input of an operation, as its schema parsed it. */
export type InputOf<O extends Operation> = z.output<O['input']>;
/** What an operation answers, before its schema parses it. */
export type AnswerOf<O extends Operation> = z.input<O['output']>;
