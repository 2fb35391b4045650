import type {
  commandCertificate,
  createGrant,
  createMqttCredentials,
  enrollHandedOver,
  Operation,
  OperationInput,
  OperationOutput,
  RedirectStatement,
} from '@signet/contracts';

type Asks<O extends Operation> = (input: OperationInput<O>) => Promise<OperationOutput<O>>;

/** What a handoff asks of other services. Each fails with OperationError. */
export type HandoffPorts = {
  /** `est-ca`: the device's enrollment grant. */
  readonly issueGrant: Asks<typeof createGrant>;
  /** `est-ca`: the operational certificate, for a CSR in the request. */
  readonly enroll: Asks<typeof enrollHandedOver>;
  /** `est-ca`: what commands of the account are signed by. */
  readonly commandCertificate: Asks<typeof commandCertificate>;
  /** `provisioning`: random MQTT credentials. */
  readonly issueCredentials: Asks<typeof createMqttCredentials>;
  /** `est-ca`: the redirect as this instance vouches for it, a JWS. */
  readonly signRedirect: (
    redirect: Pick<RedirectStatement, 'fingerprint' | 'url' | 'trustAnchors'>,
  ) => Promise<string>;
};
