import type { z } from 'zod';
import type { Operator } from '../domain/token/api-token.ts';
import type { Permission } from '../domain/token/permission.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What a route is given: its parts as their schemas parsed them, and who calls. */
export type Call<P, Q, B> = {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly operator: Operator;
  /** Has the audit say something of this call that its path does not. */
  readonly note: (text: string) => void;
};

/**
 * One route: all that is needed to serve it, to guard it and to describe it in OpenAPI. Paths are written as OpenAPI
 * writes them (`/v1/accounts/{account}`); the account in the path is the one that `permission` is asked for.
 */
export type Route<P = unknown, Q = unknown, B = unknown, R = unknown> = {
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  readonly permission: Permission;
  readonly params: z.ZodType<P>;
  readonly query: z.ZodType<Q>;
  readonly body?: z.ZodType<B>;
  /** Bytes of its body. Default 256 KiB. */
  readonly bodyBytes?: number;
  readonly response: z.ZodType<R>;
  /** Default 200. */
  readonly status?: number;
  /** Counts what it makes or claims against the token's budget; others that do either refuse tokens that have one. */
  readonly isBudgeted?: true;
  readonly handle: (call: Call<P, Q, B>) => Promise<R>;
};

/** A route with its type parameters forgotten, so that routes of all shapes stand in one list. */
export type AnyRoute = Omit<Route, 'handle'> & {
  readonly handle: (call: Call<never, never, never>) => Promise<unknown>;
};

export function route<P, Q, B, R>(shape: Route<P, Q, B, R>): AnyRoute {
  return shape as unknown as AnyRoute;
}

/** What is known of a route without serving it. */
export type DescribedRoute = Omit<AnyRoute, 'handle' | 'permission'> & {
  /** Absent where no token is needed. */
  readonly permission?: Permission;
  /** Default `application/json`. */
  readonly contentType?: string;
};

/**
 * The answer to a call that revoked something of which no listener can have heard yet. Which calls revoke is known to the
 * services alone (a new state of a CA does, and so does a device that is given up): any that changes something may.
 */
export const OWED = {
  status: 202,
  description:
    'Accepted, not yet in force: it is stored, and no listener can have heard of it yet. It takes effect as soon as the bus carries it; the call need not be made again.',
} as const;

/** Whether a route can answer {@link OWED}. */
export function mayOwe({ method, permission, contentType }: DescribedRoute): boolean {
  return method !== 'GET' && permission !== undefined && contentType === undefined;
}
