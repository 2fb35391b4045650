import { EnrollmentError } from '../../domain/enrollment-error.ts';
import { estOperations } from '../../domain/est-operation.ts';
import { type Label, parseLabel } from '../../domain/profile/profile.ts';
import { parseEstPath } from './path.ts';
import { WireError } from './wire-error.ts';

/** A request whose operation, label and method are known to be right. */
export type EstRoute = {
  readonly operation: string;
  readonly label: Label | undefined;
  readonly subject?: string | undefined;
};

/**
 * RFC 7030 §3.2.2.
 * @throws WireError 404 for an unknown operation, 405 with Allow; EnrollmentError `unknown-profile` for what is no label
 */
export function routeOf(method: string, url: string): EstRoute {
  const path = parseEstPath(url);
  const allowed = path === undefined ? undefined : estOperations.get(path.operation);
  if (path === undefined || allowed === undefined)
    throw new WireError(404, 'path: /.well-known/est/[<label>/]<operation> expected');
  if (method !== allowed)
    throw new WireError(405, `method: ${path.operation} is asked for by ${allowed}`, { Allow: allowed });
  const { operation, subject } = path;
  if (path.label === undefined) return { operation, label: undefined, subject };
  const label = parseLabel(path.label);
  if (label === undefined)
    throw new EnrollmentError('unknown-profile', 'label: <account> or <account>.<profile> expected');
  return { operation, label, subject };
}

/** @throws WireError 415; parameters and case do not matter */
export function requirePkcs10(contentType: string | undefined): void {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/pkcs10') throw new WireError(415, 'Content-Type: application/pkcs10 expected');
}
