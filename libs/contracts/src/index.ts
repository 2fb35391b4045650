export { AuthorityKind, AuthorityState } from './catalogue/est-ca.ts';
export { DisconnectReason } from './catalogue/mqtt-broker.ts';
export { DenyChange, DenyEntry, DenyKind } from './catalogue/revocation-sync.ts';
export {
  type ClaimCode,
  ClaimCodeError,
  type ClaimCodeFault,
  claimCodeOf,
  claimUrl,
  parseClaimCode,
  parseScannedClaim,
} from './claim-code.ts';
export {
  BackendError,
  CodedError,
  type CodedErrorOptions,
  isStorageFailure,
  isUnavailable,
} from './coded-error.ts';
export { type Departure, departureOf, departureTypes } from './departure.ts';
export { DeviceState } from './device-state.ts';
export { Envelope } from './envelope.ts';
export { EventQueue, EventQueueRequest, EventQueueState, PulledEvent, QueueName } from './event-queue.ts';
export {
  catalogue,
  type EventData,
  type EventType,
  eventTypes,
  isEventType,
  newEvent,
  parseEvent,
  type SignetEvent,
  traceEventsBy,
} from './events.ts';
export {
  checkJsonDepth,
  ForeignJsonError,
  type ForeignJsonLimits,
  readForeignJson,
} from './foreign-json.ts';
export {
  Account,
  DeviceId,
  DeviceSerialNumber,
  Fingerprint,
  KeyId,
  Pem,
  PLATFORM_ACCOUNT,
  RevocationReason,
  SerialNumber,
  Time,
} from './identifiers.ts';
export {
  type CommonCode,
  commonCodes,
  type Operation,
  type OperationCode,
  OperationError,
  type OperationInput,
  type OperationOutput,
  operation,
  type ParsedInput,
} from './operation.ts';
export {
  AccountSettings,
  getAccountSettings,
  setAccountSettings,
} from './operations/account-settings.ts';
export { findAccount } from './operations/accounts.ts';
export { ARTIFACT_TYPE, ArtifactEntry, ArtifactStatement, UPDATES_FILE } from './operations/artifacts.ts';
export {
  AttestationCa,
  AttestationRule,
  addAttestationCa,
  listAttestationCas,
  removeAttestationCa,
} from './operations/attestation.ts';
export {
  AuthorityDetails,
  AuthorityRequest,
  addAuthority,
  createAuthorities,
  describeAuthorities,
  FallBack,
  finishRootReplacement,
  KeyCustody,
  PkiStatement,
  RootReplacement,
  registerRoot,
  replaceRoot,
  requestAuthority,
  rootReplacement,
  rotateServerCertificates,
  SignedStatement,
  StatementAction,
  setAuthorityState,
  setFallBack,
  uploadAuthority,
} from './operations/authority.ts';
export {
  describeRootCrl,
  RootCrl,
  RootCrlRequest,
  uploadRootCrl,
} from './operations/authority-crls.ts';
export {
  addBlockRule,
  BlockRule,
  BlockTarget,
  listBlockRules,
  removeBlockRule,
} from './operations/block-rules.ts';
export {
  Bundle,
  blockDevices,
  claimDevice,
  Device,
  DeviceSelection,
  DevicesChanged,
  FactoryItem,
  FactoryResult,
  factoryLog,
  factorySign,
  getDevice,
  handOverDevice,
  listDevices,
  MadeDevice,
  retireDevices,
  unblockDevices,
} from './operations/bootstrap.ts';
export {
  Campaign,
  CampaignDeviceState,
  CampaignPlan,
  CampaignState,
  changeCampaign,
  getCampaign,
  listCampaignDevices,
  listCampaigns,
  startCampaign,
} from './operations/campaigns.ts';
export {
  addIdentity,
  ClaimItem,
  ClaimOutcome,
  ClaimResult,
  claimDevices,
  resetDevices,
  unclaimDevices,
} from './operations/claims.ts';
export {
  COMMAND_TYPE,
  commandCertificate,
  enrollHandedOver,
  signStatement,
} from './operations/commands.ts';
export {
  addCrlSource,
  applyCrlToDevices,
  CrlPart,
  CrlSource,
  CrlSourceName,
  CrlSourceSettings,
  changeCrlSource,
  fetchCrlSource,
  getCrlSource,
  listCrlSources,
  removeCrlSource,
  uploadCrl,
  WhenStale,
} from './operations/crl-sources.ts';
export { DeviceQuery, denyDevices, identifyDevices, liftDevices } from './operations/denylist-devices.ts';
export {
  CommandName,
  CommandRefusal,
  CommandResult,
  CommandStatement,
  MAX_COMMAND_PAYLOAD,
  MAX_COMMAND_SECONDS,
} from './operations/device-commands.ts';
export {
  ConfigFile,
  ConfigFiles,
  ConfigLayer,
  ConfigLogEntry,
  deleteDeviceConfig,
  getConfigLog,
  getDeviceConfig,
  MAX_CONFIG_FILES,
  setDeviceConfig,
} from './operations/device-config.ts';
export {
  changeProfile,
  createProfile,
  DeviceProfileMove,
  dryRunProfile,
  EnrollmentProfile,
  getDeviceProfile,
  listProfiles,
  ProfileChanges,
  ProfileName,
  ProfileSettings,
  removeProfile,
  setDeviceProfile,
} from './operations/enrollment-profiles.ts';
export {
  approveEnrollment,
  declineEnrollment,
  EnrollmentRequest,
  EnrollmentRequestState,
  listEnrollmentRequests,
} from './operations/enrollment-requests.ts';
export {
  Authority,
  createGrant,
  FirstContact,
  IssuedCertificate,
  identifyCertificates,
  issueServerCertificate,
  listAuthorities,
  listCertificates,
  releaseCertificate,
  revokeCertificates,
  signBootstrap,
} from './operations/est-ca.ts';
export {
  identifyDevice,
  importFactoryLog,
  MadeElsewhere,
  registerFactoryAuthority,
  setFirstContact,
} from './operations/factory.ts';
export { meetDevice } from './operations/first-contact.ts';
export {
  changeGroup,
  createGroup,
  Group,
  GroupName,
  getDeviceLabels,
  groupNameOf,
  LabelQuery,
  Labels,
  labelDevice,
  listClaimedInto,
  listGroupDevices,
  listGroups,
  removeGroup,
  settleClaimed,
} from './operations/groups.ts';
export { checkMqttCredentials, createMqttCredentials } from './operations/mqtt-credentials.ts';
export {
  defaultMqttPolicy,
  getMqttPolicy,
  MqttPolicy,
  setMqttPolicy,
} from './operations/mqtt-policy.ts';
export {
  getHook,
  listNotifications,
  OnboardingHook,
  OnboardingNotification,
  removeHook,
  retryNotification,
  setHook,
} from './operations/onboarding-hooks.ts';
export { PageRequest, pageOf } from './operations/paging.ts';
export { announceKey, DeviceKey, DeviceKeys, getDeviceKeys } from './operations/provisioning.ts';
export {
  authenticateProvisioning,
  completeProvisioning,
  createProvisioningRequest,
  getProvisioningRequest,
  listProvisioningRequests,
  ProvisioningPlan,
  ProvisioningProgress,
  ProvisioningRequestView,
  reportProvisioning,
  stopProvisioningRequest,
} from './operations/provisioning-requests.ts';
export {
  BootstrapRedirect,
  listRedirects,
  REDIRECT_TYPE,
  RedirectStatement,
  RedirectSubject,
  removeRedirect,
  setRedirect,
} from './operations/redirects.ts';
export {
  approveRegistration,
  authorizeToken,
  certifyDevice,
  createRegistrationCertificate,
  declineRegistration,
  listRegistrationCertificates,
  listRegistrations,
  RegistrationCertificate,
  RegistrationRequest,
  RegistrationState,
  renewDevice,
  returnTokenBudget,
  revokeRegistrationCertificate,
  signRegistration,
  spendTokenBudget,
} from './operations/registration.ts';
export { grantExpiredRenewal, orderRenewal, withdrawRenewal } from './operations/renewals.ts';
export {
  DenyTarget,
  denyingTypes,
  denylistChanges,
  denylistSnapshot,
  denyTargets,
  hearDenials,
  liftTargets,
  listDenied,
} from './operations/revocation-sync.ts';
export { cancelRotation, listRotations, Rotation } from './operations/rotations.ts';
export { listUpdateEvents, listUpdates, ReportedUpdate } from './operations/updates.ts';
export { PARTITIONS, partitionOf } from './partition.ts';
export { ProvisioningState } from './provisioning-state.ts';
export { readFingerprint } from './read-fingerprint.ts';
export { Refusal, RefusalCode } from './refusal.ts';
export {
  isSerialAmong,
  parseSerialRange,
  type SerialRange,
  serialRangeSize,
  serialsIn,
} from './serial-range.ts';
export {
  DEAD_STREAM,
  DENYLIST_DIGEST_SUBJECT,
  DENYLIST_HEAD_SUBJECT,
  deadSubject,
  decodeLevel,
  EVENT_STREAM,
  encodeLevel,
  eventFilter,
  eventSubject,
  handedSubject,
  handSubject,
  MAX_SUBJECT_BYTES,
  MQTT_DOWN_STREAM,
  MQTT_STREAM,
  mqttSubject,
  operationAtSubject,
  operationLiveSubject,
  operationSubject,
  parseEventSubject,
  parseMqttSubject,
  parseSharedSubject,
  sharedSubject,
} from './subjects.ts';
export {
  DEFAULT_TRUST_DOMAIN,
  type DeviceTopic,
  deviceTopic,
  parseDeviceTopic,
  provisioningTopic,
  sharedTopic,
  spiffeId,
} from './topics.ts';
export { uuidv7 } from './uuid.ts';
