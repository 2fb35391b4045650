/** What a test may need, and the environment variable by which the runner hands it over. */
export const requirements = {
  /** URL of a NATS server with JetStream. */
  nats: 'SIGNET_TEST_NATS_URL',
  /** URL of a server that speaks MongoDB's protocol. */
  mongo: 'SIGNET_TEST_MONGO_URL',
  /** URL of a Redis server. */
  redis: 'SIGNET_TEST_REDIS_URL',
  /** Paths of executables, for tests that start and stop a server of their own. */
  'nats-server': 'SIGNET_TEST_NATS_SERVER',
  ferretdb: 'SIGNET_TEST_FERRETDB',
  'redis-server': 'SIGNET_TEST_REDIS_SERVER',
  /** Speaks MongoDB's protocol like `ferretdb`, and writes each document atomically: for replicas of one service. */
  'mongo-java-server': 'SIGNET_TEST_MONGO_JAVA_SERVER',
  /** Path of `mosquitto_pub`; `mosquitto_sub` lies beside it. */
  mosquitto: 'SIGNET_TEST_MOSQUITTO_PUB',
  /** Path of mosquitto itself. */
  'mosquitto-broker': 'SIGNET_TEST_MOSQUITTO',
  /** Path of a Python that has paho-mqtt, for tests/clients/paho. */
  paho: 'SIGNET_TEST_PAHO',
  /** Path of the program of tests/clients/rumqttc. */
  rumqttc: 'SIGNET_TEST_RUMQTTC',
  /** Path of strongSwan's `pki`. */
  strongswan: 'SIGNET_TEST_STRONGSWAN_PKI',
  openssl: 'SIGNET_TEST_OPENSSL',
  /** Path of `softhsm2-util`. */
  softhsm: 'SIGNET_TEST_SOFTHSM_UTIL',
  /** Path of `swtpm`; `swtpm_setup` lies beside it. tpm2-tools and OpenSSL's tpm2 provider come with it. */
  swtpm: 'SIGNET_TEST_SWTPM',
  /** Path of OpenSSL's pkcs11 engine. */
  'pkcs11-engine': 'SIGNET_TEST_PKCS11_ENGINE',
  curl: 'SIGNET_TEST_CURL',
  /** Path of `nginx`. */
  nginx: 'SIGNET_TEST_NGINX',
  'systemd-analyze': 'SIGNET_TEST_SYSTEMD_ANALYZE',
  /** Path of `chromium`, for pages that people use. */
  chromium: 'SIGNET_TEST_CHROMIUM',
  /** Path of `faketime`, which runs a program under another clock. */
  faketime: 'SIGNET_TEST_FAKETIME',
  /** Path of `mount`, where this user may mount a tmpfs: for tests of a disk that is full. */
  mount: 'SIGNET_TEST_MOUNT',
  /** Path of `unshare`, where this user may make a copy of the machine with it: for guides that are followed. */
  unshare: 'SIGNET_TEST_UNSHARE',
  /** Path of a Python that has the pinned packages of `python.ts`. */
  python: 'SIGNET_TEST_PYTHON',
  /** Path of the JDK's `keytool`. */
  keytool: 'SIGNET_TEST_KEYTOOL',
  /** Path of the JDK's `javac`; `java` lies beside it. */
  javac: 'SIGNET_TEST_JAVAC',
  /** Path of GnuTLS' `certtool`. */
  certtool: 'SIGNET_TEST_CERTTOOL',
  /** Path of `go`, for peers that are Go programs. */
  go: 'SIGNET_TEST_GO',
} as const;
export type Requirement = keyof typeof requirements;

/** A file to which suites that did not run add one line each. */
export const NOT_RUN_FILE = 'SIGNET_TEST_NOT_RUN_FILE';
