/** Whose devices connect. */
export const ACCOUNT = 'bench';
