import 'reflect-metadata';

/** The oracle of the property tests; it needs reflect-metadata before it is loaded. */
export * from '@peculiar/x509';
